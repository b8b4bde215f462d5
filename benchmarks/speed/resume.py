"""What it costs to be able to stop: going on within an epoch of 400,000 samples, and saving while training.

    python -m benchmarks.speed.resume           builds a data set of 400,000 tiny samples (0.6 GB) first

Going on: from opening the data set to the first batch, at the beginning and at 90 % of an epoch, each time in
a fresh process, in turns; then reading mdnet's checkpoint. Saving: mdnet trained on one batch in memory, a
checkpoint every PERIOD steps. "blocked" is what a checkpoint takes before the next step, "computing" the
processor time of the same, "in all" by how much longer the first half of a period takes than its second half.
"""

import hashlib
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import harness
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader
from mdlib.loading.zip_writer import ShardWriter
from mdlib.run import new_model
from mdlib.training.checkpoint import Checkpoints
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Trainer

SIZE, BACKGROUNDS = 16, 100
PERIOD, PERIODS = 16, 8  # steps


def build(folder: Path, samples: int) -> None:
    """A data set of pictures of SIZE px, BACKGROUNDS shards; the same few pictures again and again."""
    if (folder / "dataset.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        shards = list(pool.map(partial(_write_shard, folder, samples // BACKGROUNDS), range(BACKGROUNDS)))
    info = {
        "format": 1,
        "id": hashlib.sha256("".join(shard["sha256"] for shard in shards).encode()).hexdigest(),
        "size": [SIZE, SIZE],
        "encoding": "fast",
        "depth": {"kind": "relative", "dtype": "uint8", "suffix": ".png", "near_m": codec.NEAR_M},
        "backgrounds": [{"id": f"b{i:03d}", "name": f"{i}", "group": i} for i in range(BACKGROUNDS)],
        "cutouts": [{"id": f"f{i:03d}", "name": f"{i}", "group": i} for i in range(100)],
        "shards": shards,
    }
    (folder / "dataset.json").write_text(json.dumps(info))


def _write_shard(folder: Path, samples: int, number: int) -> dict:
    rng, path = np.random.default_rng(number), folder / f"shard-{number:05d}.zip"
    pictures = rng.integers(0, 256, (9, SIZE, SIZE, 3), np.uint8)
    rgb = [codec.encode_jpeg(picture) for picture in pictures]
    gray = [codec.encode_png(np.ascontiguousarray(picture[..., 0])) for picture in pictures]
    rows = ["sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"]
    with ShardWriter(path) as shard:
        shard.add(f"bg/b{number:03d}.jpg", rgb[0])
        for k in range(samples):
            name = f"s{number:03d}{k:06d}"
            shard.add(f"fg_bg/{name}.jpg", rgb[k % 9])
            shard.add(f"mask/{name}.png", gray[k % 9])
            shard.add(f"depth/{name}.png", gray[k % 8])
            rows.append(f"{name},b{number:03d},f{k % 100:03d},0,0,0,0.5,,{k}")
        shard.add("placements.csv", ("\n".join(rows) + "\n").encode())
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {"name": path.name, "samples": samples, "bytes": len(data), "sha256": digest}


def first_batch(data: Path, done: float) -> dict[str, float]:
    """Seconds to open the data set, and until there is the first batch after this share of an epoch."""
    begin, busy = time.perf_counter(), time.process_time()
    dataset = open_dataset(data)
    dataset.split()
    opened = time.perf_counter()
    loader = make_loader(dataset, harness.BATCH, shuffle=True, threads=2)
    loader.set_epoch(3, start=int(done * len(loader)))
    batch = loader.to_float(next(iter(loader)))
    assert len(batch["mask"]) == harness.BATCH
    elapsed = {"open_s": opened - begin, "first_batch_s": time.perf_counter() - begin}
    return {**elapsed, "computing_s": time.process_time() - busy}


class OneBatch:
    """A loader that always gives the same batch, from memory."""

    def __init__(self, batch_size: int, size: int):
        generator, self.dataset = torch.Generator().manual_seed(0), range(1_000_000)
        channels = {"bg": 3, "fg_bg": 3, "mask": 1, "depth": 1}
        shapes = {kind: (batch_size, count, size, size) for kind, count in channels.items()}
        self.batch = {kind: torch.rand(shape, generator=generator) for kind, shape in shapes.items()}
        self.batch["index"] = torch.arange(batch_size)

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        pass

    def __iter__(self):
        while True:
            yield self.batch

    def to_float(self, batch: dict, device: torch.device) -> dict:
        return {kind: x.to(device) for kind, x in batch.items() if kind != "index"}


class Timed(Trainer):
    """Notes when each step ended, and how long each checkpoint kept it from going on."""

    def move_on(self, *step) -> None:
        super().move_on(*step)
        self.ends = [*getattr(self, "ends", []), time.perf_counter()]

    def save_checkpoint(self, last: bool = False) -> None:
        begin, busy = time.perf_counter(), time.thread_time()
        super().save_checkpoint(last)
        self.blocked = [*getattr(self, "blocked", []), time.perf_counter() - begin]
        self.busy = [*getattr(self, "busy", []), time.thread_time() - busy]


def saving(folder: Path) -> dict[str, list[float]]:
    """Milliseconds per checkpoint, and of a step; seconds to read mdnet's checkpoint."""
    settings = {"steps": PERIOD * PERIODS, "checkpoint_steps": PERIOD, "batch_size": 4, "checks": 0}
    config = TrainConfig(data=folder, run=folder / "run", augment=0.0, **settings)
    loader = OneBatch(config.batch_size, 64)
    trainer = Timed(config, new_model(config), lambda stage: (loader, loader))
    trainer.fit()
    steps = np.diff(trainer.ends) * 1e3  # the first one after a checkpoint contains the copying
    periods = steps[PERIOD - 1 :][: PERIOD * (PERIODS - 1)].reshape(PERIODS - 1, 2, PERIOD // 2).sum(2)
    reads = []
    for _ in range(5):
        begin = time.perf_counter()
        path = Checkpoints(config.run / "checkpoints").latest().path
        reads.append(time.perf_counter() - begin)
    return {
        "blocked_ms": [1e3 * seconds for seconds in trainer.blocked[: PERIODS - 1]],
        "computing_ms": [1e3 * seconds for seconds in trainer.busy[: PERIODS - 1]],
        "in_all_ms": (periods[:, 0] - periods[:, 1]).tolist(),
        "step_ms": steps.tolist(),
        "read_s": reads,
        "bytes": [sum(file.stat().st_size for file in path.iterdir())],
    }


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--samples", type=int, default=400_000)
    options = parser.parse_args()
    data = (options.data or Path(tempfile.gettempdir()) / "mdlib-resume") / f"{options.samples}"
    harness.in_fresh_process(build, data, options.samples)
    places = {"its beginning": 0.0, "90 % of it": 0.9}
    found = {name: [] for name in places}
    for _ in range(options.rounds):
        for name, done in places.items():
            found[name].append(harness.in_fresh_process(first_batch, data, done))
    with tempfile.TemporaryDirectory() as folder:
        saved = harness.in_fresh_process(saving, Path(folder))
    about = {"machine": harness.machine(), "samples": options.samples}
    results = {**about, "first_batch": found, "saving": saved}
    print(report(results))
    harness.write_results(options.json, results, report(results))


def report(results: dict) -> str:
    """Tables of going on and of saving."""
    saved = results["saving"]
    first = [
        [name, *(f"{statistics.median(row[key] for row in rows):.2f}" for key in rows[0])]
        for name, rows in results["first_batch"].items()
    ]
    epoch = f"an epoch of {results['samples']:,} samples, from"
    read_s, step_ms = statistics.median(saved["read_s"]), statistics.median(saved["step_ms"])
    waits = [
        [name, f"{statistics.median(saved[key]):.0f}", f"{max(saved[key]):.0f}"]
        for name, key in (("blocked", "blocked_ms"), ("computing", "computing_ms"), ("in all", "in_all_ms"))
    ]
    return "\n\n".join(
        [
            results["machine"],
            harness.table([epoch, "data set open (s)", "first batch (s)", "computing (s)"], first),
            f"mdnet's checkpoint: {saved['bytes'][0] / 1e6:.1f} MB, read in {read_s:.2f} s; a step takes "
            f"{step_ms:.0f} ms",
            harness.table(["training waits per checkpoint", "median (ms)", "max (ms)"], waits),
        ]
    )


if __name__ == "__main__":
    main()
