"""Several processes train as one; gloo, on the CPU."""

import json
import multiprocessing
import runpy
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from mdlib.training.checkpoint import Checkpoints, read
from mdlib.training.run_folder import WALL_CLOCK

SCRIPT = Path(__file__).with_name("distributed_script.py")
LONGEST_S = 240  # on a machine that is busy; what is waited for takes seconds
# Batches of 5: shares of 3 and 2. The first stage ends within an epoch.
STAGES = "16:0.5:5:freeze=mask_decoder,24:0.5:6:freeze=encoder+depth_decoder:lr=0.002"


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(SCRIPT))


class Together:
    """Processes that train together; started from one that has imported everything."""

    def __init__(self, folder: Path, count: int, fit: dict, **others: Any):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["mdlib.training.trainer", "mdlib.loading.loader"])
        folder.mkdir()
        self.folder, self.processes = folder, []
        for rank in range(count):
            job = {"rank": rank, "size": count, "meeting": folder / "meeting", "report": folder, "fit": fit}
            job |= {name: value for name, value in others.items() if not name.endswith("_of")}
            if others.get("signal_of", rank) != rank:
                job.pop("signal", None)
            arguments = (str(SCRIPT), {"JOB": job}, "__main__")
            self.processes.append(context.Process(target=runpy.run_path, args=arguments, daemon=True))
        for process in self.processes:
            process.start()

    def end(self) -> list[dict]:
        """What each process reports, once all have ended."""
        for process in self.processes:
            process.join(LONGEST_S)
            assert not process.is_alive(), f"a process waits for ever\n{self.said()}"
        found = [self.folder / f"{rank}.json" for rank in range(len(self.processes))]
        return [json.loads(path.read_text()) if path.exists() else {} for path in found]

    def said(self, rank: int | None = None) -> str:
        files = sorted(self.folder.glob("*.txt")) if rank is None else [self.folder / f"{rank}.txt"]
        return "\n".join(file.read_text() for file in files)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.join()


@pytest.fixture
def together(tiny_dataset, tmp_path):
    """together(run, count=2, **settings): starts processes that train in tmp_path/run."""
    teams = []

    def start(run: str, count: int = 2, others: dict | None = None, **settings) -> Together:
        fit = {"data": tiny_dataset, "run": tmp_path / run, **settings}
        teams.append(Together(tmp_path / f"report {len(teams)}", count, fit, **(others or {})))
        return teams[-1]

    yield start
    for team in teams:
        team.kill()


@pytest.fixture
def alone(script, tiny_dataset, tmp_path):
    """alone(run, **settings) -> (how it ended, samples seen): the same training by this process."""

    def run(folder: str, **settings) -> tuple:
        seen: list = []
        fitted = script["train"]({"fit": {"data": tiny_dataset, "run": tmp_path / folder, **settings}}, seen)
        return fitted, seen

    return run


def last(run: Path):
    return read(Checkpoints(run / "checkpoints").paths()[-1])


def assert_near(one: Path, other: Path, tolerance: float) -> None:
    """Two runs with the same metrics and weights, up to rounding."""
    rows = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (one, other)
    ]
    assert len(rows[0]) == len(rows[1]) > 0
    for row, expected in zip(*rows, strict=True):
        for name in set(row) - set(WALL_CLOCK):
            assert row[name] == pytest.approx(expected[name], abs=tolerance), (row, expected)
    tensors, expected = last(one).tensors, last(other).tensors
    for name in expected:
        if name.startswith(("model.", "average.")):
            torch.testing.assert_close(tensors[name], expected[name], rtol=0, atol=tolerance, msg=name)


