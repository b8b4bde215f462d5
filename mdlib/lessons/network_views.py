"""Which shapes go through a network, in the order of calculation."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mdlib.modeling.modes import evaluation_mode


class Call(NamedTuple):
    """A part of a network that was called: name, class, shape of its (first) output, parameters."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


@torch.no_grad()
def trace_shapes(model: nn.Module, bg: Tensor, fg_bg: Tensor, depth: int = 2) -> list[Call]:
    """The calls of all parts up to `depth` dots deep while the model sees two pictures (B,3,H,W).

    Parts without parameters are left out, and parts that give no tensor. The model stays as it is.
    """
    calls: list[Call] = []

    def note(name: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            first = output[0] if isinstance(output, (tuple, list)) else output
            if isinstance(first, Tensor):
                count = sum(p.numel() for p in module.parameters())
                calls.append(Call(name, type(module).__name__, tuple(first.shape), count))

        return hook

    hooks = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if name and name.count(".") < depth and any(True for _ in module.parameters())
    ]
    try:
        with evaluation_mode(model):
            model(bg, fg_bg)
    finally:
        for hook in hooks:
            hook.remove()
    return calls
