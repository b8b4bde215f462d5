"""Soft shadows that placed objects cast on what they stand on.

The shadow of a flat upright shape under a distant lamp, seen from some way off, is that shape squeezed and
sheared about its foot. Lamps are never points, so its edge is soft, and it fades away from the foot.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from mdlib.creation.draws import Draws, row_seeds

_PURPOSE = 1  # keeps these draws apart from those of the placement with the same seed
_BEHIND = 0.6  # share of shadows that fall away from the camera
_ASIDE = 1.0  # how far the end of the shadow is from the foot, to either side, over the object's height
_UP = (0.15, 0.45)  # the same up or down the picture: floors are seen at a low angle
_SOFT = (0.005, 0.02)  # standard deviation of the edge over the object's height; half as much up and down
_FADED = 0.5  # share of the darkness that is lost at the far end


class Shadow(NamedTuple):
    """shade (1,h,w) float32, 0 to 1: how much light is kept away; top, left: where it lies, in pixels."""

    shade: torch.Tensor
    top: int
    left: int


def cast(alpha: torch.Tensor, x: int, y: int, seed: int, darkest: float) -> Shadow:
    """The shadow of an object with `alpha` (1,h,w), 0 to 1, whose top left is at x, y and whose foot is its
    last row. Lamp, softness and darkness (`darkest` at most, half of it at least) follow from `seed`."""
    drawn = Draws(row_seeds(seed, _PURPOSE)).random(5)[0].tolist()
    height, width = alpha.shape[1:]
    behind, length = drawn[0] < _BEHIND, max(1, round(height * (_UP[0] + (_UP[1] - _UP[0]) * drawn[2])))
    shear = _ASIDE * (2 * drawn[1] - 1) * height / length  # columns per row
    sigma = max(0.6, height * (_SOFT[0] + (_SOFT[1] - _SOFT[0]) * drawn[3]))
    border = math.ceil(3 * sigma)
    shape = F.interpolate(alpha[None], (length, width), mode="bilinear", antialias=True)[0]
    away = torch.arange(length - 0.5, 0, -1, device=alpha.device)  # rows from the foot, of each row
    shape = shape * (1.0 - _FADED * away / length)[:, None] * (darkest * (1.0 + drawn[4]) / 2)
    aside = math.ceil(abs(shear) * length)
    sheared = _sheared(F.pad(shape, [aside, aside, 0, 0]), shear * away)
    if not behind:
        sheared = sheared.flip(1)
    soft = _blurred(_blurred(F.pad(sheared, [border] * 4), sigma / 2).mT, sigma).mT.contiguous()
    foot = y + height
    return Shadow(soft, (foot - length if behind else foot) - border, x - aside - border)


def _sheared(shape: torch.Tensor, by_px: torch.Tensor) -> torch.Tensor:
    """(1,h,w) with each row moved to the right by so many pixels."""
    height, width = shape.shape[1:]
    columns = torch.arange(width, device=shape.device) + 0.5 - by_px[:, None]
    rows = (torch.arange(height, device=shape.device) + 0.5)[:, None].expand(-1, width)
    grid = torch.stack([2 * columns / width - 1, 2 * rows / height - 1], -1)
    return F.grid_sample(shape[None], grid[None], align_corners=False)[0]


def _blurred(shape: torch.Tensor, sigma: float) -> torch.Tensor:
    """(1,h,w) blurred up and down by a Gaussian."""
    reach = math.ceil(3 * sigma)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = torch.tensor(taps / taps.sum(), dtype=torch.float32, device=shape.device)
    return F.conv2d(shape[None], taps[None, None, :, None], padding=(reach, 0))[0]
