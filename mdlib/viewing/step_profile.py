"""Where the time of a training step truly goes.

    found = profile(ProfileConfig(data="data", size=224, batch_size=16))
    print(found.table())          # milliseconds per step and phase, real beside cached batches
    profile_figure(found)         # the same as bars, a matplotlib figure

On the command line: python -m mdlib profile DATA.

The steps are those of `Trainer.fit`, in a folder that is thrown away; the trainer enters its clock around
each part of a step. A GPU computes behind the back of the program that feeds it, so the clock waits for the
GPU at both ends of each phase; how long a step takes is measured without that.
"""

import contextlib
import copy
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure

from mdlib.run import new_model, open_feed
from mdlib.training.config import Stage, TrainConfig
from mdlib.training.trainer import Trainer
from mdlib.viewing.figures import BLUE, INK, ORANGE, blank, table

REAL, CACHED, UNCOUNTED = "real", "cached", "uncounted"
BETWEEN = 6  # steps before each turn: more than there are batches decoded ahead
ROUNDS = 3  # in which real and cached batches take turns: the speed of a shared machine drifts
WAIT, READ, OTHER = "wait for data", "log, loss.item()", "other"
# Those between WAIT and READ are what Trainer.train_step enters its clock for.
PHASES = (WAIT, "to float, resize", "augment", "forward", "losses", "backward", "optimizer", "average")
QUEUED = ("forward", "losses", "backward", "optimizer")  # what a GPU computes behind the program's back


@dataclass(frozen=True)
class ProfileConfig(TrainConfig):
    """Measures where the time of a training step goes; no weights are kept.

    The other options are those of train; it is the first stage that is measured. Writes profile.json,
    profile.md and profile.png to the folder RUN.
    """

    run: Path = Path("profile")
    """Folder for the results."""
    steps: int = 20
    """Steps to measure of each kind: on real batches, on one that lies ready."""


class Profile(NamedTuple):
    """What a step costs, in seconds: medians over the steps.

    `phases` are in the order of the step; what is not done in each step (the log) is spread over them.
    `step_s` is a step as it is, `cached_s` one on a batch that lies ready. On a GPU `blamed` is what timing
    line by line says where nobody waits for it, `true` where somebody does; on a CPU both are empty.
    """

    batch_size: int
    device: str
    phases: dict[str, float]
    step_s: float
    cached_s: float
    blamed: dict[str, float]
    true: dict[str, float]

    def table(self) -> str:
        """Markdown tables and what they mean."""
        whole = sum(self.phases.values())
        phases = [[name, f"{1e3 * s:.1f}", f"{s / whole:.1%}"] for name, s in self.phases.items()]
        lines = [[name, f"{1e3 * s:.1f}", f"{1e3 * self.true[name]:.1f}"] for name, s in self.blamed.items()]
        real, cached = self.batch_size / self.step_s, self.batch_size / self.cached_s
        parts = [
            f"A step of {self.batch_size} samples on {self.device}: {1e3 * self.step_s:.1f} ms",
            table(["phase", "ms", "share"], phases),
            f"{real:.1f} samples/s; {cached:.1f} where the same batch lies ready in memory: "
            f"{real / cached:.2f} of that.",
            GPU_TEXT if lines else CPU_TEXT,
        ]
        if lines:
            parts.append(table(["line", "timed without waiting (ms)", "timed with waiting (ms)"], lines))
        return "\n\n".join(parts) + "\n"


CPU_TEXT = "On a CPU each line ends when its work is done, so the times above are true as they are."
GPU_TEXT = """\
Waiting for the GPU at each border takes time itself: the phases add up to more than a step.

A GPU has a queue: a line of the program only puts work into it and goes on. Timed line by line, the first
line that needs a number, `loss.item()`, seems to cost what all the lines before it cost:"""


