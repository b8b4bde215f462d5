"""What the tests of training share: a small run, and how to tell that two runs are the same."""

import itertools
import json
import os
import runpy
import signal
import subprocess
from pathlib import Path

import pytest

from mdlib.training.checkpoint import METRICS, TENSORS, Checkpoints
from mdlib.training.run_folder import WALL_CLOCK

SCRIPT = Path(__file__).with_name("train_script.py")


@pytest.fixture(scope="session")
def train_script() -> Path:
    return SCRIPT


@pytest.fixture(scope="session")
def script_names() -> dict:
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="session")
def fit(script_names, tiny_dataset):
    """fit(run, **settings): trains on the tiny data set at 32 px in batches of 4."""

    def run(folder: Path, **settings):
        return script_names["fit"](tiny_dataset, folder, **settings)

    return run


@pytest.fixture(scope="session")
def loaders(script_names, tiny_dataset):
    """make_loaders for the tiny data set."""
    config = script_names["TrainConfig"](data=tiny_dataset, **script_names["SMALL"])
    return script_names["loaders_for"](config)


# 20 batches are an epoch: the second one is cut short by the change of size and batch size at step 24; checks
# at 15 and 30.
REFERENCE = {"steps": 30, "size": None, "stages": "32:0.8,48:0.2:3", "checkpoint_steps": 3}


@pytest.fixture(scope="session")
def reference_settings() -> dict:
    return dict(REFERENCE)


@pytest.fixture(scope="session")
def reference(fit, tmp_path_factory) -> Path:
    """A run with the reference settings that nothing interrupted. Read only."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert fit(folder, **REFERENCE).finished
    return folder


@pytest.fixture(scope="session")
def watched(script_names) -> type:
    """watched(loader, before): calls before(epoch, number, batch) before the loader gives each batch."""
    return script_names["Watched"]


@pytest.fixture(scope="session")
def stop_before(watched):
    """stop_before(make_loaders, count): loaders that send this process a SIGTERM before the batch with this
    number of all that they give."""

    def stopping(make_loaders, count: int):
        numbers = itertools.count(1)

        def before(*_):
            if next(numbers) == count:
                os.kill(os.getpid(), signal.SIGTERM)

        def make(stage):
            train, check = make_loaders(stage)
            return watched(train, before), check

        return make

    return stopping


@pytest.fixture(scope="session")
def metric_rows():
    """The rows of a run's metrics.jsonl without what a clock says."""

    def rows(folder: Path) -> list[dict]:
        found = [json.loads(line) for line in (folder / METRICS).read_text("utf-8").splitlines()]
        return [{name: value for name, value in row.items() if name not in WALL_CLOCK} for row in found]

    return rows


@pytest.fixture(scope="session")
def same_end(metric_rows):
    """Asserts that two finished runs have the same bits everywhere, the clock's apart."""

    def compare(one: Path, other: Path) -> None:
        assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
        last = [Checkpoints(folder / "checkpoints").paths()[-1] for folder in (one, other)]
        assert last[0].name == last[1].name
        assert (last[0] / TENSORS).read_bytes() == (last[1] / TENSORS).read_bytes()
        assert metric_rows(one) == metric_rows(other)

    return compare


@pytest.fixture
def small_drive(tmp_path):
    """A drive with room for 1 MB, connected to tmp_path/drive."""
    drive = tmp_path / "drive"
    drive.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(drive)]
    if os.geteuid() or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small drive")
    yield drive
    subprocess.run(["umount", "-l", str(drive)], capture_output=True)


@pytest.fixture(scope="session")
def same_pictures():
    """Asserts that two finished runs have the same sheets, one per check, and TensorBoard the same points."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def points(folder: Path) -> dict[str, list[tuple]]:
        found = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0, "images": 0})
        found.Reload()
        tags = [
            tag for tag in found.Tags()["scalars"] if not tag.endswith(WALL_CLOCK) and "memory" not in tag
        ]
        images = [(event.step, event.encoded_image_string) for event in found.Images("samples")]
        scalars = {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags}
        return {**scalars, "samples": images}

    def compare(one: Path, other: Path) -> None:
        sheets = [
            {path.name: path.read_bytes() for path in (run / "samples").iterdir()} for run in (one, other)
        ]
        assert sheets[0] == sheets[1] != {}
        assert points(one) == points(other)

    return compare
