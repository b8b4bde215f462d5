"""The rows of a run through kills and full disks, and its lock: one process at a time."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from mdlib.training.run_folder import SILENT_S, Records, RunLock

resource = pytest.importorskip("resource")
CONFIG = {"run_id": "mine"}


def rows(records: Records) -> list[int]:
    return [json.loads(line)["step"] for line in records.metrics_path.read_text("utf-8").splitlines()]


def test_it_goes_back_to_the_metrics_of_the_checkpoint(tmp_path):
    records = Records(tmp_path)
    records.begin(CONFIG, b"")
    for step in (1, 2):
        records.add_metrics({"step": step})
    kept = records.metrics
    records.add_metrics({"step": 3})
    with open(records.metrics_path, "a") as file:
        file.write('{"step": 4, "los')  # killed amid a row
    (tmp_path / ".config.json.elsewhere.12.tmp").write_text("{")  # and amid a file
    again = Records(tmp_path)
    assert again.run_id == "mine"
    again.begin(CONFIG, kept)
    assert rows(again) == [1, 2]
    again.add_metrics({"step": 3})
    assert rows(again) == [1, 2, 3]
    assert again.metrics == again.metrics_path.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "metrics.jsonl", "samples"}


def test_rows_that_a_full_disk_refused_are_written_later(tmp_path):
    records = Records(tmp_path)
    records.begin(CONFIG, b"")
    records.add_metrics({"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))  # room for half of the second row
    try:
        with pytest.warns(UserWarning, match="metrics.jsonl is not written .*; training goes on") as warned:
            for step in (2, 3):
                records.add_metrics({"step": step})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(warned) == 1
    assert len(records.metrics.splitlines()) == 3
    records.add_metrics({"step": 4})
    records.add_metrics({"step": 5})
    assert rows(records) == [1, 2, 3, 4, 5]


pytest.importorskip("fcntl")

HOLD = """
import os, sys, time
from mdlib.training.run_folder import RunLock
with RunLock(sys.argv[1]):
    if len(sys.argv) > 2 and os.fork() == 0:
        time.sleep(60)  # a worker that outlives its process for a while
    print("in", flush=True)
    time.sleep(60)
"""


def hold(folder, repository, *more):
    """Another process that trains in the folder."""
    command = [sys.executable, "-c", HOLD, str(folder), *more]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=repository, start_new_session=True
    )
    assert process.stdout.readline() == "in\n"
    return process


def test_one_process_at_a_time(tmp_path, repository):
    other = hold(tmp_path, repository)
    message = f"is being trained by process {other.pid} on {socket.gethostname()}: stop it first"
    try:
        for _ in range(2):
            with pytest.raises(BlockingIOError, match=message), RunLock(tmp_path):
                pass
    finally:
        other.kill()
        other.communicate()
    with RunLock(tmp_path):  # what the killed one left is taken over
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_of_a_killed_process_does_not_hold_it(tmp_path, repository):
    other = hold(tmp_path, repository, "with a worker")
    other.kill()
    other.wait()
    try:
        with RunLock(tmp_path):
            pass
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.communicate()


@pytest.mark.parametrize(("silent_s", "refused"), [(1, True), (SILENT_S - 5, True), (SILENT_S + 1, False)])
def test_another_machine_is_known_by_its_word(tmp_path, silent_s, refused):
    said = {"host": "elsewhere", "pid": 12, "alive": time.time() - silent_s}
    (tmp_path / "lock.json").write_text(json.dumps(said))
    if refused:
        with (
            pytest.raises(BlockingIOError, match="process 12 on elsewhere, alive"),
            RunLock(tmp_path),
        ):
            pass
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == 12
    else:
        with RunLock(tmp_path):
            pass


@pytest.mark.parametrize("left", [b"", b"{", b"[1]", b'{"pid": 1}', b"null", b"7"])
def test_a_damaged_one_is_taken_over(tmp_path, left):
    (tmp_path / "lock.json").write_bytes(left)
    with RunLock(tmp_path):
        pass


def test_after_the_end_the_next_may(tmp_path):
    for _ in range(3):
        with RunLock(tmp_path / "new"):
            pass
