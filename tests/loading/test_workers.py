import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader

if not hasattr(signal, "sigtimedwait"):
    pytest.skip("the system does not say who sent a signal", allow_module_level=True)


def alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"  # one that has ended may stay in the list of a system that nobody tidies up


def test_workers_stop_when_their_parent_says_so(tiny_dataset):
    loader = make_loader(open_dataset(tiny_dataset), 4, workers=2)
    batches = iter(loader)
    seen = next(batches)["index"].tolist()
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    for worker in workers:  # as from outside: not this process, but a shell sends it
        for name in ("TERM", "INT"):
            subprocess.run(["sh", "-c", f"kill -{name} {worker.pid}"], check=True)
    for batch in batches:
        seen += batch["index"].tolist()
    assert seen == list(range(len(loader.dataset)))
    assert multiprocessing.active_children() == []
    batches = iter(loader)
    next(batches)
    worker = multiprocessing.active_children()[0]
    worker.terminate()
    worker.join(60)
    assert worker.exitcode == 0
    batches.close()
    assert multiprocessing.active_children() == []


# Prints who its workers are, and then ends as said, with batches still to come.
SCRIPT = """
    import multiprocessing, os, signal, sys, threading, time
    from mdlib.loading.dataset import open_dataset
    from mdlib.loading.loader import make_loader
    batches = iter(make_loader(open_dataset(sys.argv[1]), 4, workers=2))
"""
AT_WORK = "next(batches)"
JUST_BEGUN = """
    os.register_at_fork(after_in_child=lambda: time.sleep(3))
    threading.Thread(target=next, args=[batches], daemon=True).start()
    while len(multiprocessing.active_children()) < 2: time.sleep(0.01)
"""
WHO = "print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    "start, ending, code", [(AT_WORK, "pass", 0), (AT_WORK, KILL, -9), (JUST_BEGUN, KILL, -9)]
)
def test_no_worker_outlives_its_parent(tiny_dataset, repository, wait_until, start, ending, code):
    script = "\n".join(textwrap.dedent(part) for part in (SCRIPT, start, WHO, ending))
    command = [sys.executable, "-c", script, str(tiny_dataset)]
    here = {**os.environ, "PYTHONPATH": str(repository)}
    ended = subprocess.Popen(command, env=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    workers = ended.stdout.readline().split()  # not to its end, which the workers hold open, too
    assert len(workers) == 2
    assert ended.wait(60) == code
    wait_until(lambda: not any(map(alive, workers)), 60)
