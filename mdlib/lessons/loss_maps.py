"""What a loss cares about, as a picture: how much it would change with each pixel of the prediction."""

import torch
from torch import Tensor

from mdlib.modeling.losses import Losses
from mdlib.modeling.networks.base import MaskDepth

_SURE = 1e-3  # a predicted mask is kept this far from 0 and 1, where its logit would be infinite


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
