"""Worker processes: how they begin and end. On Dask: test_workers_on_dask."""

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from mdlib.creation.workers import executor_of, run_all


def test_an_interrupt_leaves_workers_alone_that_are_just_beginning(capfd):
    others = set(multiprocessing.active_children())
    with executor_of(3) as pool:
        tasks = [pool.submit(abs, number) for number in range(3)]
        workers = set(multiprocessing.active_children()) - others  # still importing, which takes seconds
        for worker in workers:
            os.kill(worker.pid, signal.SIGINT)
        assert len(workers) == 3 and [task.result() for task in tasks] == [0, 1, 2]
    assert "Traceback" not in capfd.readouterr().err


def test_a_worker_that_dies_is_reported():
    with (
        pytest.raises(RuntimeError, match="stopped from outside.*run the same command again"),
        executor_of(2) as pool,
    ):
        list(run_all(pool, [(os._exit, 3)], 2))


def test_workers_of_a_script_without_a_guard_are_explained(tmp_path):
    (tmp_path / "script.py").write_text(
        "from mdlib.creation.create import CreateConfig, create\n"
        f"create(CreateConfig({str(tmp_path / 'set')!r}, rooms=1, props=1, placements=1, size=32, workers=2))"
    )
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'belongs under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
