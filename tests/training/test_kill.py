"""A run killed with SIGKILL at random moments, and started again with the same command."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mdlib.training.checkpoint import Checkpoints, read

REPOSITORY = Path(__file__).resolve().parents[2]
# Stages end within epochs (20 batches). Of the long run: a stage is 24 steps, a check every 8; thirty kills
# take 150 to 250 of its steps.
SHORT = {"steps": 40, "size": None, "stages": "32:0.4,48:0.6", "checks": 3, "checkpoint_steps": 3, "keep": 2}
LONG = {**SHORT, "steps": 384, "stages": ",".join(["32:1,48:1"] * 8), "checks": 48}
MOMENTS = ("step", "saving", "mirroring", "pruning", "check", "switch")


class Run:
    """A run in a process of its own, in the folder `root`: run/, mirror/, trace."""

    def __init__(self, script: Path, data: Path, root: Path, settings: dict):
        root.mkdir()
        self.run, self.mirror, self.trace = root / "run", root / "mirror", root / "trace"
        words = (data, self.run, json.dumps({**settings, "mirror": str(self.mirror)}), self.trace)
        self.command = [sys.executable, str(script), *map(str, words)]
        self.trace.touch()

    def start(self) -> None:
        here = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": str(torch.get_num_threads())}
        self.begun = self.trace.stat().st_size
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **here},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a process group of its own
        )

    def wait_for(self, moment: str, after_s: float) -> None:
        """Return `after_s` after this is seen to go on; fails where it is not seen."""
        deadline = time.monotonic() + 300
        while not self._now(moment):
            assert self.process.poll() is None, f"ended without {moment}: {self.process.communicate()[0]}"
            assert time.monotonic() < deadline, f"no {moment} for five minutes"
            importing = self.trace.stat().st_size == self.begun
            time.sleep(0.05 if importing else 0.0005)
        time.sleep(after_s)

    def _tail(self) -> str:
        """What this process wrote to the trace."""
        with open(self.trace, encoding="utf-8") as file:
            file.seek(self.begun)
            return file.read()

    def _now(self, moment: str) -> bool:
        lines = self._tail().splitlines()
        if not lines:
            return False
        if moment == "step":
            return len(lines) > 8
        if moment == "check":
            return '"check"' in lines[-1]
        if moment == "switch":
            return len({line.split(",")[0] for line in lines if "stage" in line}) > 1
        folder, what = {
            "saving": (self.run, "new"),
            "mirroring": (self.mirror, "new"),
            "pruning": (self.run, "removed"),
        }[moment]
        return any(folder.glob(f"checkpoints/.step-*.{what}.*.{self.process.pid}.tmp"))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def finish(self) -> str:
        self.start()
        said, _ = self.process.communicate(timeout=600)
        assert self.process.returncode == 0, said
        return said


def read_order(trace: Path) -> dict:
    """(stage, epoch, batch) -> samples; whatever was repeated was repeated with the same samples."""
    found = {}
    for line in trace.read_text("utf-8").splitlines():
        *where, samples = json.loads(line)
        assert found.setdefault(tuple(where), samples) == samples
    return found


@pytest.fixture(scope="module")
def whole(fit, tmp_path_factory):
    """whole(settings): the folder of a run that nothing interrupted; each is made once. Read only."""

    @functools.cache
    def run(**settings) -> Path:
        root = tmp_path_factory.mktemp("whole")
        assert fit(root / "run", mirror=root / "mirror", trace=root / "trace", **settings).finished
        return root

    return run


def kill_and_compare(
    killed: Run, whole: Path, same_end, same_pictures, moments: list[str], seed: int
) -> None:
    """A run that is killed at these moments ends with the bits of the run in `whole` everywhere."""
    rng = random.Random(seed)
    for moment in moments:
        killed.start()
        killed.wait_for(moment, rng.choice((0, rng.uniform(0, 0.03))))
        assert killed.process.poll() is None, "it ended before it could be killed"
        killed.kill()
    said = killed.finish()
    same_end(killed.run, whole / "run")
    same_end(killed.mirror, whole / "run")
    same_pictures(killed.run, whole / "run")
    assert f"everything is in the mirror {killed.mirror} too" in said
    order = read_order(whole / "trace")
    assert {where: samples for where, samples in read_order(killed.trace).items() if where in order} == order
    for folder in (killed.run, killed.mirror):  # nothing half written is left, and all that is left is whole
        assert list(folder.glob("**/.*")) == []
        for path in Checkpoints(folder / "checkpoints").paths():
            read(path)


def test_three_kills(train_script, tiny_dataset, tmp_path, whole, same_end, same_pictures):
    killed = Run(train_script, tiny_dataset, tmp_path / "killed", SHORT)
    moments = ["saving", "mirroring", "switch"]
    kill_and_compare(killed, whole(**SHORT), same_end, same_pictures, moments, seed=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_to_the_whole_group_stops_and_goes_on(
    train_script, tiny_dataset, tmp_path, reference, reference_settings, same_end, number
):
    """As Ctrl-C in a terminal does, or a batch system."""
    stopped = Run(train_script, tiny_dataset, tmp_path / "stopped", reference_settings)
    stopped.start()
    stopped.wait_for("step", 0)
    os.killpg(stopped.process.pid, number)
    said, _ = stopped.process.communicate(timeout=300)
    assert stopped.process.returncode == 0, said
    assert f"stopped by {number.name}, saved at step" in said
    assert "goes on from step" in stopped.finish()
    same_end(stopped.run, reference)
    same_end(stopped.mirror, reference)


@pytest.mark.slow
def test_thirty_kills(train_script, tiny_dataset, tmp_path, whole, same_end, same_pictures):
    killed = Run(train_script, tiny_dataset, tmp_path / "killed", LONG)
    moments = random.Random(1).sample(MOMENTS * 5, 30)
    kill_and_compare(killed, whole(**LONG), same_end, same_pictures, moments, seed=1)
