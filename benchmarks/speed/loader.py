"""Samples per second and memory of mdlib's loader beside other ways to load the same pictures.

    python -m benchmarks.speed.loader                      fast archives: ours, the limit, and the rivals
    python -m benchmarks.speed.loader --encoding exact8    the same with depth in 8-bit PNG (exact16: 16-bit)
    python -m benchmarks.speed.loader --size 112           half the size, from the same archives
    python -m benchmarks.speed.loader --train              beside training steps of mdnet
    python -m benchmarks.speed.loader --gpu                JPEG decoded on the GPU

The limit decodes the same bytes with the same decoders from memory, on every core, into one reused buffer per
process. A sample is fg_bg, mask and depth of 224 x 224 px, a batch 64 of them; backgrounds are not counted.
"""

import argparse
import os
import statistics
import tempfile
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks import harness
from benchmarks.harness import BATCH, Stream
from benchmarks.speed import loader_data, rivals
from benchmarks.speed.decode_gpu import compare_gpu
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader

LIMIT_SAMPLES = 4000
TRAIN_BATCH = 16
CACHED = "training, cached batch"


def open_ours(data: Path, threads: int = 2, size: int | None = None) -> Stream:
    """Our loader, epoch after epoch."""
    for batch in _endless(data, BATCH, threads, size):
        yield len(batch["index"])


def _endless(data: Path, batch_size: int, threads: int, size: int | None = None):
    dataset = open_dataset(data)
    loader = make_loader(dataset, batch_size, shuffle=True, size=size and (size, size), threads=threads)
    for epoch in count():
        loader.set_epoch(epoch)
        yield from loader


def open_float(data: Path, size: int, reduced: bool) -> Stream:
    """Float batches of `size`, as training takes them, from pictures decoded at a reduced size or in full."""
    loader = make_loader(open_dataset(data), BATCH, shuffle=True, size=(size, size), threads=2)
    if not reduced:
        loader.reduce = 1
    torch.set_num_threads(1)
    for epoch in count():
        loader.set_epoch(epoch)
        for batch in loader:
            yield len(loader.to_float(batch)["mask"])


class Limit(Dataset):
    """Decodes encoded pictures that lie in memory, into buffers that are used again and again."""

    def __init__(self, data: Path, reduce: int):
        dataset = open_dataset(data)
        rows = np.random.default_rng(0).permutation(len(dataset))[:LIMIT_SAMPLES]
        self.encoded = [loader_data.encoded_sample(dataset, row) for row in rows]
        side = loader_data.SIZE // reduce
        depth_type = np.dtype(dataset.info["depth"]["dtype"])
        self.buffers = {
            "fg_bg": np.empty((side, side, 3), np.uint8),
            "mask": np.empty((side, side), np.uint8),
            "depth": np.empty((side, side), depth_type),
        }
        self.reduce = reduce

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitems__(self, numbers: list[int]) -> list[int]:
        for i in numbers:
            for kind, buffer in self.buffers.items():
                codec.decode_into(self.encoded[i][kind], buffer, self.reduce)
        return numbers


def open_limit(data: Path, cores: int, reduce: int = 1) -> Stream:
    pictures = Limit(data, reduce)
    return harness.repeat(
        DataLoader(pictures, BATCH, num_workers=cores, collate_fn=len, persistent_workers=True)
    )


# Beside training


class Training:
    """Steps of mdnet with its loss and AdamW on the CPU."""

    def __init__(self, data: Path, torch_threads: int):
        from mdlib.modeling.losses import Losses
        from mdlib.modeling.registry import create_model

        torch.set_num_threads(torch_threads)
        self.loader = make_loader(open_dataset(data), TRAIN_BATCH, shuffle=True, threads=2)
        self.cached = next(iter(self.loader))
        self.model, self.losses = create_model("mdnet").train(), Losses()
        self.optimizer = torch.optim.AdamW(self.model.parameters())

    def step(self, batch: dict[str, torch.Tensor]) -> int:
        batch = self.loader.to_float(batch)
        self.optimizer.zero_grad()
        self.losses(self.model(batch["bg"], batch["fg_bg"]), batch)["total"].backward()
        self.optimizer.step()
        return len(batch["mask"])


def open_training(data: Path, cached: bool) -> Stream:
    """Training steps on all cores: on one batch again and again, or on what our loader delivers."""
    training = Training(data, os.cpu_count())
    if cached:
        while True:
            yield training.step(training.cached)
    for batch in _endless(data, TRAIN_BATCH, threads=os.cpu_count()):
        yield training.step(batch)


def open_beside(data: Path, open_stream: Callable[..., Stream], *args) -> Stream:
    """Another stream, while training on one cached batch keeps one core busy in the same process."""
    training, going = Training(data, 1), True

    def train() -> None:
        torch.set_num_threads(1)  # holds for the thread that calls it
        while going:
            training.step(training.cached)

    thread = threading.Thread(target=train)
    stream = open_stream(data, *args)
    first = next(stream)  # forks before the thread starts
    thread.start()
    try:
        yield first
        yield from stream
    finally:
        going = False
        thread.join()


