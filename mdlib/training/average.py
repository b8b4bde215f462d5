"""The running average of a network's weights: steadier and better than the last weights themselves."""

import copy

import torch
from torch import nn


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
