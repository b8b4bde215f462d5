"""A whole data set by the command of every day, all of whose processes are killed (SIGKILL) on the way.

Run by `benchmarks/create.py --full`. Memory is the sum of the PSS of all processes of the command.
"""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mdlib.files import sha256_of
from mdlib.loading.format import DATASET_FILE

if TYPE_CHECKING:
    from benchmarks.speed.create import Config

EVERY_S = 1.0  # between two looks at the memory
SAMPLES = 400_000


def run(config: "Config", out: Path) -> dict:
    """Make the data set in `out`; print and return time, size and memory."""
    words = [sys.executable, "-m", "mdlib", "create", out, "--rooms", config.backgrounds]
    words += ["--props", config.props, "--placements", config.placements, "--size", config.size]
    words += ["--encoding", config.encoding, "--workers", config.workers]
    stops = [config.backgrounds * (k + 1) // (config.kills + 1) for k in range(config.kills)]
    start, peak = time.perf_counter(), 0.0
    for stop in [*stops, None]:
        process = subprocess.Popen([str(word) for word in words], start_new_session=True)
        while process.poll() is None and (stop is None or _finished(out) < stop):
            peak = max(peak, _pss_mb(process.pid))
            time.sleep(EVERY_S)
        if stop is not None:
            if process.poll() is not None:
                sys.exit(f"the command ended with {process.returncode} before it was to be killed")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"killed after {time.perf_counter() - start:.0f} s, {_finished(out)} shards finished")
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"the command ended with {process.returncode}")
    shards = json.loads((out / DATASET_FILE).read_text())["shards"]
    samples = sum(shard["samples"] for shard in shards)
    _verify(out, shards)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{samples:,} samples at {config.size} px, {config.encoding}, killed {config.kills} times: ")
    print(f"  {seconds / 60:.1f} minutes ({samples / seconds:.0f} samples/s), {size / 1e9:.2f} GB")
    print(f"  ({size / samples / 1000:.1f} kB each), peak memory {peak:.0f} MB; every shard is whole")
    if samples != SAMPLES:
        factor = SAMPLES / samples
        print(f"  for {SAMPLES:,}: {seconds * factor / 60:.1f} minutes, {size * factor / 1e9:.1f} GB")
    return {
        "samples": samples, "seconds": seconds, "bytes": size, "peak_mb": peak, "kills": config.kills,
        "size": config.size, "encoding": config.encoding, "workers": config.workers,
    }  # fmt: skip


def _finished(out: Path) -> int:
    return len(list(out.glob("shard-*.zip")))


def _pss_mb(pid: int) -> float:
    """PSS of the process and all its descendants."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:  # one of them has just ended
        pass
    return total / 1e6


def _verify(out: Path, shards: list[dict]) -> None:
    """Every shard has its checksum, and `zipfile` reads one of them to the end."""
    for shard in shards:
        if sha256_of(out / shard["name"]) != shard["sha256"]:
            sys.exit(f"{shard['name']} is damaged")
    with zipfile.ZipFile(out / shards[0]["name"]) as archive:
        assert archive.testzip() is None