# Which ways are compared


def ways_of(options: argparse.Namespace, data: Path) -> dict[str, tuple]:
    cores = os.cpu_count()
    if options.train:
        return {
            "limit, all cores": (open_limit, data, cores),
            CACHED: (open_training, data, True),
            "training, our loader": (open_training, data, False),
            "limit, one core": (open_limit, data, 1),
            "limit, one core, training on the other": (open_beside, data, open_limit, 1),
            "ours, one thread, training on the other": (open_beside, data, open_ours, 1),
        }
    ours = {
        "ours, 2 threads": (open_ours, data, 2),
        "ours, 1 thread": (open_ours, data, 1),
    }
    if options.size:
        reduce = loader_data.SIZE // options.size
        half = {
            f"limit at {options.size} px": (open_limit, data, cores, reduce),
            f"ours at {options.size} px, 2 threads": (open_ours, data, 2, options.size),
            "float batches, decoded at full size": (open_float, data, options.size, False),
            f"float batches, decoded at {options.size} px": (open_float, data, options.size, True),
        }
        return {"limit": (open_limit, data, cores), "ours, 2 threads": ours["ours, 2 threads"], **half}
    others = {name: (open_stream, data, *args) for name, (_, _, open_stream, *args) in rivals.RIVALS.items()}
    if options.encoding == "exact16":  # as documented the rivals would cut it to 8 bits
        others = {name: others[name] for name in ("folders + PIL", "ZIP in memory + PIL")}
    return {"limit": (open_limit, data, cores), **ours, **others}


def report(found: dict) -> str:
    """A table of all ways; beside training, a sentence about what the loader takes from it."""
    ways = found["ways"]
    base = {"limit": "of the limit", "folders + PIL": "x folders + PIL"}
    base = {name: head for name, head in base.items() if name in ways}
    rows = []
    for name, way in ways.items():
        rates = way["samples_per_s"]
        row = [name, f"{statistics.median(rates):,.0f}"]
        row += [f"{harness.ratio(rates, ways[other]['samples_per_s']):.2f}" for other in base]
        rows.append([*row, f"{way['memory_mb']:,.0f}"])
    parts = [
        f"Encoding {found['encoding']}; {found['machine']}",
        harness.table(["loader", "samples/s", *base.values(), "memory MB"], rows),
    ]
    if CACHED in ways:
        parts.append(beside_training([way["samples_per_s"] for way in ways.values()]))
    return "\n\n".join(parts)


def beside_training(rates: list[list[float]]) -> str:
    limit, cached, loaded, one, one_beside, ours_beside = rates
    ideal = [1 / (1 / a + 1 / b) for a, b in zip(cached, limit, strict=True)]
    share = 1 - harness.ratio(loaded, cached)
    return (
        f"Training with the loader reaches {harness.ratio(loaded, ideal):.2f} of what training and "
        f"decoding on the same cores allow; the loader takes {share:.1%} of the time.\n"
        f"Beside training on one core, ours reaches {harness.ratio(ours_beside, one_beside):.2f} of the "
        "limit on the other core beside training, "
        f"{harness.ratio(ours_beside, one):.2f} of it on an idle machine."
    )


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--samples", type=int, default=20_000, help="samples of the data that is built")
    parser.add_argument("--take", type=int, default=3000, help="samples of one measurement (at most 4 s)")
    parser.add_argument("--encoding", choices=list(loader_data.DEPTHS), default="fast")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="ways whose name holds one of these")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--size", type=int, choices=(112, 56, 28), help="compare with loading at this size")
    kind.add_argument("--train", action="store_true", help="beside training steps of mdnet")
    kind.add_argument("--gpu", action="store_true", help="JPEG decoded on the GPU")
    options = parser.parse_args()
    root = options.data or Path(tempfile.gettempdir()) / f"mdlib-loader-{options.samples}"
    loader_data.build(root, options.samples)
    data = root / options.encoding
    print(f"{loader_data.describe(root)}\n")
    if options.gpu:
        print(compare_gpu(data, options.rounds))
        return
    ways = ways_of(options, data)
    if options.only and not options.train:
        ways = {name: way for name, way in ways.items() if any(word in name for word in options.only)}
    for name in ways:
        if name in rivals.RIVALS:
            rivals.prepare(data, name)
    contestants = harness.compete(ways, options.rounds, options.take)
    ways = {c.name: {"samples_per_s": c.rates, "memory_mb": c.memory_mb} for c in contestants}
    found = {"machine": harness.machine(), "encoding": options.encoding, "ways": ways}
    print(report(found))
    harness.write_results(options.json, found, report(found))


if __name__ == "__main__":
    main()
