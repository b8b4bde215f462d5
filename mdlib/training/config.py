"""What a training run is asked to do."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mdlib.training.stages import SMALLEST_PX, Stage, parse_stages

DEFAULT_MINUTES = 20.0
# Learning rate and weight decay where none is given.
OPTIMIZERS = {"adamw": (2e-3, 0.01), "adam": (1e-3, 0.0), "rmsprop": (1e-3, 0.0), "sgd": (0.01, 0.0)}

# What the order of samples or the shape of the state depends on; all else may change when a run goes on.
FIXED = ("model", "model_options", "optimizer", "batch_size", "seed", "stages")
FREE = (
    "steps", "epochs", "minutes", "lr", "momentum", "schedule", "warmup", "drop", "drop_every", "drop_at",
    "plateau_checks", "weight_decay", "clip", "ema", "loss", "size", "augment", "checks", "check_pairs",
    "stop_checks", "checkpoint_steps", "checkpoint_minutes", "keep", "log_every", "tensorboard",
    "histograms", "workers", "device",
    "precision", "accumulate", "channels_last", "compile", "fused", "mirror",
)  # fmt: skip


@dataclass(frozen=True)
class TrainConfig:
    """Trains a network on a data set; the same command again goes on where it stopped.

    The run ends by steps, epochs or minutes, whichever comes first. A run that ends by steps or epochs is
    repeated bit for bit on one CPU, however often it is stopped; one that ends by minutes goes on with the
    very same state, but how many steps fit into the time depends on the machine.

    Several processes (python -m torch.distributed.run --nproc_per_node 2 -m mdlib -- train ...) share each
    batch and train as one would, up to rounding; see training.several. Their number may change when a run
    goes on: the batches that are left hold the same samples in the same order. With the same number it is
    repeated bit for bit too, on one machine.
    """

    data: Path
    """Folder of the data set."""
    run: Path = Path("run")
    """Folder of the run: checkpoints, metrics, and in the end the trained network."""
    mix: tuple[Path, ...] = ()
    """Folders of more data sets, mixed with it; those without depth teach the mask alone."""
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
    """Samples per step, of all processes together: each takes its share."""
    accumulate: int = 1
    """Parts in which a batch, or a process's share of it, goes through the network, to take less memory; the
    gradients are added up. The step is that of the whole batch, but for batch normalisation, which sees one
    part of each share at a time."""
    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"] = "adamw"
    """Rule of the steps."""
    lr: float | None = None
    """Highest learning rate; where it is not given 0.002 (adamw), 0.001 (adam, rmsprop), 0.01 (sgd)."""
    momentum: float = 0.9
    """What goes on of the step before (sgd), or of the gradient before (adamw, adam: beta1)."""
    weight_decay: float | None = None
    """Decay of the convolutions' weights; biases and normalisation layers have none. Where it is not given
    0.01 (adamw) or 0; the other optimizers add it to the gradient (L2)."""
    schedule: Literal["cosine", "constant", "step", "multistep", "plateau", "onecycle"] = "cosine"
    """How the learning rate goes on after the warm-up: down to zero along a cosine, as it is, in steps, lower
    when the checks become no better, or as a cycle with the momentum against it."""
    warmup: float = 0.05
    """Share of the run in which the learning rate rises, from zero (onecycle: from 1/25)."""
    drop: float = 0.1
    """Factor of the learning rate at each step down (step, multistep, plateau)."""
    drop_every: float = 0.3
    """Share of the run between two steps down (step)."""
    drop_at: tuple[float, ...] = (0.5, 0.75)
    """Shares of the run where the steps down are (multistep)."""
    plateau_checks: int = 2
    """Step down after so many checks in a row without a better iou_disturbed (plateau)."""
    clip: float = 1.0
    """Longest gradient; longer ones are scaled down. 0 = no limit."""
    ema: float = 0.998
    """Decay per step of the averaged weights, which are what is evaluated and saved. 0 = no averaging."""

    size: int | None = None
    """Shorter side of the training pictures in px; the data set's where it is not given."""
    stages: str = ""
    """Sizes one after the other with their shares of the run, and batch sizes where they differ, such as
    "112:0.6:32,160:0.4:16". A stage may also have lr=NUMBER, loss=NAME and freeze=PART+PART, as in
    "112:0.5:32:freeze=mask_decoder,112:0.5:32:freeze=encoder+depth_decoder:lr=0.001"; what belongs to a
    frozen decoder is left out of the loss."""
    augment: float = 1.0
    """Strength of flips, recolouring and disturbances: 1 = 3 of 4 samples disturbed, 0 = as stored."""

    checks: int = 5
    """How often the validation set is looked at, evenly over the run, the end included. 0 = never."""
    check_pairs: int = 64
    """Pairs of the validation set that are looked at."""
    stop_checks: int = 0
    """End after so many checks in a row without a better iou_disturbed. 0 = never before the end."""
    checkpoint_steps: int | None = None
    """Save after so many steps."""
    checkpoint_minutes: float = 2.0
    """Save after so many minutes."""
    keep: int = 3
    """Checkpoints that stay: the last ones; the best one stays too."""
    log_every: int = 20
    """Steps between two rows of metrics.jsonl."""
    tensorboard: bool | None = None
    """Write events for TensorBoard to the run folder; where it is not given, if TensorBoard is installed."""
    histograms: bool = False
    """Show TensorBoard how weights and gradients are distributed, at each check."""

    seed: int = 0
    """Seed of everything random: first weights, order, augmentation."""
    workers: int = 2
    """Threads that decode pictures, of each process."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a GPU if there is one."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the network's activations."""
    # mdnet on a CPU (benchmarks/speed/training.py --choices contiguous fused compile): 0.94 times as fast
    # without channels_last and 0.98 with fused at 224 px, within the noise of that machine; 0.83 with compile
    # at 112 px, after 3.5 minutes of compiling. Nothing speaks for other defaults.
    channels_last: bool = True
    """Keep the channels of a pixel side by side in memory."""
    compile: bool = False
    """Compile the network with torch.compile: slow to begin, then perhaps faster on a GPU; on a CPU mdnet
    becomes slower."""
    fused: bool = False
    """Let the optimizer do its step in one piece (not for rmsprop)."""

    def __post_init__(self) -> None:
        positive = (
            "steps", "epochs", "minutes", "batch_size", "accumulate", "lr", "drop", "drop_every",
            "plateau_checks", "check_pairs", "checkpoint_steps", "checkpoint_minutes", "keep", "log_every",
        )  # fmt: skip
        for name in positive:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; expected more than 0")
        for name in ("weight_decay", "clip", "checks", "stop_checks", "seed", "workers"):
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("warmup", "ema", "momentum"):
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
        if not all(0 < share < 1 for share in self.drop_at):
            raise ValueError(f"drop_at is {self.drop_at}; expected shares of the run between 0 and 1")
        for name in ("plateau", "stop_checks"):
            if not self.checks and (self.stop_checks if name == "stop_checks" else self.schedule == name):
                raise ValueError(f"checks is 0, but {name} waits for them: take checks above 0")
        if self.histograms and self.tensorboard is False:
            raise ValueError("histograms are shown by TensorBoard: leave out tensorboard False or histograms")
        if self.fused and self.optimizer == "rmsprop":
            raise ValueError("rmsprop has no fused form: take another optimizer or leave fused out")
        self.all_stages()

    def highest_lr(self, stage: Stage) -> float:
        """The learning rate that the schedule of this stage starts from."""
        return stage.lr or self.lr or OPTIMIZERS[self.optimizer][0]

    def decay(self) -> float:
        """The weight decay given, or that of the optimizer."""
        return OPTIMIZERS[self.optimizer][1] if self.weight_decay is None else self.weight_decay

    def progress(self, step: int, passes: float, elapsed_s: float) -> float:
        """How much of the run is done, 0 to 1 or a bit more: by steps, epochs or time, whichever is ahead.

        `passes` over the training set are done. Rounded so that 3 tenths are neither more nor less than 0.3.
        """
        minutes = self.minutes if self.minutes or self.steps or self.epochs else DEFAULT_MINUTES
        done = max(
            step / self.steps if self.steps else 0.0,
            passes / self.epochs if self.epochs else 0.0,
            elapsed_s / (60 * minutes) if minutes else 0.0,
        )
        return round(done, 12)

    def fixed(self, samples: int) -> dict[str, Any]:
        """The settings that must stay when a run goes on, as JSON gives them back."""
        return {**{name: getattr(self, name) for name in FIXED}, "samples": samples}

    def all_stages(self) -> list[Stage]:
        """The stages of the run; one stage where `stages` is empty."""
        if self.stages:
            return parse_stages(self.stages, self.batch_size)
        return [Stage(0, self.size, 0.0, 1.0, self.batch_size)]

    def as_json(self) -> dict[str, Any]:
        """All settings, as JSON gives them back."""
        return json.loads(json.dumps(asdict(self), default=str))


def check_unchanged(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise ValueError, naming both values, where a run would go on with another `TrainConfig.fixed`."""
    for name, value in now.items():
        if name in before and before[name] != value:
            what = "number of training samples" if name == "samples" else name
            raise ValueError(
                f"this run was started with {what} {before[name]!r} and cannot go on with {value!r}: go back "
                f"to {before[name]!r} or choose another run folder (what may change: {', '.join(FREE)})"
            )
