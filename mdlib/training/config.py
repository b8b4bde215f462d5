"""What a training run is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mdlib.training.schedule import SMALLEST_PX, Stage, parse_stages

DEFAULT_MINUTES = 20.0

# What the order of samples or the shape of the state depends on; all else may change when a run goes on.
FIXED = ("model", "model_options", "optimizer", "batch_size", "seed", "stages")
FREE = (
    "steps", "epochs", "minutes", "lr", "schedule", "warmup", "weight_decay", "clip", "ema", "loss", "size",
    "augment", "checks", "check_pairs", "checkpoint_steps", "checkpoint_minutes", "keep", "log_every",
    "workers", "device", "precision", "mirror",
)  # fmt: skip


@dataclass(frozen=True)
class TrainConfig:
    """Trains a network on a data set; the same command again goes on where it stopped.

    The run ends by steps, epochs or minutes, whichever comes first. A run that ends by steps or epochs is
    repeated bit for bit on one CPU, however often it is stopped; one that ends by minutes goes on with the
    very same state, but how many steps fit into the time depends on the machine.
    """

    data: Path
    """Folder of the data set."""
    run: Path = Path("run")
    """Folder of the run: checkpoints, metrics, and in the end the trained network."""
    mirror: Path | None = None
    """Folder that gets a copy of the run while training goes on, such as one on Google Drive; a lost run
    folder goes on from there."""

    model: str = "mdnet"
    """Name of the network."""
    model_options: dict[str, int | float | bool | str] = field(default_factory=dict)
    """Options of the network, each a name and a value."""
    loss: str = "mdnet"
    """Name of a preset of loss terms and weights."""

    steps: int | None = None
    """End after so many optimizer steps."""
    epochs: float | None = None
    """End after so many passes over the training set."""
    minutes: float | None = None
    """End after so many minutes in all, those before an interruption included; 20 where no end is given."""

    batch_size: int = 16
    """Samples per step."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or SGD with Nesterov momentum 0.9."""
    lr: float = 2e-3
    """Highest learning rate."""
    weight_decay: float = 0.01
    """Decay of the convolutions' weights; biases and normalisation layers have none."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on after the warm-up: down to zero along a cosine, or as it is."""
    warmup: float = 0.05
    """Share of the run in which the learning rate rises from zero."""
    clip: float = 1.0
    """Longest gradient; longer ones are scaled down. 0 = no limit."""
    ema: float = 0.998
    """Decay per step of the averaged weights, which are what is evaluated and saved. 0 = no averaging."""

    size: int | None = None
    """Shorter side of the training pictures in px; the data set's where it is not given."""
    stages: str = ""
    """Sizes one after the other with their shares of the run, such as "112:0.6,160:0.4"."""
    augment: float = 1.0
    """Strength of flips, recolouring and disturbances: 1 = 3 of 4 samples disturbed, 0 = as stored."""

    checks: int = 5
    """How often the validation set is looked at, evenly over the run, the end included. 0 = never."""
    check_pairs: int = 64
    """Pairs of the validation set that are looked at."""
    checkpoint_steps: int | None = None
    """Save after so many steps."""
    checkpoint_minutes: float = 2.0
    """Save after so many minutes."""
    keep: int = 3
    """Checkpoints that stay: the last ones; the best one stays too."""
    log_every: int = 20
    """Steps between two rows of metrics.jsonl."""

    seed: int = 0
    """Seed of everything random: first weights, order, augmentation."""
    workers: int = 2
    """Threads that decode pictures."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a GPU if there is one."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the network's activations."""

    def __post_init__(self) -> None:
        positive = (
            "steps", "epochs", "minutes", "batch_size", "lr", "check_pairs", "checkpoint_steps",
            "checkpoint_minutes", "keep", "log_every",
        )  # fmt: skip
        for name in positive:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; expected more than 0")
        for name in ("weight_decay", "clip", "checks", "seed", "workers"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("warmup", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to below 1")
        if not 0 <= self.augment <= 1:
            raise ValueError(f"augment is {self.augment}; expected 0 to 1")
        if self.size is not None and self.size < SMALLEST_PX:
            raise ValueError(f"size is {self.size}; expected {SMALLEST_PX} or more")
        if self.size and self.stages:
            raise ValueError(
                f"size {self.size} and stages {self.stages!r} both say how large pictures are: give one"
            )
        self.all_stages()

    def progress(self, step: int, steps_per_epoch: int, elapsed_s: float) -> float:
        """How much of the run is done, 0 to 1 or a bit more: by steps, epochs or time, whichever is ahead."""
        minutes = self.minutes if self.minutes or self.steps or self.epochs else DEFAULT_MINUTES
        return max(
            step / self.steps if self.steps else 0.0,
            step / max(1, round(self.epochs * steps_per_epoch)) if self.epochs else 0.0,
            elapsed_s / (60 * minutes) if minutes else 0.0,
        )

    def fixed(self, samples: int) -> dict[str, Any]:
        """The settings that must stay when a run goes on, as JSON gives them back."""
        return {**{name: getattr(self, name) for name in FIXED}, "samples": samples}

    def all_stages(self) -> list[Stage]:
        """The stages of the run; one stage where `stages` is empty."""
        return parse_stages(self.stages) if self.stages else [Stage(0, self.size, 0.0, 1.0)]


def check_unchanged(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise ValueError, naming both values, where a run would go on with another `TrainConfig.fixed`."""
    for name, value in now.items():
        if name in before and before[name] != value:
            what = "number of training samples" if name == "samples" else name
            raise ValueError(
                f"this run was started with {what} {before[name]!r} and cannot go on with {value!r}: go back "
                f"to {before[name]!r} or choose another run folder (what may change: {', '.join(FREE)})"
            )
