"""A real browser before real servers: Chromium, Voila and JupyterLab.

Screenshots stay in the folder that MDLIB_SCREENSHOTS names, else where pytest keeps temporary files.
"""

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
from mdlib.creation.feed import open_feed
from mdlib.creation.sources import prop_cutouts, room_backgrounds
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Trainer, new_model
from mdlib.viewing.predict import Predictor
from mdlib.viewing.widgets.data import DataPanel
from mdlib.viewing.widgets.effects import EffectsPanel
from mdlib.viewing.widgets.predict import PredictPanel
from mdlib.viewing.widgets.stress import StressPanel
from mdlib.viewing.widgets.training import TrainingPanel
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
feed = open_feed([config.data], 0, 1, "cpu")
TrainingPanel(
    lambda: Trainer(config, new_model(config), lambda stage: feed(stage.size, stage.batch_size)), every_s=0.5
)
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
def voila(studio, repository, tmp_path_factory) -> Iterator[str]:
    """The address under which Voila shows notebooks of the studio: voila + "panels.ipynb"."""
    port = free_port()
    command = ["voila", str(studio), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    address = f"http://127.0.0.1:{port}/"
    with served(command, address, studio, repository, tmp_path_factory.mktemp("voila")):
        yield f"{address}voila/render/"


class served:
    """While entered, `python -m COMMAND` runs and answers under `address`."""

    def __init__(self, command: list[str], address: str, cwd: Path, repository: Path, home: Path):
        self.command, self.address, self.cwd = [sys.executable, "-m", *command], address, cwd
        paths = [str(repository), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        }
        self.log = home / "log.txt"

    def __enter__(self) -> None:
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.cwd, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                pytest.fail(f"the server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.2)

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.address, timeout=5).close()
        except urllib.error.HTTPError:
            return True  # it speaks, be it to refuse
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
