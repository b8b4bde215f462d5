"""Shadows that objects cast: soft, in linear light, no part of mask or depth.

The object is taken for an upright board at the distance of its contact point. Where z is known, a point of
the scene lies in shadow when the way from it to the light passes through that board; so the shadow lies on
the floor and climbs walls. Without z it is the mask, sheared and squeezed about its lowest point.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from mdlib.creation.composing.srgb import ALPHA, to_linear, to_srgb
from mdlib.creation.placing.counted_random import Draws, row_seeds

_SHADOW = 2  # names these draws among those of a placement
_FOCAL = 0.87  # over the picture's width: a view of 60 degrees; only scales the slope of the light
_LONGEST = 1.6  # how far a shadow reaches, over the object's height
_SQUEEZE = 0.45  # without z: height of a shadow over that of its object, for light from 45 degrees


class Light(NamedTuple):
    """Where light comes from: how far the shadow of a point lies to the right of it and behind it, for each
    metre of its height; dark: the share of light that a full shadow takes; soft: its blur over the object's
    height."""

    aside: float
    behind: float
    dark: float
    soft: float


def lights(seeds: np.ndarray) -> list[Light]:
    """The light that belongs to each placement's seed."""
    u = Draws(row_seeds(seeds, _SHADOW)).random(5)
    behind = np.where(u[:, 1] < 0.7, 1.0, -1.0) * (0.35 + 0.65 * u[:, 2])  # mostly from the camera's side
    columns = (1.6 * u[:, 0] - 0.8, behind, 0.25 + 0.4 * u[:, 3], 0.015 + 0.03 * u[:, 4])
    return [Light(*values) for values in np.stack(columns, 1).tolist()]


def cast(
    picture: torch.Tensor,
    z: torch.Tensor | None,
    alpha: torch.Tensor,
    x: int,
    y: int,
    z_m: float,
    light: Light,
) -> tuple[int, int, int, int]:
    """Darken `picture` (3,H,W) uint8, in place, by an object's shadow; returns the box that may have changed.

    z (1,H,W) metres, nan unknown, or None; alpha (1,h,w) of the scaled object, 0 to ALPHA, its top left at
    x, y; z_m: its distance. An unknown z gets no shadow.
    """
    height, width = alpha.shape[1:]
    solid = (alpha[0] >= ALPHA / 2).any(1).nonzero()
    if not len(solid):
        return (0, 0, 0, 0)
    foot = y + int(solid[-1]) + 1
    reach = int(_LONGEST * (foot - y)) + 1
    top, bottom = max(0, min(y, foot - reach)), min(picture.shape[1], foot + reach)
    left, right = max(0, x - reach), min(picture.shape[2], x + width + reach)
    if top >= bottom or left >= right:
        return (0, 0, 0, 0)
    v = torch.arange(top, bottom, device=alpha.device)[:, None] + 0.5
    u = torch.arange(left, right, device=alpha.device)[None] + 0.5
    box = (slice(None), slice(top, bottom), slice(left, right))
    if z is None:
        up = (foot - v) / (_SQUEEZE * light.behind)  # pixels of the object's height over its foot
        at_u, at_v = (u - up * light.aside).expand(len(v), -1), (foot - up).expand(-1, u.shape[1])
        lit = up <= 0
        lit = lit.expand_as(at_u)
    else:
        far = z[box][0]
        center_v, center_u, focal = picture.shape[1] / 2, picture.shape[2] / 2, _FOCAL * picture.shape[2]
        up = (far - z_m) / light.behind  # metres that the way to the light climbs until it meets the board
        at_u = center_u + ((u - center_u) * far - focal * light.aside * up) / z_m
        at_v = center_v + ((v - center_v) * far - focal * up) / z_m
        lit = ~(up > 0)  # also where unknown
    soft = max(1, round(light.soft * height))
    side = 2 * soft + 1
    blurred = F.pad(alpha[None], [2 * soft] * 4) / ALPHA
    for _ in range(2):  # two boxes make a triangle
        blurred = F.avg_pool2d(blurred, side, stride=1, padding=soft)
    frame = (height + 4 * soft, width + 4 * soft)
    grid = torch.stack([(at_u - x + 2 * soft) / frame[1], (at_v - y + 2 * soft) / frame[0]], -1) * 2 - 1
    shade = F.grid_sample(blurred, grid.nan_to_num(nan=9.0)[None], align_corners=False)[0]
    shade = torch.where(lit, 0.0, shade)
    seen = picture[box]
    seen.copy_(to_srgb(to_linear(seen) * (1.0 - light.dark * shade)))
    return (top, bottom, left, right)
