"""A notebook opened in JupyterLab and run with "Run All", as most people meet the panels."""

import json
import time
import urllib.error
import urllib.request

import nbformat
import pytest

WAIT_MS = 180_000
CELLS = [
    "from mdlib.viewing.predict import Predictor\nfrom mdlib.viewing.panels.predict import PredictPanel",
    'panel = PredictPanel(Predictor.load("weights", "cpu"))\npanel',
    "panel.still()",
]


@pytest.fixture(scope="module")
def lab(studio, served, tmp_path_factory):
    """The address of JupyterLab, with a notebook `lab.ipynb`."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), studio / "lab.ipynb")
    options = ["--no-browser", "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--allow-root"]
    command = ["jupyterlab", f"--ServerApp.root_dir={studio}", *options]
    with served(command, "--ServerApp.port", studio, tmp_path_factory.mktemp("lab")) as address:
        yield address


def wait_until_idle(address: str) -> None:
    """Until the kernel is connected to the page and does nothing: "Run All" before that is lost."""
    end = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < end:
        try:
            kernels = json.load(urllib.request.urlopen(f"{address}api/kernels", timeout=10))
        except (urllib.error.HTTPError, TimeoutError):  # it may answer 500 while the kernel starts
            kernels = []
        if kernels and kernels[0]["connections"] > 0 and kernels[0]["execution_state"] == "idle":
            return
        time.sleep(0.3)
    pytest.fail("the kernel of JupyterLab never became idle")


@pytest.mark.slow
def test_run_all_in_jupyterlab(browser, lab, studio, screenshots):
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{lab}lab/tree/lab.ipynb")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    wait_until_idle(lab)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    page.locator(".PredictPanel .mdlib-Done").wait_for()
    page.locator(".jp-OutputArea-output img").first.wait_for(state="attached")  # the still picture
    with page.expect_file_chooser() as chooser:
        page.locator(".PredictPanel .up-bg").click()
    chooser.value.set_files(studio / "note.txt")
    page.locator(".PredictPanel .mdlib-Problem", has_text="note.txt is not a picture").wait_for()
    page.locator(".PredictPanel .show-sample").click()
    page.locator(".PredictPanel .mdlib-Done").wait_for()
    page.screenshot(path=screenshots / "jupyterlab.png")
    page.close()
