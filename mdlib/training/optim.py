"""What a step of training is made of: losses, optimizer, its rates over the run, averaged weights.

Learning rate and momentum are functions of `progress` (0 to 1, see config): so they need nothing in a
checkpoint, and fit a run that ends by time as well as one that ends by steps. Plateau alone needs a memory.
Each schedule equals its namesake in torch.optim.lr_scheduler; see the tests.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from mdlib.modeling.losses import PRESETS, Losses
from mdlib.training.config import OPTIMIZERS, TrainConfig

# As torch's OneCycleLR has them: first rate = highest / 25, last rate = first / 10,000.
ONE_CYCLE_START, ONE_CYCLE_END, ONE_CYCLE_MOMENTA = 1 / 25, 1 / 25 / 1e4, (0.95, 0.85)
LEAST_GAIN = 1e-4  # of the best score so far; less is no better score (torch's ReduceLROnPlateau)
JUST_REACHED = 1e-9  # 3 x 0.1 is a bit more than 0.3


def new_losses(name: str, frozen: Sequence[str] = ()) -> Losses:
    """The loss terms of the preset `name`, without those of `frozen` decoders.

    Raises ValueError for an unknown preset, or where no term is left.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown loss {name!r}; there are {', '.join(map(repr, PRESETS))}")
    left_out = tuple(part.removesuffix("decoder") for part in frozen if part.endswith("_decoder"))
    weights = {term: weight for term, weight in PRESETS[name].items() if not term.startswith(left_out)}
    if not weights:
        raise ValueError(f"nothing of {name!r} is left with {', '.join(frozen)} frozen: freeze less")
    return Losses(weights)


def new_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of `config.optimizer`; weights of one dimension (biases, normalisation) do not decay."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": config.decay()},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    lr = config.lr or OPTIMIZERS[config.optimizer][0]  # the loop sets it anew before each step
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=config.momentum, fused=config.fused)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=lr, betas=(config.momentum, 0.999), fused=config.fused)


def set_rates(optimizer: torch.optim.Optimizer, lr: float, momentum: float) -> None:
    """Learning rate and momentum of the next step; RMSprop, and SGD begun without momentum, have none."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group["momentum"]:
            group["momentum"] = momentum


@dataclass
class Plateau:
    """How long the score of the checks has not become better; part of a checkpoint."""

    best: float | None = None
    waited: int = 0  # checks since the best one
    unused: int = 0  # ... or since the learning rate was lowered last
    factor: float = 1.0  # what the learning rate is multiplied with

    def lasts(self, checks: int) -> bool:
        """Whether so many checks in a row were no better; 0 = never."""
        return 0 < checks <= self.waited

    def add(self, score: float, patience: int, drop: float) -> None:
        """Take in the score of a check; after `patience` of them without a better one `factor` drops."""
        if self.best is None or score > self.best * (1 + LEAST_GAIN):
            self.best, self.waited, self.unused = score, 0, 0
            return
        self.waited, self.unused = self.waited + 1, self.unused + 1
        if self.unused >= patience:
            self.factor, self.unused = self.factor * drop, 0


def learning_rate(config: TrainConfig, progress: float, highest: float, plateau: Plateau) -> float:
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


def momentum(config: TrainConfig, progress: float) -> float:
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


class AveragedModel:
    """A copy of `model`, in evaluation mode, that follows it: average += (1 - decay) * (weights - average).

    Early on the decay is smaller, (1 + step) / (10 + step), so that the first weights are soon forgotten.
    Statistics of normalisation layers are averaged alike; whole numbers are copied.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        followed, following = model.state_dict().values(), self.model.state_dict().values()
        pairs = list(zip(followed, following, strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights as they are after step number `step`, the first of which is 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        new, averages = zip(*self._floats, strict=True)
        torch._foreach_lerp_(averages, new, 1 - decay)
        for value, copied in self._others:
            copied.copy_(value)
