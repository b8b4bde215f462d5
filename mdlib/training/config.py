"""What a training run is asked to do: TrainConfig, and the stages of a run, one after the other.

`progress` goes from 0 to 1: the largest of steps done / steps, epochs done / epochs and time used / time.
"""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

DEFAULT_MINUTES = 20.0
SMALLEST_PX = 16
# Learning rate and weight decay where none is given.
OPTIMIZERS = {"adamw": (2e-3, 0.01), "adam": (1e-3, 0.0), "rmsprop": (1e-3, 0.0), "sgd": (0.01, 0.0)}

# What the order of samples or the shape of the state depends on; all else may change when a run goes on.
FIXED = ("model", "model_options", "optimizer", "batch_size", "seed", "stages")
FOLDERS = ("data", "mix", "run")
ADVANCED = {"advanced": True}
STAGES_EXPECTED = (
    "expected size:share or size:share:batch_size, then lr=NUMBER, loss=NAME or freeze=PART+PART, all with "
    "colons between them, and commas between stages, such as 112:0.6:32,160:0.4:16:lr=0.001:freeze=encoder"
)


class Stage(NamedTuple):
    """A part of the run, from progress `start` to `end`, with pictures whose shorter side is `size` px."""

    index: int
    size: int | None  # None = as stored
    start: float
    end: float
    batch_size: int
    lr: float | None = None  # None = that of the run, as for the next one
    loss: str | None = None
    freeze: tuple[str, ...] = ()  # parts of the network that keep their weights


def advanced(default: Any) -> Any:
    """A field that few people need: `--help` leaves it to `--help-all`."""
    return field(default=default, metadata=ADVANCED)


