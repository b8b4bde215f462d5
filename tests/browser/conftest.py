"""A real browser before real servers: Chromium, Voila and JupyterLab.

Screenshots stay in the folder that MDLIB_SCREENSHOTS names, else where pytest keeps temporary files.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

START_S = 180  # on a machine that is busy with other tests
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip

CELLS = """
from pathlib import Path
from mdlib.creation.sources.pictures import prop_cutouts, room_backgrounds
from mdlib import DataPanel, EffectsPanel, Predictor, PredictPanel, StressPanel, TrainConfig, TrainingPanel
predictor = Predictor.load("weights", "cpu")
---
PredictPanel(predictor)
---
StressPanel(predictor)
---
EffectsPanel(predictor)
---
DataPanel(room_backgrounds(1, (96, 128), 0), prop_cutouts(2, 0))
---
config = TrainConfig(
    data=Path("data"), run=Path("run"), steps=100_000, batch_size=2, size=32, checks=0, log_every=1,
    device="cpu", workers=1,
)
TrainingPanel(config, every_s=0.5)
"""


@pytest.fixture(scope="session")
def studio(tmp_path_factory, tiny_dataset) -> Path:
    """A folder with weights, data, pictures and a notebook that shows every panel."""
    import nbformat

    from mdlib.modeling.registry import create_model, save_model
    from mdlib.viewing.scenes import packaged_scene

    folder = tmp_path_factory.mktemp("studio")
    torch.manual_seed(0)
    save_model(create_model("mdnet"), folder / "weights")
    (folder / "data").symlink_to(tiny_dataset)
    room = packaged_scene()
    for name in ("bg", "fg_bg"):
        mirrored = np.ascontiguousarray(room[f"{name}_img"][:, ::-1])
        Image.fromarray(mirrored).reduce(2).save(folder / f"{name}.png")
    (folder / "note.txt").write_text("hello")
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS.split("---")]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "panels.ipynb")
    return folder


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory) -> Path:
    folder = Path(os.environ.get("MDLIB_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser(chromium) -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def voila(studio, served, tmp_path_factory) -> Iterator[str]:
    """The address under which Voila shows notebooks of the studio: voila + "panels.ipynb"."""
    command = ["voila", str(studio), "--no-browser", "--Voila.ip=127.0.0.1"]
    with served(command, "--port", studio, tmp_path_factory.mktemp("voila")) as address:
        yield f"{address}voila/render/"


@pytest.fixture(scope="session")
def served(repository):
    """served(command, port_option, cwd, home): while entered, `python -m COMMAND` answers at an address."""

    @contextlib.contextmanager
    def serve(command: list[str], port_option: str, cwd: Path, home: Path) -> Iterator[str]:
        port = free_port()
        address, log = f"http://127.0.0.1:{port}/", home / "log.txt"
        paths = [str(repository), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        environment |= {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
        environment["IPYTHONDIR"] = str(home / "ipython")
        with open(log, "w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *command, f"{port_option}={port}"],
                cwd=cwd, env=environment, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            end = time.monotonic() + START_S
            while not answers(address):
                if process.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"the server did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    return serve


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError:
        return True  # it speaks, be it to refuse
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
