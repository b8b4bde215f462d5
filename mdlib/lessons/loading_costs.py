"""What loading costs: archives read in worker processes, and samples per second beside the plain way to load.

How an archive is read is measured in a fresh process, so that nothing but the archive is counted, and workers
can be forked as a DataLoader does it on Linux: python -m mdlib.lessons.loading_costs ARCHIVE READS. Therefore
torch is imported where it is used.
"""

import io
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from mdlib.loading.archive import Archive
from mdlib.loading.zip_writer import ShardWriter

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import DataLoader

    from mdlib.loading.dataset import SceneDataset

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
    command = [sys.executable, "-m", "mdlib.lessons.loading_costs", str(path), str(reads)]
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
    in_place = isinstance(archive, Archive)
    members = range(len(archive)) if in_place else archive.infolist()  # in the same order
    rng, failed, begin = random.Random(seed), 0, time.perf_counter()
    for _ in range(reads):
        i = rng.randrange(len(members))
        try:
            failed += archive.read(members[i]) != b"%09d" % i * 12
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


class PlainSamples:
    """The way most people would write first: the samples of a stored data set, each read with `zipfile` and
    decoded with PIL, one picture at a time.

    A sample is a dict of `fg_bg`, `mask` and, where there is one, `depth`, as the data set itself gives them.
    """

    def __init__(self, dataset: "SceneDataset"):
        depth = dataset.info["depth"]
        self.suffixes = {"fg_bg": ".jpg", "mask": ".png"}
        if depth["kind"] != "none":
            self.suffixes["depth"] = depth["suffix"]
        shards = [dataset.path / shard["name"] for shard in dataset.info["shards"]]
        where = {name: shard for shard in shards for name in zipfile.ZipFile(shard).namelist()}
        names = map(dataset.sample_name, range(len(dataset)))
        self.samples = [(where[f"mask/{name}.png"], name) for name in names]
        self.opened: dict[tuple[int, Path], zipfile.ZipFile] = {}  # one for each process

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> dict[str, "Tensor"]:
        from torchvision.transforms.functional import pil_to_tensor

        shard, name = self.samples[i]
        key = os.getpid(), shard
        if key not in self.opened:
            self.opened[key] = zipfile.ZipFile(shard)
        sample = {}
        for kind, suffix in self.suffixes.items():
            with Image.open(io.BytesIO(self.opened[key].read(f"{kind}/{name}{suffix}"))) as img:
                sample[kind] = pil_to_tensor(img)
        return sample


def plain_loader(dataset: "SceneDataset", batch_size: int, workers: int = 0) -> "DataLoader":
    """A DataLoader over PlainSamples, in random order."""
    from torch.utils.data import DataLoader

    return DataLoader(PlainSamples(dataset), batch_size, shuffle=True, num_workers=workers)


def samples_per_s(batches: Iterable[dict[str, "Tensor"]], seconds: float = 2.0, warm: int = 4) -> float:
    """Samples per second over about so many seconds, epoch after epoch, when `warm` batches are through."""
    taken, passed, begin = 0, 0, time.perf_counter()
    while True:
        for batch in batches:
            passed += 1
            if passed <= warm:
                begin = time.perf_counter()
                continue
            taken += len(batch["mask"])
            elapsed = time.perf_counter() - begin
            if elapsed >= seconds:
                return taken / elapsed
        if not passed:
            raise ValueError("no batches at all: nothing can be measured")


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
