"""What goes on in a network and in a loss, for the eye: shapes step by step, and what a loss asks for."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mdlib.modeling.losses import Losses
from mdlib.modeling.networks.base import MaskDepth, evaluation_mode
from mdlib.viewing.network.hooks import hooked

_SURE = 1e-3  # a predicted mask is kept this far from 0 and 1, where its logit would be infinite


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
    parts = {name: part for name, part in model.named_modules() if name and name.count(".") < depth}
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    calls: list[Call] = []

    def note(name: str, output: object) -> None:
        first = output[0] if isinstance(output, (tuple, list)) else output
        if isinstance(first, Tensor):
            calls.append(Call(name, type(parts[name]).__name__, tuple(first.shape), sizes[name]))

    with hooked([(name, parts[name]) for name, size in sizes.items() if size], note), evaluation_mode(model):
        model(bg, fg_bg)
    return calls


def loss_map(term: str, pred: Tensor, true: Tensor) -> tuple[float, Tensor]:
    """The value of one loss term, such as "mask_dice" or "depth_gradient", and its picture.

    pred, true: (H,W) in [0, 1], masks after the sigmoid, or closeness. The picture (H,W) is the negative
    gradient with respect to `pred`: positive where the loss wants more of it, negative where less, 0 where
    it does not care.
    """
    pred = pred.detach().clone()[None, None].clamp(_SURE, 1 - _SURE).requires_grad_()
    batch = {"mask": true[None, None], "depth": true[None, None]}
    with torch.enable_grad():
        value = Losses({term: 1.0})(MaskDepth(pred.logit(), pred), batch)["total"]
        (gradient,) = torch.autograd.grad(value, pred)
    return value.item(), -gradient[0, 0]


def signed_colours(values: Tensor) -> Tensor:
    """Values (H,W) as colours (H,W,3) uint8: more wanted orange, less blue, 0 white; the 99.5th percentile of
    their size is the full colour."""
    full = torch.quantile(values.abs().flatten().float(), 0.995).clamp(min=1e-12)
    strength = (values / full).clamp(-1, 1)[..., None]
    orange, blue = (torch.tensor(rgb, dtype=torch.float32) for rgb in ((224, 112, 0), (0, 96, 192)))
    colour = torch.where(strength > 0, orange, blue)
    return (255 + strength.abs() * (colour - 255)).round().to(torch.uint8)
