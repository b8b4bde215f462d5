"""A clock around what a training step calls, so that the loop itself stays as it is."""

import contextlib
import time
from collections.abc import Callable, Iterator

from mdlib.training import trainer as loop
from mdlib.training.trainer import Trainer

REAL, CACHED, UNCOUNTED = "real", "cached", "uncounted"
BETWEEN = 6  # steps before each turn: more than there are batches decoded ahead
WAIT, READ = "wait for data", "log, loss.item()"
PHASES = (WAIT, "to float, resize", "augment", "forward", "losses", "backward", "optimizer", "average")


class Laps:
    """Seconds of named phases, step by step; `wait` returns when the device has done all its work.

    `steps` has for each kind of steps a dict per step: phase -> seconds, and "step" for all of it.
    """

    def __init__(self, wait: Callable[[], None]):
        self.wait = wait
        self.steps: dict[str, list[dict[str, float]]] = {}
        self._kind: str | None = None

    def next_step(self, kind: str | None) -> None:
        """Here a step ends, and one of this kind begins; None = none begins."""
        now = time.perf_counter()
        if self._kind:
            self.steps.setdefault(self._kind, []).append({**self._step, "step": now - self._step_begun})
        self._kind, self._step, self._step_begun = kind, {}, now

    def forget_step(self) -> None:
        """There was no batch for the step that has begun."""
        self._kind = None

    def begin(self) -> None:
        self.wait()
        self._begun = time.perf_counter()

    def end(self, phase: str) -> None:
        self.wait()
        self._step[phase] = self._step.get(phase, 0.0) + time.perf_counter() - self._begun

    def around(self, function: Callable, phase: str) -> Callable:
        """The function, with a clock around it."""

        def timed(*args, **kwargs):
            self.begin()
            result = function(*args, **kwargs)
            self.end(phase)
            return result

        return timed


class TimedLoader:
    """A loader each of whose batches begins a step: in turns `count` that it waits for, of kind REAL, and
    `count` times one that lies ready, CACHED.

    Before each turn go some of kind UNCOUNTED, in which the batches are used up that were decoded meanwhile.
    """

    def __init__(self, loader, laps: Laps, count: int):
        self._loader, self._laps, self._count = loader, laps, count
        self._given, self._cached = 0, None
        self.to_float = laps.around(loader.to_float, "to float, resize")

    def __getattr__(self, name: str):
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[dict]:
        batches = iter(self._loader)
        fetch = self._laps.around(lambda: next(batches, None), WAIT)
        for _ in range(len(self._loader)):
            turn, place = divmod(self._given, BETWEEN + self._count)
            kind = (REAL, CACHED)[turn % 2]
            self._laps.next_step(kind if place >= BETWEEN else UNCOUNTED)
            batch = fetch() if kind == REAL else self._cached
            if batch is None:
                return self._laps.forget_step()
            self._given += 1
            self._cached = self._cached or batch
            yield batch
        self._laps.next_step(None)


@contextlib.contextmanager
def clocks(trainer: Trainer, laps: Laps) -> Iterator[None]:
    """Put clocks around what a step of the trainer calls."""
    state, accelerator = trainer.state, trainer.accelerator
    state.model.register_forward_pre_hook(lambda *_: laps.begin())
    state.model.register_forward_hook(lambda *_: laps.end("forward"))
    trainer.all_losses = [laps.around(losses, "losses") for losses in trainer.all_losses]
    for owner, name, phase in (
        (accelerator, "backward", "backward"),
        (accelerator, "clip_grad_norm_", "optimizer"),
        (state.optimizer, "step", "optimizer"),
        (state.optimizer, "zero_grad", "optimizer"),
        (state.average, "update", "average"),
        (trainer, "log_if_due", READ),
    ):
        setattr(owner, name, laps.around(getattr(owner, name), phase))
    functions = loop.resize, loop.augment
    loop.resize, loop.augment = (
        laps.around(loop.resize, "to float, resize"),
        laps.around(loop.augment, "augment"),
    )
    try:
        yield
    finally:
        loop.resize, loop.augment = functions