def profile(config: ProfileConfig) -> Profile:
    """Train as `config` says for some steps of each kind; KeyboardInterrupt where a signal asks to stop."""
    model, make_loaders = new_model(config), open_feed(config)
    count = -(-config.steps // ROUNDS)
    config = replace(
        config, stages=config.stages.split(",")[0], steps=2 * ROUNDS * (BETWEEN + count), epochs=None,
        minutes=None, checks=0, stop_checks=0, mirror=None,
        schedule="constant" if config.schedule == "plateau" else config.schedule,
    )  # fmt: skip
    on_gpu = config.device != "cpu" and torch.cuda.is_available()

    def measure(wait: Callable[[], None], **settings) -> dict[str, list[dict[str, float]]]:
        """The steps of one run, by kind."""
        clock = StepClock(wait)

        def loaders(stage: Stage) -> tuple:
            train, check = make_loaders(stage)
            return TimedLoader(train, clock, count), check

        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            trainer = Trainer(replace(config, run=Path(folder), **settings), copy.deepcopy(model), loaders)
            trainer.clock = clock
            if not trainer.fit().finished:
                raise KeyboardInterrupt("stopped")
        return clock.steps

    found = measure(_on_cpu)
    timed = measure(torch.cuda.synchronize) if on_gpu else found
    phases = {phase: _median(timed[REAL], phase) for phase in PHASES}
    phases[READ] = statistics.mean(step[READ] for steps in timed.values() for step in steps)
    phases[OTHER] = statistics.median(2 * step["step"] - sum(step.values()) for step in timed[REAL])
    queue = [{}, {}]
    if on_gpu:
        runs = [measure(wait, log_every=1)[REAL] for wait in (_on_cpu, torch.cuda.synchronize)]
        queue = [{line: _median(steps, line) for line in (*QUEUED, READ)} for steps in runs]
    threads = torch.get_num_threads()
    cpu = f"the CPU ({threads} thread{'s' * (threads > 1)})"
    device = torch.cuda.get_device_name() if on_gpu else cpu
    steps = _median(found[REAL], "step"), _median(found[CACHED], "step")
    return Profile(config.all_stages()[0].batch_size, device, phases, *steps, *queue)


class StepClock:
    """Seconds of named phases, step by step: `with clock(phase)`; `wait` returns when the device is idle.

    `steps` has for each kind of steps a dict per step: phase -> seconds, and "step" for all of it.
    """

    def __init__(self, wait: Callable[[], None]):
        self.wait = wait
        self.steps: dict[str, list[dict[str, float]]] = {}
        self._kind: str | None = None

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        self.wait()
        begun = time.perf_counter()
        yield
        self.wait()
        self._step[phase] = self._step.get(phase, 0.0) + time.perf_counter() - begun

    def next_step(self, kind: str | None) -> None:
        """Here a step ends, and one of this kind begins; None = none begins."""
        now = time.perf_counter()
        if self._kind:
            self.steps.setdefault(self._kind, []).append({**self._step, "step": now - self._step_begun})
        self._kind, self._step, self._step_begun = kind, {}, now


class TimedLoader:
    """A loader each of whose batches begins a step: in turns `count` that it waits for, of kind REAL, and
    `count` times one that lies ready, CACHED.

    Before each turn go some of kind UNCOUNTED, in which the batches are used up that were decoded meanwhile.
    """

    def __init__(self, loader, clock: StepClock, count: int):
        self._loader, self._clock, self._count = loader, clock, count
        self._given, self._cached = 0, None

    def __getattr__(self, name: str):
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[dict]:
        batches = iter(self._loader)
        for _ in range(len(self._loader)):
            turn, place = divmod(self._given, BETWEEN + self._count)
            kind, batch = (REAL, CACHED)[turn % 2], self._cached
            self._clock.next_step(kind if place >= BETWEEN else UNCOUNTED)
            if kind == REAL:
                with self._clock(WAIT):
                    batch = next(batches)
            self._given += 1
            self._cached = self._cached or batch
            yield batch
        self._clock.next_step(None)


def profile_figure(found: Profile) -> Figure:
    """Bars: the phases of a step; samples/s with real and with cached batches; who gets the blame."""
    figure = blank(10, 4.6)
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    whole = sum(found.phases.values())
    ax = left.subplots()
    _bars(ax, found.phases, BLUE, lambda s: f"{1e3 * s:.1f} ms, {s / whole:.0%}")
    ax.set_title(f"a step of {found.batch_size} samples on {found.device}", fontsize=10, color=INK)
    above, below = right.subplots(2, height_ratios=(1, 2.4))
    rates = {
        "from the data set": found.batch_size / found.step_s,
        "batch lies ready": found.batch_size / found.cached_s,
    }
    _bars(above, rates, BLUE, "{:.1f}".format)
    above.set_title("samples/s", fontsize=10, color=INK)
    if not found.true:
        below.remove()
        return figure
    for shift, times, colour, label in (
        (-0.2, found.blamed, ORANGE, "timed without waiting"),
        (0.2, found.true, BLUE, "with waiting"),
    ):
        _bars(below, times, colour, lambda s: f"{1e3 * s:.0f} ms", shift, label)
    below.set_title("the queue of the GPU", fontsize=10, color=INK)
    below.legend(frameon=False, fontsize=8)
    return figure


def write_profile(folder: str | Path, found: Profile, settings: Mapping) -> list[Path]:
    """Write profile.json (with the `settings`), profile.md and profile.png to `folder`; their paths."""
    paths = [Path(folder) / f"profile.{kind}" for kind in ("json", "md", "png")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    content = found._asdict() | {"torch": torch.__version__, "settings": dict(settings)}
    paths[0].write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    paths[1].write_text(found.table(), "utf-8")
    profile_figure(found).savefig(paths[2])
    return paths


def report_profile(config: ProfileConfig) -> list[str | Path]:
    """Measure the steps that `config` describes; returns the table and the files written."""
    found = profile(config)
    return [found.table(), *write_profile(config.run, found, config.as_json())]


def _median(steps: list[dict[str, float]], phase: str) -> float:
    return statistics.median(step.get(phase, 0.0) for step in steps)


def _bars(
    ax, values: Mapping[str, float], colour: str, text: Callable[[float], str], shift=0.0, label=None
) -> None:
    """A horizontal bar per value, from above to below, with its number beside it."""
    places = [i + shift for i in range(len(values))]
    bars = ax.barh(places, values.values(), 0.36 if shift else 0.7, color=colour, label=label)
    ax.bar_label(bars, [text(value) for value in values.values()], padding=4, fontsize=8.5, color=INK)
    ax.set_yticks(range(len(values)), values, fontsize=9, color=INK)
    ax.invert_yaxis() if not ax.yaxis_inverted() else None
    ax.set_xlim(right=max(ax.get_xlim()[1], 1.3 * max(values.values())))
    ax.set_xticks([])
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def _on_cpu() -> None:
    """A CPU has done a line's work when the line ends."""