@dataclass(frozen=True)
class TrainConfig:
    """Trains a network on a data set; the same command again goes on where it stopped.

    The run ends by steps, epochs or minutes, whichever comes first. A run that ends by steps or epochs is
    repeated bit for bit on one CPU, however often it is stopped; one that ends by minutes goes on with the
    very same state, but how many steps fit into the time depends on the machine.

    Several processes (python -m torch.distributed.run --nproc_per_node 2 -m mdlib -- train ...) share each
    batch and train as one would, up to rounding; see training.distributed. Their number may change when a run
    goes on: the batches that are left hold the same samples in the same order. With the same number it is
    repeated bit for bit too, on one machine.
    """

    data: Path
    """Folder of the data set."""
    run: Path = Path("run")
    """Folder of the run. It gets checkpoints, metrics, and in the end the trained network."""
    mix: tuple[Path, ...] = advanced(())
    """Folders of more data sets, mixed with it. Those without depth teach the mask alone."""
    mirror: Path | None = None
    """Folder for a copy of the run. It is made while training goes on, such as on Google Drive; a lost run
    folder goes on from there."""
    model: str = "mdnet"
    """Name of the network."""
    model_options: dict[str, int | float | bool | str] = field(default_factory=dict, metadata=ADVANCED)
    """Options of the network, each a name and a value."""
    loss: str = advanced("mdnet")
    """Name of a preset of loss terms and weights."""
    seed: int = 0
    """Seed of everything random. First weights, order, augmentation."""

    # End
    steps: int | None = None
    """End after so many optimizer steps."""
    epochs: float | None = advanced(None)
    """End after so many passes over the training set."""
    minutes: float | None = None
    """End after so many minutes in all. Those before an interruption count; 20 where no end is given."""
    stop_checks: int = advanced(0)
    """End after so many checks in a row without a better iou_disturbed. 0 = never before the end."""

    # Optimizer
    batch_size: int = 16
    """Samples per step. Those of all processes together: each takes its share."""
    accumulate: int = advanced(1)
    """Parts in which a batch goes through the network, to take less memory. Each process divides its share of
    a batch; the gradients are added up. The step is that of the whole batch, but for batch normalisation,
    which sees one part of each share at a time."""
    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"] = advanced("adamw")
    """Rule of the steps."""
    lr: float | None = None
    """Highest learning rate. Where it is not given 0.002 (adamw), 0.001 (adam, rmsprop), 0.01 (sgd)."""
    momentum: float = advanced(0.9)
    """What goes on of the step before (sgd), or of the gradient (adamw, adam: beta1)."""
    weight_decay: float | None = advanced(None)
    """Decay of the convolutions' weights. Biases and normalisation layers have none. Where it is not given
    0.01 (adamw) or 0; the other optimizers add it to the gradient (L2)."""
    schedule: Literal["cosine", "constant", "step", "plateau", "onecycle"] = advanced("cosine")
    """How the learning rate goes on after the warm-up. Down to zero along a cosine, as it is, in steps, lower
    when the checks become no better, or as a cycle with the momentum against it."""
    warmup: float = advanced(0.05)
    """Share of the run in which the rate rises, from zero (onecycle: from 1/25)."""
    drop: float = advanced(0.1)
    """Factor of the learning rate at each step down (step, plateau)."""
    drop_at: tuple[float, ...] = advanced((0.3, 0.6, 0.9))
    """Shares of the run where the steps down are (step)."""
    plateau_checks: int = advanced(2)
    """Step down after so many checks without a better iou_disturbed (plateau)."""
    clip: float = advanced(1.0)
    """Longest gradient; longer ones are scaled down. 0 = no limit."""
    ema: float = advanced(0.998)
    """Decay per step of the averaged weights. These are what is evaluated and saved. 0 = no averaging."""

    # Pictures
    size: int | None = None
    """Shorter side of the pictures in px. The data set's where it is not given."""
    stages: str = ""
    """Sizes in turn, such as 112:0.6,160:0.4. With their shares of the run, and batch sizes where they
    differ, as in "112:0.6:32,160:0.4:16". A stage may also have lr=NUMBER, loss=NAME and freeze=PART+PART, as
    in "112:0.5:32:freeze=mask_decoder,112:0.5:32:freeze=encoder+depth_decoder:lr=0.001"; what belongs to a
    frozen decoder is left out of the loss."""
    augment: float = 1.0
    """Strength of augmentation, 0 to 1. Flips, recolouring and disturbances: 1 = 3 of 4 samples are
    disturbed, 0 = as stored."""

    # Checks and checkpoints
    checks: int = advanced(5)
    """How often the validation set is looked at. Evenly over the run, the end included. 0 = never."""
    check_pairs: int = advanced(64)
    """Pairs of the validation set that are looked at."""
    checkpoint_steps: int | None = advanced(None)
    """Save after so many steps."""
    checkpoint_minutes: float = advanced(2.0)
    """Save after so many minutes."""
    keep: int = advanced(3)
    """Checkpoints that stay: the last ones; the best one stays too."""
    log_every: int = advanced(20)
    """Steps between two rows of metrics.jsonl."""
    tensorboard: bool | None = advanced(None)
    """Write events for TensorBoard to the run folder. Where it is not given, if TensorBoard is installed."""
    histograms: bool = advanced(False)
    """Show TensorBoard how weights and gradients are distributed, at each check."""

    # Machine
    workers: int = 2
    """Threads that decode pictures. Of each process."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train. auto takes a GPU if there is one."""
    precision: Literal["fp32", "bf16", "fp16"] = advanced("fp32")
    """Number format of the network's activations."""
    # mdnet on a CPU (benchmarks.speed.training --choices contiguous fused compile): 0.94 times as fast
    # without channels_last and 0.98 with fused at 224 px, within the noise of that machine; 0.83 with compile
    # at 112 px, after 3.5 minutes of compiling. Nothing speaks for other defaults.
    channels_last: bool = advanced(True)
    """Keep the channels of a pixel side by side in memory."""
    compile: bool = advanced(False)
    """Compile the network with torch.compile. Slow to begin, then perhaps faster on a GPU; on a CPU mdnet
    becomes slower."""
    fused: bool = advanced(False)
    """Let the optimizer do its step in one piece (not for rmsprop)."""

    # Options of earlier versions, and what to write instead.
    GONE: ClassVar[dict[str, str]] = {
        "drop_every": "drop_every is no option any more: leave it out, or with schedule step give drop_at, "
        "where in the run the rate drops (what drop_every 0.3 did, drop_at 0.3 0.6 0.9 does)"
    }

    def __post_init__(self) -> None:
        positive = (
            "steps", "epochs", "minutes", "batch_size", "accumulate", "lr", "drop", "plateau_checks",
            "check_pairs", "checkpoint_steps", "checkpoint_minutes", "keep", "log_every",
        )  # fmt: skip
        from_zero = ("weight_decay", "clip", "checks", "stop_checks", "seed", "workers")
        limits = (
            (positive, lambda x: x > 0, "more than 0"),
            (from_zero, lambda x: x >= 0, "0 or more"),
            (("warmup", "ema", "momentum"), lambda x: 0 <= x < 1, "0 to below 1"),
            (("augment",), lambda x: 0 <= x <= 1, "0 to 1"),
            (("size",), lambda x: x >= SMALLEST_PX, f"{SMALLEST_PX} or more"),
        )
        for name, fits, expected in ((name, *limit) for names, *limit in limits for name in names):
            if (value := getattr(self, name)) is not None and not fits(value):
                raise ValueError(f"{name} is {value}; expected {expected}")
        if self.size and self.stages:
            raise ValueError(f"size {self.size} and stages {self.stages!r} both say a size: give one")
        if not all(0 < share < 1 for share in self.drop_at):
            raise ValueError(f"drop_at is {self.drop_at}; expected shares of the run between 0 and 1")
        waits = "plateau" if self.schedule == "plateau" else "stop_checks" if self.stop_checks else ""
        if waits and not self.checks:
            raise ValueError(f"checks is 0, but {waits} waits for them: take checks above 0")
        if self.schedule == "multistep":
            raise ValueError("schedule multistep is now step: write step, and drop_at (which was 0.5 0.75)")
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

    def fixed(self, samples: int, data: str | None = None) -> dict[str, Any]:
        """What must stay when a run goes on, as JSON gives it back; `data` is the data set's id."""
        return {**{name: getattr(self, name) for name in FIXED}, "samples": samples, "data": data}

    def all_stages(self) -> list[Stage]:
        """The stages of the run; one stage where `stages` is empty."""
        if self.stages:
            return parse_stages(self.stages, self.batch_size)
        return [Stage(0, self.size, 0.0, 1.0, self.batch_size)]

    def as_json(self) -> dict[str, Any]:
        """All settings, as JSON gives them back."""
        return json.loads(json.dumps(asdict(self), default=str))

    @classmethod
    def settings_in(cls, found: dict[str, Any]) -> dict[str, Any]:
        """What a JSON file sets: its fields, or, of a run's config.json, what that run was asked to do, but
        for what means something else in a class that extends this one, such as its own folder and steps."""
        if not isinstance(found.get("training"), dict):
            return found
        others = set() if cls is TrainConfig else set(cls.__annotations__)
        # Earlier versions wrote down all options, used or not.
        if found["training"].get("schedule") != "step":
            others |= set(cls.GONE)
        return {name: value for name, value in found["training"].items() if name not in others}


