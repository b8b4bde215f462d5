"""Opening an archive of a million members, reading them at random, and what workers keep: mdlib and zipfile.

    python -m benchmarks.speed.index           builds an archive of 1,200,000 members (1.4 GB) first

Times to open are taken in fresh processes, in turns; random reads in one process, in turns. Members come in
threes, as the pictures of a sample do. Memory of a worker is what each of two holds for itself after as many
random reads as there are members, beyond what one that read nothing holds.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from benchmarks import harness
from mdlib.loading.archive import Archive
from mdlib.loading.zip_writer import ShardWriter

KINDS = ("fg_bg", "mask", "depth")
TOGETHER = 192  # the members of a batch of 64 samples
READS = 192_000  # of one measurement with mdlib; zipfile gets an eighth
WORKERS = 2
MB = 1e6


def member_name(i: int) -> str:
    return f"{KINDS[i % 3]}/s{i // 3:08d}.bin"


def build(path: Path, members: int, size: int) -> None:
    """An archive with members of `size` bytes, each with its number in front."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = bytes(size - 8)
    with ShardWriter(path) as archive:
        for i in range(members):
            archive.add(member_name(i), i.to_bytes(8, "little") + rest)


def opening(open_archive: Callable, path: Path) -> dict[str, float]:
    """Seconds, and memory in MB: what stays, and the peak."""
    process = psutil.Process()
    before = process.memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    begin = time.perf_counter()
    archive = open_archive(path)
    elapsed = time.perf_counter() - begin
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(status.partition("VmHWM:")[2].split()[0]) - before
    kept = process.memory_info().rss - before
    del archive
    return {"open_s": elapsed, "kept_mb": kept / MB, "peak_mb": peak / MB}


def finding(path: Path) -> dict[str, float]:
    """Looking up a third of all names at once, as a data set does when it opens."""
    archive = Archive(path)
    names = np.array([member_name(i) for i in range(0, len(archive), 3)], "S")
    before = psutil.Process().memory_info().rss
    begin = time.perf_counter()
    found = archive.find_many(names)
    elapsed = time.perf_counter() - begin
    assert (found == np.arange(0, len(archive), 3)).all()
    return {"find_s": elapsed, "kept_mb": (psutil.Process().memory_info().rss - before) / MB}


