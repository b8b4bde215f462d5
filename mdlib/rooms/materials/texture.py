"""Procedural surface colours: planks, tiles, brick, cloth, wood, wallpaper ..., filtered to the pixel.

A texture is a function of a `Patch` (where on a face the points lie) and a `Material`; it returns linear RGB,
a tuple of three tensors. Lines are integrated over the pixel's footprint and noise fades out when the
footprint outgrows it, so that distant floors neither alias nor shimmer.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdlib.rooms.raycasting.solids import Vec

_TILE = 256


class Patch(NamedTuple):
    """N points on faces: u, v in metres from the face's centre (v is up or away), w* the pixel's footprint
    there.

    hu, hv are half the face's sides in metres; `upright` says which points lie on faces that stand upright;
    `d` is the unit direction in which the camera sees the point.
    """

    u: Tensor
    v: Tensor
    wu: Tensor
    wv: Tensor
    hu: Tensor
    hv: Tensor
    upright: Tensor
    d: Vec

    def grain(self, su: float, sv: float, seed: int) -> Tensor:
        """Noise with knots every su metres along u and sv along v."""
        return grain(self.u, self.v, self.wu, self.wv, su, sv, seed)


class Material(NamedTuple):
    """What a surface is made of; `colors` are linear RGB, their meaning and that of `scale` (metres) by
    `kind`.

    `gloss` is the share of light mirrored, `soft` the metres over which a box's edge is rounded in its
    shading, `glow` the light it emits itself, as a multiple of its colour.
    """

    kind: str
    colors: tuple[tuple[float, float, float], ...]
    scale: float = 0.1
    gloss: float = 0.0
    soft: float = 0.004
    glow: float = 0.0
    seed: int = 0


def linear(red: float, green: float, blue: float) -> tuple[float, float, float]:
    """An sRGB colour in 0..255, as a colour picker shows it -> linear 0..1 (IEC 61966-2-1)."""
    c = np.clip(np.array([red, green, blue], float) / 255, 0, 1)
    return tuple(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).tolist())


# ---- building blocks ---------------------------------------------------------------------------------------


@functools.cache
def _tile() -> Tensor:
    return torch.from_numpy(np.random.default_rng(20).random(_TILE * _TILE, dtype=np.float32))


def cell(i: Tensor, j: Tensor | int, seed: int) -> Tensor:
    """A random number in [0, 1) for each pair of whole numbers (float tensors), always the same one."""
    row = (i.long() * 37 + seed * 101) & (_TILE - 1)
    column = (j.long() if isinstance(j, Tensor) else j) + seed * 57 + row * 11
    return _tile()[row * _TILE + (column & (_TILE - 1))]


def value_noise(u: Tensor, v: Tensor, seed: int) -> Tensor:
    """Smooth value noise in [-1, 1] with one knot per unit."""
    i, j = u.floor(), v.floor()
    f, g = u - i, v - j
    f, g = f * f * (3 - 2 * f), g * g * (3 - 2 * g)
    i, j = i.long() + seed * 71, j.long() + seed * 131
    i0, i1 = i & (_TILE - 1), (i + 1) & (_TILE - 1)
    j0, j1 = (j & (_TILE - 1)) * _TILE, ((j + 1) & (_TILE - 1)) * _TILE
    tile = _tile()
    low, high = tile[j0 + i0], tile[j1 + i0]
    low, high = low + f * (tile[j0 + i1] - low), high + f * (tile[j1 + i1] - high)
    return (low + g * (high - low)) * 2 - 1


def grain(u: Tensor, v: Tensor, wu: Tensor, wv: Tensor, su: float, sv: float, seed: int) -> Tensor:
    """Noise with knots every su, sv metres that fades out as the footprint reaches them."""
    fade = (1.4 - torch.maximum(wu / su, wv / sv)).clamp(0, 1)
    return value_noise(u / su, v / sv, seed) * fade


def lines(x: Tensor, period: float, width: float, w: Tensor) -> Tensor:
    """Share of a footprint w about x that bars [0, width) of every period cover: an exact box filter."""
    w = w.clamp_min(1e-6)

    def total(x: Tensor) -> Tensor:
        whole = (x / period).floor()
        return whole * width + (x - whole * period).clamp_max(width)

    return ((total(x + w / 2) - total(x - w / 2)) / w).clamp(0, 1)


def within(x: Tensor, low, high, w: Tensor) -> Tensor:
    """Share of a footprint w about x that lies between low and high."""
    w = w.clamp_min(1e-6)
    return (
        torch.minimum(x + w / 2, torch.as_tensor(high)) - torch.maximum(x - w / 2, torch.as_tensor(low))
    ).clamp_min(0) / w


def mix(a: Vec, b: Vec, share) -> Vec:
    """a where share is 0, b where it is 1."""
    return tuple(a[k] + (b[k] - a[k]) * share for k in range(3))


def times(color: Vec, factor) -> Vec:
    """A colour made darker or lighter."""
    return tuple(c * factor for c in color)


Texture = Callable[[Patch, Material], Vec]