def check_unchanged(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise ValueError, naming both values, where a run would go on with another `TrainConfig.fixed`."""
    for name, value in now.items():
        if None not in (value, before.get(name)) and before[name] != value:
            what = {"samples": "number of training samples", "data": "the data set of the id"}.get(name, name)
            free = [one.name for one in fields(TrainConfig) if one.name not in (*FIXED, *FOLDERS)]
            raise ValueError(
                f"this run was started with {what} {before[name]!r} and cannot go on with {value!r}: go back "
                f"to {before[name]!r} or choose another run folder (what may change: {', '.join(free)})"
            )


def parse_stages(text: str, batch_size: int) -> list[Stage]:
    """Stages from "size:share,size:share": "112:0.6,160:0.4" = 112 px for 60 % of the run, then 160 px.

    After the share may follow a batch size (else it is `batch_size`), and lr=, loss= and freeze= for this
    stage alone; see STAGES_EXPECTED. Shares are divided by their sum. Raises ValueError for any other text.
    """
    try:
        stages = [_parse_stage(part, batch_size) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"stages is {text!r}; {STAGES_EXPECTED}") from None
    numbers = [(stage["share"], stage["batch_size"], stage.get("lr", 1.0)) for stage in stages]
    if min(stage["size"] for stage in stages) < SMALLEST_PX or not all(
        0 < number < math.inf for three in numbers for number in three
    ):
        raise ValueError(
            f"stages is {text!r}; expected sizes of {SMALLEST_PX} px or more, and shares, batch sizes and "
            "learning rates above 0"
        )
    shares = [stage.pop("share") for stage in stages]
    ends = [round(sum(shares[: i + 1]) / sum(shares), 12) for i in range(len(shares))]
    starts = [0.0, *ends[:-1]]
    return [Stage(i, start=starts[i], end=ends[i], **stage) for i, stage in enumerate(stages)]


def _parse_stage(text: str, batch_size: int) -> dict:
    size, share, *rest = text.split(":")
    stage = {"size": int(size), "share": float(share), "batch_size": batch_size}
    if rest and "=" not in rest[0]:
        stage["batch_size"] = int(rest.pop(0))
    for setting in rest:
        name, value = setting.split("=")
        kind = {"lr": float, "loss": str, "freeze": lambda parts: tuple(parts.split("+"))}.get(name.strip())
        if kind is None:
            raise ValueError(name)
        stage[name.strip()] = kind(value.strip())
    return stage
