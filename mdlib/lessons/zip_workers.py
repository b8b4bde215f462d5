"""What it costs to read a large ZIP archive in worker processes, with `zipfile` and in place.

Measured in a fresh process without torch, so that nothing but the archive is counted, and workers can be
forked as a DataLoader does it on Linux: python -m mdlib.lessons.zip_workers ARCHIVE READS
"""

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from mdlib.loading.archive import Archive
from mdlib.loading.zip_writer import ShardWriter

WORKERS = 2
WAYS = ("zipfile, one for all", "zipfile, one each", "in place")

_opened: Archive | zipfile.ZipFile | None = None  # what workers inherit


def large_archive(path: Path, members: int) -> Path:
    """An archive of many small members at `path`, made where it is missing."""
    if not path.exists():
        with ShardWriter(path) as archive:
            for i in range(members):
                archive.add(f"mask/{i:09d}.png", b"%09d" % i * 12)
    return path


def reading_costs(path: Path, reads: int = 20_000) -> dict[str, dict[str, float]]:
    """For each of WAYS, the means of two workers: `open_s`, seconds to open the archive (in the worker, or
    once before); `memory_mb` that the worker holds for itself alone at the end (nan where the system does not
    tell); `reads_per_s`; `failed`, how many of `reads` random reads gave an error or wrong bytes.
    """
    package = str(Path(__file__).parents[2])
    search = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "mdlib.lessons.zip_workers", str(path), str(reads)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": search})
    if done.returncode:
        raise RuntimeError(f"{path} could not be measured: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def _measure(path: str, reads: int) -> dict[str, dict[str, float]]:
    global _opened
    found = {}
    for way in WAYS:
        begin = time.perf_counter()
        _opened = {WAYS[0]: zipfile.ZipFile, WAYS[1]: lambda path: None, WAYS[2]: Archive}[way](path)
        open_s = time.perf_counter() - begin
        with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as pool:
            tasks = [pool.submit(_work, path, reads, seed) for seed in range(WORKERS)]
            results = [task.result() for task in tasks]
        means = {name: sum(one[name] for one in results) / WORKERS for name in results[0]}
        found[way] = means | {"open_s": means["open_s"] or open_s}
        _opened = None
    return found


def _work(path: str, reads: int, seed: int) -> dict[str, float]:
    """Reads random members, through what was inherited or an archive of its own."""
    before, begin = _private_mb(), time.perf_counter()
    own = zipfile.ZipFile(path) if _opened is None else None
    open_s = time.perf_counter() - begin if own else 0.0
    archive = own or _opened
    count = len(archive) if isinstance(archive, Archive) else len(archive.infolist())
    read: Callable[[int], bytes] = (
        archive.read
        if isinstance(archive, Archive)
        else lambda i: archive.read(archive.infolist()[i])  # the same order
    )
    rng, failed, begin = random.Random(seed), 0, time.perf_counter()
    for _ in range(reads):
        i = rng.randrange(count)
        try:
            failed += read(i) != b"%09d" % i * 12
        except (zipfile.BadZipFile, ValueError, OSError, EOFError, zlib.error, NotImplementedError):
            failed += 1
    seconds = time.perf_counter() - begin
    memory_mb = _private_mb() - before
    return {"open_s": open_s, "memory_mb": memory_mb, "reads_per_s": reads / seconds, "failed": failed}


def _private_mb() -> float:
    """Memory that this process shares with no other; nan where the system does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return float("nan")
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1e3


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
