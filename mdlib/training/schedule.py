"""Learning rate and momentum as functions of how far a run is, and the one schedule that needs a memory.

A function of `progress` (0 to 1, see config) needs nothing in a checkpoint, and fits a run that ends by time
as well as one that ends by steps. Each equals its namesake in torch.optim.lr_scheduler; see the tests.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdlib.training.config import TrainConfig

# As torch's OneCycleLR has them: first rate = highest / 25, last rate = first / 10,000.
ONE_CYCLE_START, ONE_CYCLE_END, ONE_CYCLE_MOMENTA = 1 / 25, 1 / 25 / 1e4, (0.95, 0.85)
LEAST_GAIN = 1e-4  # of the best score so far; less is no better score (torch's ReduceLROnPlateau)
JUST_REACHED = 1e-9  # 3 x 0.1 is a bit more than 0.3


@dataclass
class Plateau:
    """How long the score of the checks has not become better; part of a checkpoint."""

    best: float | None = None
    waited: int = 0  # checks since the best one
    unused: int = 0  # ... or since the learning rate was lowered last
    factor: float = 1.0  # what the learning rate is multiplied with

    def add(self, score: float, patience: int, drop: float) -> None:
        """Take in the score of a check; after `patience` of them without a better one `factor` drops."""
        if self.best is None or score > self.best * (1 + LEAST_GAIN):
            self.best, self.waited, self.unused = score, 0, 0
            return
        self.waited, self.unused = self.waited + 1, self.unused + 1
        if self.unused >= patience:
            self.factor, self.unused = self.factor * drop, 0


def learning_rate(config: "TrainConfig", progress: float, highest: float, plateau: Plateau) -> float:
    """The rate at `progress`: a line from 0 up to `highest` at `warmup`, then as `config.schedule` says.

    constant; step: x `drop` at each of `drop_at`; plateau: x `plateau.factor`; cosine: to 0 along half a
    cosine (SGDR without restarts, Loshchilov and Hutter 2017); onecycle: up from highest / 25 at the start,
    along half cosines (Smith and Topin 2018).
    """
    kind, warmup = config.schedule, config.warmup
    if kind == "onecycle":
        if progress < warmup:
            return half_cosine(highest * ONE_CYCLE_START, highest, progress / warmup)
        return half_cosine(highest, highest * ONE_CYCLE_END, (progress - warmup) / (1 - warmup))
    if progress < warmup:
        return highest * progress / warmup
    if kind == "cosine":
        return half_cosine(highest, 0.0, (progress - warmup) / (1 - warmup))
    if kind == "step":
        return highest * config.drop ** sum(progress >= at - JUST_REACHED for at in config.drop_at)
    return highest * (plateau.factor if kind == "plateau" else 1.0)


def momentum(config: "TrainConfig", progress: float) -> float:
    """What goes on of the step before: `config.momentum`, or in a onecycle 0.95 down to 0.85 and back."""
    if config.schedule != "onecycle":
        return config.momentum
    most, least = ONE_CYCLE_MOMENTA
    if progress < config.warmup:
        return half_cosine(most, least, progress / config.warmup)
    return half_cosine(least, most, (progress - config.warmup) / (1 - config.warmup))


def half_cosine(first: float, last: float, done: float) -> float:
    """From `first` at `done` = 0 to `last` at 1, level at both ends."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