def test_two_train_as_one(together, alone, tmp_path):
    """mdnet with all its BatchNorms; unequal shares; depth unknown in some samples."""
    settings = {"steps": 4, "optimizer": "sgd", "lr": 0.01, "checks": 2, "checkpoint_steps": 2}
    team = together("two", **settings)
    _, seen_alone = alone("one", **settings)
    first, second = team.end()
    assert "error" not in first and "error" not in second, team.said()
    assert first["fitted"] == second["fitted"]
    assert_near(tmp_path / "two", tmp_path / "one", 2e-4)
    batches = [[batch for what, *_, batch in report["seen"] if what != "check"] for report in (first, second)]
    assert {(len(a), len(b)) for a, b in zip(*batches, strict=True)} == {(3, 2)}
    assert [a + b for a, b in zip(*batches, strict=True)] == [
        batch for what, *_, batch in seen_alone if what != "check"
    ]
    # The second one looks at nothing but its samples, writes nothing, and says nothing.
    assert first["written"] and not second["written"]
    assert not [what for what, *_ in second["seen"] if what == "check"]
    assert "is finished after 4 steps" in team.said(0) and "finished" not in team.said(1)
    assert "%|" not in team.said(1)


@pytest.mark.parametrize(
    "settings",
    [
        {
            "network": {"normalised": True},
            "stages": STAGES,
            "size": None,
            "clip": 0.02,
            "loss": "mdnet + depth of objects and pairs",
        },
        {
            "network": {"normalised": False},
            "accumulate": 2,
            "clip": 0.02,
            "batch_size": 7,
            "loss": "BCE + SILog",
        },
        {"network": {"normalised": True}, "stop_checks": 1, "checks": 6, "lr": 1e-9},
    ],
    ids=["frozen stages", "parts", "early end"],
)
def test_two_take_the_steps_of_one(together, alone, tmp_path, settings):
    settings = {"steps": 8, "optimizer": "sgd", "lr": 0.1, **settings}
    team = together("two", **settings)
    fitted, seen_alone = alone("one", **settings)
    reports = team.end()
    assert all(report["fitted"]["step"] == fitted.step for report in reports), team.said()
    assert fitted.step == (3 if "stop_checks" in settings else 8)
    assert_near(tmp_path / "two", tmp_path / "one", 1e-5)


def test_an_epoch_holds_each_sample_once(together):
    team = together("run", count=3, epochs=2, network={}, batch_size=10)
    reports = team.end()
    for epoch in (0, 1):
        seen = [i for report in reports for what, e, _, batch in report["seen"] if e == epoch for i in batch]
        assert len(seen) == len(set(seen)) == 80, team.said()


def test_a_stopped_pair_goes_on_exactly_and_one_or_three_nearly(together, alone, tmp_path):
    """The signal reaches one process, and both stop. What each draws itself goes on too, with as many."""
    settings = {"steps": 12, "network": {"drawing": True}, "checks": 3, "checkpoint_steps": 5}
    whole = together("whole", **settings)
    for number in (1, 0):
        at = {"signal": ["stage 0", 0, 3 + 4 * (1 - number)], "signal_of": number}
        stopped = together("run", others=at, **settings)
        ends = [report["fitted"] for report in stopped.end()]
        assert [end["finished"] for end in ends] == [False, False], stopped.said()
        assert [end["step"] for end in ends] == [4 + 4 * (1 - number)] * 2
        assert "stopped by SIGTERM, saved at step" in stopped.said(0)
    for run in ("one", "three"):
        shutil.copytree(tmp_path / "run", tmp_path / run)
    assert all(report["fitted"]["finished"] for report in together("run", **settings).end())
    three = together("three", count=3, **settings)
    fitted, seen = alone("one", **settings)
    order = [batch for what, *_, batch in whole.end()[0]["seen"] if what != "check"]
    assert fitted.finished and [batch[:3] for what, *_, batch in seen if what != "check"] == order[8:]
    assert all(report["fitted"]["finished"] for report in three.end()), three.said()
    run, expected = last(tmp_path / "run"), last(tmp_path / "whole")
    assert set(run.tensors) == set(expected.tensors) > {"random.0.cpu", "random.1.cpu"}
    for name, tensor in expected.tensors.items():
        assert torch.equal(run.tensors[name], tensor), name
    assert_near(tmp_path / "run", tmp_path / "whole", 0)
    assert set(last(tmp_path / "three").tensors) - set(expected.tensors) == {"random.2.cpu"}


