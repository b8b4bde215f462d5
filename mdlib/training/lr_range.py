"""Which learning rate? Try them all once, from small to large (the LR range test of Smith 2017)."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import nn

from mdlib.training.config import Stage, TrainConfig
from mdlib.training.optim import set_rates
from mdlib.training.state import own_random_numbers
from mdlib.training.trainer import Trainer

SMOOTHING = 0.9  # of the losses: the weight of the past
TOO_HIGH = 2.0  # times the best loss: there the test ends
MARGIN = 10.0  # the rate at the lowest loss is on the brink; this much below it training is safe


@dataclass(frozen=True)
class LrRangeConfig(TrainConfig):
    """Tries learning rates from small to large, one per step, and suggests one; no weights are kept.

    The other options are those of train, and matter as they do there; it is the first stage that is tried.
    Writes lr_range.json and lr_range.png to the folder RUN.
    """

    run: Path = Path("lr_range")
    """Folder for the results."""
    steps: int = 100
    """Learning rates to try."""
    lowest: float = 1e-5
    """First learning rate."""
    highest: float = 1.0
    """Last learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.lowest < self.highest < math.inf or self.steps < 10:
            raise ValueError(
                f"lowest is {self.lowest}, highest {self.highest} and steps {self.steps}; expected "
                "0 < lowest < highest and 10 steps or more"
            )


class LrRange(NamedTuple):
    """The rates tried, the loss at each, that loss smoothed, and the rate to take (None: none was better)."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None


def lr_range(config: LrRangeConfig, model: nn.Module, make_loaders: Callable[[Stage], tuple]) -> LrRange:
    """Train a copy of `model` for `config.steps` steps while the rate grows by a constant factor.

    Ends where the smoothed loss is TOO_HIGH times its lowest value. Arguments are those of Trainer; nothing
    is written.
    """
    trainer = Trainer(config, copy.deepcopy(model), make_loaders)
    if trainer.processes.size > 1:
        raise ValueError("learning rates are tried by one process, but several were started: start one")
    rates, losses = [], []
    with own_random_numbers(config.seed, trainer.state.device):
        trainer.load(trainer.stages[0])
        for rate, batch in zip(all_rates(config), _endless(trainer.train_loader), strict=False):
            set_rates(trainer.state.optimizer, rate, config.momentum)
            trainer.train_step(batch, trainer.stages[0])
            trainer.state.at.step += 1
            loss = trainer.state.sums["total"].item()
            trainer.state.sums = {}
            if not math.isfinite(loss):
                break
            rates.append(rate)
            losses.append(loss)
            smoothed = smooth(losses)
            if smoothed[-1] > TOO_HIGH * min(smoothed):
                break
    return LrRange(rates, losses, smooth(losses), suggest(rates, smooth(losses)))


def all_rates(config: LrRangeConfig) -> list[float]:
    """`steps` rates from lowest to highest, each the same factor above the one before."""
    factor = math.log(config.highest / config.lowest) / (config.steps - 1)
    return [config.lowest * math.exp(factor * i) for i in range(config.steps)]


def smooth(losses: list[float]) -> list[float]:
    """Running averages, corrected for their beginning (as Adam does it)."""
    average, result = 0.0, []
    for i, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        result.append(average / (1 - SMOOTHING**i))
    return result


def suggest(rates: list[float], smoothed: list[float]) -> float | None:
    """The rate of the lowest loss / MARGIN, two digits; None where the loss did not fall at all."""
    if not smoothed or min(smoothed) >= smoothed[0]:
        return None
    return float(f"{rates[smoothed.index(min(smoothed))] / MARGIN:.1e}")


def _endless(loader):
    epoch = 0
    while True:
        loader.set_epoch(epoch)
        yield from loader
        epoch += 1
