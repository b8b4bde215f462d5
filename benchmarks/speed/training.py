"""What a training step costs: waiting for data, losses, and the choices of layout, format and optimizer.

    python -m benchmarks.speed.training --data FOLDER             # mdnet at 224 px, batches of 16
    python -m benchmarks.speed.training --data FOLDER --losses    # and every preset of losses
    python -m benchmarks.speed.training --data FOLDER --choices contiguous bf16 fused  # and options

All ways run in one process and in turns, because speeds of a shared machine drift; every ratio is taken
within one round, and the median of the rounds is printed. A step is that of `Trainer.train_step`: to floats,
augment, forward, losses, backward, clip, optimizer, average. "real" takes its batches from the loader,
"cached" takes one batch that lies ready again and again, so the difference is the loader's whole cost, what
it takes away from the step on the same cores included. "waiting" is the time in which the step stands still
for a batch. "losses" are the default loss terms, forward and backward, alone on predictions of the same size,
in the same round.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks import harness
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.modeling.losses import PRESETS, Losses
from mdlib.modeling.networks.base import MaskDepth
from mdlib.run import new_model, open_feed
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Trainer

CHOICES = {
    "contiguous": {"channels_last": False},
    "bf16": {"precision": "bf16"},
    "fused": {"fused": True},
    "2 parts": {"accumulate": 2},
    "compile": {"compile": True},
}


class Steps:
    """A trainer that takes steps on batches from its loader, or on one that lies ready."""

    def __init__(self, config: TrainConfig):
        self.trainer = Trainer(config, new_model(config), open_feed(config))
        self.stage = self.trainer.stages[0]
        self.trainer.load(self.stage)
        self.batches = self._endless()
        self.cached = next(self.batches)

    def _endless(self) -> Iterator[dict]:
        for epoch in itertools.count():
            self.trainer.train_loader.set_epoch(epoch)
            yield from self.trainer.train_loader

    def take(self, steps: int, real: bool = True) -> tuple[float, float]:
        """Seconds per step, and of these how long it waited for a batch."""
        begin, waited = time.perf_counter(), 0.0
        for _ in range(steps):
            asked = time.perf_counter()
            batch = next(self.batches) if real else self.cached
            waited += time.perf_counter() - asked
            self.trainer.train_step(batch, self.stage)
            self.trainer.state.at.batch += 1  # another augmentation
        self._finish()
        return (time.perf_counter() - begin) / steps, waited / steps

    def losses(self, name: str, calls: int) -> float:
        """Seconds for the loss terms of a preset on one batch, forward and backward."""
        device = self.trainer.state.device
        batch = self.trainer.train_loader.to_float(self.cached, device)
        pred = [torch.randn_like(batch["mask"]).requires_grad_() for _ in range(2)]
        terms = Losses(PRESETS[name])
        begin = time.perf_counter()
        for _ in range(calls):
            terms(MaskDepth(pred[0], pred[1].sigmoid()), batch)["total"].backward()
        self._finish()
        return (time.perf_counter() - begin) / calls

    def _finish(self) -> None:
        if self.trainer.state.device.type == "cuda":
            torch.cuda.synchronize()


def measure(config: TrainConfig, rounds: int, steps: int) -> dict:
    """Medians over the rounds, of seconds and of shares."""
    one, found = Steps(config), []
    one.take(2)
    for _ in range(rounds):
        real, waited = one.take(steps)
        cached, _ = one.take(steps, real=False)
        losses = one.losses(config.loss, steps)
        found.append(
            {
                "samples_per_s": config.batch_size / real,
                "cached_samples_per_s": config.batch_size / cached,
                "real_over_cached": cached / real,
                "waiting": waited / real,
                "losses": losses / real,
                "waiting_and_losses": (waited + losses) / real,
            }
        )
    return {name: statistics.median(row[name] for row in found) for name in found[0]}


def compare_losses(config: TrainConfig, rounds: int, steps: int) -> dict[str, float]:
    """Seconds of each preset of losses, taken in turns."""
    one = Steps(config)
    times = {name: [] for name in PRESETS}
    for _ in range(rounds):
        for name, seconds in times.items():
            seconds.append(one.losses(name, steps))
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def compare_choices(choices: list[str], config: dict, rounds: int, steps: int) -> dict[str, float]:
    """How many times as fast as the defaults each choice is, on a cached batch."""
    ways = {"defaults": Steps(TrainConfig(**config))}
    for name in choices:
        try:
            ways[name] = Steps(TrainConfig(**{**config, **CHOICES[name]}))
            ways[name].take(3, real=False)  # compiling takes a minute
        except Exception as error:  # no compiler, no such number format: say so and go on
            print(f"{name} does not work here: {str(error).splitlines()[0]}")
            ways.pop(name, None)
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(way.take(steps, real=False)[0])
    return {name: harness.ratio(times["defaults"], seconds) for name, seconds in times.items()}


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--model", default="mdnet")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4, help="steps of each measurement")
    parser.add_argument("--losses", action="store_true", help="also time every preset of losses")
    parser.add_argument(
        "--choices", nargs="+", default=[], choices=CHOICES, help="compared with the defaults"
    )
    args = parser.parse_args()
    data = args.data or Path(tempfile.mkdtemp()) / "data"
    if not (data / "dataset.json").exists():
        create(CreateConfig(out=data, rooms=10, props=10, placements=4, flip=True, size=args.size))
    settings = {"data": data, "model": args.model, "batch_size": args.batch_size, "size": args.size}
    config = TrainConfig(**settings)
    step = measure(config, args.rounds, args.steps)
    result = {"machine": harness.machine(), "threads": torch.get_num_threads(), "step": step}
    parts = [
        f"{args.model}, {args.size} px, batches of {args.batch_size}, {result['threads']} threads; "
        f"{result['machine']}",
        f"{step['samples_per_s']:.1f} samples/s; on a cached batch {step['cached_samples_per_s']:.1f}; "
        f"real over cached {step['real_over_cached']:.2f}. Share of the step: waiting for data "
        f"{step['waiting']:.3f}, losses {step['losses']:.3f}, together {step['waiting_and_losses']:.3f}",
    ]
    if args.losses:
        result["losses_s"] = compare_losses(config, args.rounds, args.steps)
        rows = [[name, f"{1000 * seconds:.0f}"] for name, seconds in result["losses_s"].items()]
        parts.append(harness.table(["losses", "ms"], rows))
    if args.choices:
        result["choices"] = compare_choices(args.choices, settings, args.rounds, args.steps)
        rows = [[name, f"{speed:.2f}"] for name, speed in result["choices"].items()]
        parts.append(harness.table(["choice", "times as fast as the defaults"], rows))
    report = "\n\n".join(parts)
    print(report)
    harness.write_results(args.json, result, report)


if __name__ == "__main__":
    main()