@pytest.mark.parametrize("killed", [0, 1])
def test_who_is_left_alone_says_how_to_go_on(together, alone, wait_until, tmp_path, killed):
    settings = {"steps": 10_000, "network": {}, "checkpoint_steps": 2, "checks": 0}
    team = together("run", **settings)
    wait_until(lambda: list((tmp_path / "run/checkpoints").glob("step-*")), LONGEST_S, team.said)
    team.processes[killed].kill()
    report = team.end()[1 - killed]
    assert report["error"].startswith("ConnectionError: another of the 2 processes has ended"), team.said()
    assert "goes on from the last checkpoint, also with another number of processes" in report["error"]
    step = last(tmp_path / "run").state["step"]
    fitted, _ = alone("run", **{**settings, "steps": step + 1})
    assert (fitted.finished, fitted.step) == (True, step + 1)


def test_all_raise_the_error_of_the_first(together, tmp_path):
    (tmp_path / "run").mkdir()
    said = {"host": "elsewhere", "pid": 12, "alive": time.time() + 1000}
    (tmp_path / "run/lock.json").write_text(json.dumps(said))
    team, small = together("run", steps=1), together("small", steps=1, batch_size=3, accumulate=2)
    for report in team.end():
        assert "is being trained by process 12 on elsewhere" in report["error"], team.said()
    for report in small.end():
        assert "2 processes share batches of 3, so that some get 1 samples" in report["error"], small.said()


def test_time_ends_all_at_one_step(together):
    team = together("run", minutes=0.02, network={}, checks=0)
    first, second = (report["fitted"] for report in team.end())
    assert first == second and first["finished"] and first["step"] > 0


NOTEBOOK = """
import sys
from accelerate import notebook_launcher
from mdlib.run import new_model, open_feed
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Trainer

def train(data, run):
    config = TrainConfig(data, run, model="conv2-mask", steps=2, size=16, batch_size=4, checks=0, workers=1)
    trainer = Trainer(config, new_model(config), open_feed(config))
    trainer.fit()
    assert trainer.processes.size == 2

data, run, port = sys.argv[1:]
notebook_launcher(train, (data, run), num_processes=2, use_port=port)
"""


def test_notebook_launcher(tiny_dataset, tmp_path, repository):
    command = [sys.executable, "-c", NOTEBOOK, str(tiny_dataset), str(tmp_path / "run"), str(free_port())]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=repository, timeout=LONGEST_S)
    assert ended.returncode == 0, ended.stderr
    assert "is finished after 2 steps" in ended.stdout
    assert {"random.0.cpu", "random.1.cpu"} <= set(last(tmp_path / "run").tensors)


def test_the_command_line_with_a_rank_that_is_killed(
    tiny_dataset, tmp_path, repository, command_line, wait_until
):
    run, settings = tmp_path / "run", ["--size", "16", "--batch-size", "4", "--checkpoint-steps", "9"]
    train = ["train", str(tiny_dataset), "--run", str(run), "--workers", "1", "--checks", "0", *settings]
    train += ["--model", "conv2-mask"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, "-m", "mdlib", "--", *train, "--steps", "100000"]
    said = (tmp_path / "said").read_text
    with open(tmp_path / "said", "w") as file:
        launcher = subprocess.Popen(command, stdout=file, stderr=file, cwd=repository)
    try:
        saved = "checkpoints/step-*"
        wait_until(lambda: launcher.poll() is not None or list(run.glob(saved)), LONGEST_S, said)
        assert launcher.poll() is None, said()
        ranks = psutil.Process(launcher.pid).children()
        second = next(rank for rank in ranks if rank.environ()["RANK"] == "1")
        second.kill()
        assert launcher.wait(LONGEST_S) != 0
    finally:
        for process in psutil.Process(launcher.pid).children() if launcher.poll() is None else []:
            process.kill()
        launcher.kill()
        launcher.wait()
    assert "error: another of the 2 processes has ended" in said()
    step = last(run).state["step"]
    ended = command_line(*train, "--steps", str(step + 1))
    assert ended.code == 0 and f"goes on from step {step}" in ended.out


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
