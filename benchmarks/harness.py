"""Comparing ways to do one thing: each in a process of its own, in turns, with their memory.

Speeds of a shared machine drift by a quarter within minutes. So all ways stay alive during a run, stopped
(SIGSTOP) while it is not their turn, and every ratio is taken within one round and then the median of them.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil

from mdlib.files import write_whole

BATCH = 64
WORKERS = 2  # of every DataLoader
WARM_BATCHES = 6  # taken before each measurement: more than what lies ready after a pause
WARM_S = 1.5  # or for so long
SLOW_S = 4.0  # a measurement ends after so many seconds also where not all samples were taken

Stream = Iterator[int]  # endless; each item says how many samples were delivered


class Contestant:
    """One way to load, alive in a process group of its own; `open_stream(*args)` is called in there."""

    def __init__(self, name: str, open_stream: Callable[..., Stream], args: tuple):
        self.name, self.rates, self.memory_mb = name, [], 0.0
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(open_stream, args, theirs))
        self._process.start()
        theirs.close()
        self._receive()
        self._signal(signal.SIGSTOP)

    def take(self, samples: int) -> None:
        """Measure samples/s once, then the memory of the whole process group."""
        self._signal(signal.SIGCONT)
        self._pipe.send(samples)
        self.rates.append(self._receive())
        self._signal(signal.SIGSTOP)
        self.memory_mb = max(self.memory_mb, tree_memory_mb(self._process.pid))

    def close(self) -> None:
        self._signal(signal.SIGCONT)
        with contextlib.suppress(OSError):  # it has ended already
            self._pipe.send(None)
            self._process.join(15)
        self._signal(signal.SIGKILL)  # what is left of the group
        self._process.join()

    def _receive(self) -> float:
        try:
            return self._pipe.recv()
        except EOFError:
            sys.exit(f"{self.name} failed; its error stands above")

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _serve(open_stream: Callable[..., Stream], args: tuple, pipe) -> None:
    # A group, not a session: should the main process be killed, the system ends the groups that it stopped.
    os.setpgrp()
    multiprocessing.set_start_method("fork", force=True)  # of DataLoader workers, as usual on Linux
    stream = open_stream(*args)
    _take(stream, WARM_BATCHES * BATCH, WARM_S)
    pipe.send(0.0)
    while (wanted := pipe.recv()) is not None:
        _take(stream, WARM_BATCHES * BATCH, WARM_S)
        pipe.send(_take(stream, wanted, SLOW_S))
    stream.close()


def _take(stream: Stream, samples: int, seconds: float) -> float:
    """Samples per second until so many are taken or so much time is over."""
    taken, begin, elapsed = 0, time.perf_counter(), 0.0
    while taken < samples and elapsed < seconds:
        taken += next(stream)
        elapsed = time.perf_counter() - begin
    return taken / elapsed


def repeat(loader: Iterable) -> Stream:
    """The samples in each batch of a loader, epoch after epoch."""
    while True:
        for batch in loader:
            yield batch if isinstance(batch, int) else len(next(iter(_columns(batch))))


def _columns(batch: dict | list) -> Iterable:
    return batch.values() if isinstance(batch, dict) else batch


def compete(ways: dict[str, tuple], rounds: int, take: int) -> list[Contestant]:
    """Start every way (name -> (open_stream, *args)), measure `rounds` times in turns, stop them."""
    contestants = []
    try:
        for name, (open_stream, *args) in ways.items():
            print(f"starting {name}", file=sys.stderr)
            contestants.append(Contestant(name, open_stream, tuple(args)))
        for i in range(rounds):
            print(f"round {i + 1} of {rounds}", file=sys.stderr)
            for contestant in contestants:
                contestant.take(take)
    finally:
        for contestant in contestants:
            contestant.close()
    return contestants


def in_fresh_process(function: Callable, *args: object) -> object:
    """The result of `function(*args)` from a process that did nothing before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def ratio(a: list[float], b: list[float]) -> float:
    """The median over the rounds of a / b, both of the same round."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def tree_memory_mb(pid: int) -> float:
    """What the process `pid` and its descendants take together, each page once, as if they ran alone.

    Anonymous and shared memory as PSS summed over the processes. PSS of mapped files would be divided by
    all processes of the machine that happen to use the same libraries: of each file the largest resident
    part in any one process counts instead.
    """
    anonymous, files = 0, {}
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        for area in process.memory_maps(grouped=True):
            if area.path.startswith("/") and not area.path.startswith(("/dev/shm", "/dev/zero", "/memfd")):
                files[area.path] = max(files.get(area.path, 0), area.rss)
            else:
                anonymous += area.pss
    return (anonymous + sum(files.values())) / 1e6


def private_mb(pid: int) -> float:
    """Memory that only the process `pid` holds, and that its end would free."""
    return psutil.Process(pid).memory_full_info().uss / 1e6


def table(head: list[str], rows: list[list]) -> str:
    """Markdown; the first column to the left, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def parser(text: str) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=text, formatter_class=raw)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each way; medians are printed")
    parser.add_argument("--data", type=Path, help="folder for what is built (kept, and used again)")
    parser.add_argument("--json", type=Path, help="write all numbers here, the tables beside it as .md")
    return parser


def machine() -> str:
    import torch

    name = "CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
            break
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores ({name}), Python {python}, torch {torch.__version__}"


def write_results(path: Path | None, numbers: dict, report: str) -> None:
    """All numbers as JSON in `path`, what is printed about them beside it as .md."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(numbers, indent=1) + "\n").encode())
        write_whole(path.with_suffix(".md"), (report.rstrip() + "\n").encode())
