"""Formulas under which earlier projects of this kind published their figures, for translation only.

All take maps of any equal shape in [0, 1] and return one number over all of them, as the projects did. None
is used by the protocol.
"""

import torch
from torch import Tensor


def published_mean_iou(pred: Tensor, true: Tensor) -> float:
    """Published as "mean IoU": sum(P T) / sum(P + T) of soft masks.

    The intersection is never subtracted from the sum, so a perfect mask scores 0.5, and the value is half of
    Dice: a published 0.20 is Dice 0.40.
    """
    _check(pred, true)
    return ((pred * true).sum() / (pred + true).sum()).item()


def published_rmse(pred: Tensor, true: Tensor) -> float:
    """Published as "RMSE" of depth: sqrt(mean((10 y - 10 y')^2)), ten times the one on maps in [0, 1].

    A published 0.86 is 0.086.
    """
    _check(pred, true)
    return (10 * pred - 10 * true).square().mean().sqrt().item()


def published_depth_dice(pred: Tensor, true: Tensor) -> float:
    """Published as "Dice" of depth: 2 sum(y y') / sum(y + y').

    Dice is meant for masks. The perfect depth map has sum(y^2) / sum(y), less than 1 wherever a value lies
    between 0 and 1, about 0.6 for usual maps: a published 0.52 is no percentage.
    """
    _check(pred, true)
    return (2 * (pred * true).sum() / (pred + true).sum()).item()


def dice_from_published_mean_iou(value: float) -> float:
    """Dice from a published "mean IoU": twice the value. Raises ValueError above 0.5, its maximum."""
    if not 0 <= value <= 0.5:
        raise ValueError(f"{value} cannot be this formula's value: expected 0 to 0.5; was it a true IoU?")
    return 2 * value


def _check(pred: Tensor, true: Tensor) -> None:
    if pred.shape != true.shape or not torch.is_floating_point(pred):
        raise ValueError(
            f"prediction {tuple(pred.shape)} of {pred.dtype} and truth {tuple(true.shape)} do not fit: "
            "expected float maps of the same shape"
        )