def reading(path: Path, rounds: int) -> dict[str, list[float]]:
    """Random members per second, in turns."""
    ours, theirs = Archive(path), zipfile.ZipFile(path)
    names = theirs.namelist()
    rates: dict[str, list[float]] = {}
    for i in range(-1, rounds):  # the first is a warm-up
        random = np.random.default_rng(i + 1).integers(len(ours), size=READS)
        numbers, few = random.tolist(), random[: READS // 8].tolist()
        samples = (random[: READS // 3, None] // 3 * 3 + np.arange(3)).reshape(-1)
        ways = {
            "mdlib, batches of 64 random samples": (np.split(samples, READS // TOGETHER), ours.read_many),
            f"mdlib, batches of {TOGETHER} random members": (
                np.split(random, READS // TOGETHER),
                ours.read_many,
            ),
            "mdlib, one by one": (numbers, ours.read),
            "mdlib, one by one, CRC compared": (numbers, lambda k: ours.read(k, verify=True)),
            "zipfile": ([names[k] for k in few], theirs.read),
        }
        for name, (keys, read) in ways.items():
            begin = time.perf_counter()
            for key in keys:
                read(key)
            if i >= 0:
                count = len(few) if name == "zipfile" else READS
                rates.setdefault(name, []).append(count / (time.perf_counter() - begin))
        assert ours.read_many(few[:100]) == [theirs.read(names[k]) for k in few[:100]]
    return rates


def worker_memory(kind: str, method: str, path: Path) -> float:
    """MB that a worker holds for itself after reading, beyond one that only started."""
    archive = Archive(path) if kind == "mdlib" else zipfile.ZipFile(path)
    given = archive if method == "fork" else None
    context = multiprocessing.get_context(method)
    (empty,) = _workers(context, 1, given, 0)
    count = WORKERS if kind == "mdlib" else 1  # two that share a handle of zipfile disturb one another
    return max(_workers(context, count, archive, len(_numbers_of(archive)))) - empty


def _workers(context, count: int, archive: Archive | zipfile.ZipFile | None, reads: int) -> list[float]:
    """MB of each of several workers that are alive at the same time, as those of a loader are."""
    done = context.Barrier(count)
    pipes, processes = [], []
    for seed in range(count):
        pipe, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(archive, reads, seed, done, theirs))
        process.start()
        theirs.close()
        pipes.append(pipe)
        processes.append(process)
    held = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    return held


def _work(archive: Archive | zipfile.ZipFile | None, reads: int, seed: int, done, pipe) -> None:
    _read_at_random(archive, reads, seed)
    done.wait()
    held = harness.private_mb(os.getpid())
    done.wait()
    pipe.send(held)


def _numbers_of(archive: Archive | zipfile.ZipFile) -> range:
    return range(len(archive) if isinstance(archive, Archive) else len(archive.filelist))


def _read_at_random(archive: Archive | zipfile.ZipFile | None, reads: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for done in range(0, reads, READS):
        numbers = rng.integers(len(_numbers_of(archive)), size=min(READS, reads - done))
        if isinstance(archive, Archive):
            for some in np.split(numbers, range(TOGETHER, len(numbers), TOGETHER)):
                archive.read_many(some)
        else:
            for k in numbers.tolist():
                archive.read(archive.filelist[k])


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--members", type=int, default=1_200_000, help="members of the archive that is built")
    parser.add_argument("--bytes", type=int, default=1000, help="size of a member")
    options = parser.parse_args()
    folder = options.data or Path(tempfile.gettempdir()) / "mdlib-index"
    path = folder / f"{options.members}x{options.bytes}.zip"
    harness.in_fresh_process(build, path, options.members, options.bytes)
    openers = {"mdlib": Archive, "zipfile": zipfile.ZipFile}
    opened = {name: [] for name in openers}
    for _ in range(options.rounds):
        for name, open_archive in openers.items():
            opened[name].append(harness.in_fresh_process(opening, open_archive, path))
    found = [harness.in_fresh_process(finding, path) for _ in range(options.rounds)]
    rates = harness.in_fresh_process(reading, path, options.rounds)
    kept = {
        "mdlib, fork": harness.in_fresh_process(worker_memory, "mdlib", "fork", path),
        "mdlib, spawn": harness.in_fresh_process(worker_memory, "mdlib", "spawn", path),
        "zipfile, fork": harness.in_fresh_process(worker_memory, "zipfile", "fork", path),
    }
    about = {"machine": harness.machine(), "members": options.members, "bytes": options.bytes}
    results = {**about, "open": opened, "find": found, "reads_per_s": rates, "worker_mb": kept}
    print(report(results))
    harness.write_results(options.json, results, report(results))


def report(results: dict) -> str:
    """Tables of opening, reading and workers."""

    def median(rows: list[dict], key: str) -> float:
        return statistics.median(row[key] for row in rows)

    rows = [
        [n, f"{median(r, 'open_s'):.2f}", f"{median(r, 'kept_mb'):.0f}", f"{median(r, 'peak_mb'):.0f}"]
        for n, r in results["open"].items()
    ]
    found, rates = results["find"], results["reads_per_s"]
    parts = [
        f"{results['members']:,} members of {results['bytes']:,} bytes; {results['machine']}",
        harness.table(["opening", "seconds", "kept MB", "peak MB"], rows),
        f"Finding a third of the names: {median(found, 'find_s'):.2f} s, "
        f"{median(found, 'kept_mb'):.0f} MB more",
    ]
    base = rates["zipfile"]
    rows = [[n, f"{statistics.median(r):,.0f}", f"{harness.ratio(r, base):.1f}"] for n, r in rates.items()]
    parts.append(harness.table(["random reads", "per second", "x zipfile"], rows))
    rows = [[name, f"{mb:.0f}"] for name, mb in results["worker_mb"].items()]
    parts.append(harness.table(["worker after reading", "own MB"], rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
