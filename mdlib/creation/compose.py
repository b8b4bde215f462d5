"""Puts cut-outs into backgrounds: pixels, soft mask and depth. Batched, on any device.

Light adds up linearly, stored pixel values do not: cut-outs are resized and blended in linear light
(sRGB, IEC 61966-2-1), with the colour multiplied by alpha first (Porter and Duff 1984), so that what is
transparent never bleeds into an edge. Soft edge pixels of a cut-out still hold some of the scene it was
cut from; their colour is replaced by that of the solid object beside them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from mdlib.creation.placing import Placements

Z_TOLERANCE_M = 0.02  # a surface this much nearer than an object's contact point hides the object
_SOLID, _CLEAR = 0.998, 0.05  # alpha of pixels that show the object alone (255 of 255), or hardly anything
_CONTAMINATED = 0.7  # share of the unexplained that an old background must leave at most, to be believed
_LEVELS = 65536  # of linear light; about 20 per 8-bit level where these lie closest


class Sprite(NamedTuple):
    """A cut-out made ready by `make_sprite`.

    layers (4,h,w) float32: linear-light colour times alpha, and alpha; (5,h,w) with relief in metres last.
    """

    layers: torch.Tensor

    def to(self, device: torch.device | str) -> "Sprite":
        """The same sprite on `device`."""
        return Sprite(self.layers.to(device))


def make_sprite(rgba: np.ndarray | torch.Tensor, relief: np.ndarray | None = None) -> Sprite:
    """Prepare a cut-out: rgba (h,w,4) uint8 array or (4,h,w) uint8 tensor, alpha not premultiplied.

    relief (h,w): metres that each pixel lies behind the contact point, nan outside; None = flat.
    """
    if isinstance(rgba, np.ndarray):
        rgba = torch.from_numpy(np.array(rgba)).permute(2, 0, 1)
    if rgba.dtype != torch.uint8 or rgba.ndim != 3 or rgba.shape[0] != 4:
        raise ValueError(f"a cut-out is (4,h,w) uint8, RGBA, but this is {tuple(rgba.shape)} of {rgba.dtype}")
    alpha = rgba[3:].float() / 255.0  # (1, h, w)
    colour = _clean_edges(_to_linear(rgba[:3]), alpha)
    layers = [colour * alpha, alpha]
    if relief is not None:
        metres = torch.from_numpy(np.array(relief, np.float32))[None].to(rgba.device)
        known = (~metres.isnan()).float()
        layers.append(_spread(metres.nan_to_num(), known, radii=(1, 2, 4, 8, 16))[0])
    return Sprite(torch.cat(layers).contiguous())


def compose(
    bg: torch.Tensor,
    sprites: Sequence[Sprite],
    placements: Placements,
    z: torch.Tensor | None = None,
    floor: torch.Tensor | None = None,
    feather_px: float = 0.0,
) -> dict[str, torch.Tensor]:
    """Paint each placed sprite onto its picture.

    bg (B,3,H,W) uint8; placements: one row per object, `fg` indexing `sprites`; rows of the same `sample` go
    onto the same picture, one after the other, and the b-th smallest sample number belongs to bg[b]. z
    (B,1,H,W) float32 metres, nan unknown; floor (B,1,H,W) bool: surfaces that never hide what stands on them.
    feather_px: standard deviation, in output pixels, by which edges are softened (0 to 2).

    Returns fg_bg (B,3,H,W) uint8, mask (B,1,H,W) uint8 (255 = object only) and z (B,1,H,W) float32, nan
    unknown. Where the mask is at least 128, z is the object's. A sample does not depend on the others.
    """
    pictures, heights = _check(bg, placements, feather_px)
    fg_bg = bg.clone(memory_format=torch.channels_last)  # as the JPEG encoder takes it
    mask = torch.zeros_like(bg[:, :1], memory_format=torch.contiguous_format)
    if z is None:
        z = torch.full(mask.shape, torch.nan, device=bg.device)
        tested = False
    else:
        z, tested = z.clone(memory_format=torch.contiguous_format), True
        floor = torch.zeros_like(mask, dtype=torch.bool) if floor is None else floor.clone()
    rows = zip(pictures, heights, placements.fg.tolist(), placements.flip.tolist(), placements.x_px.tolist(),
               placements.y_px.tolist(), placements.z_m.tolist(), strict=True)  # fmt: skip
    for b, height, fg, flip, x, y, z_m in rows:
        layers = _resize(sprites[fg].layers, height, flip)
        if feather_px > 0:
            layers, border = _feather(layers, feather_px)
            x, y = x - border, y - border
        top, bottom = max(0, y), min(bg.shape[2], y + layers.shape[1])
        left, right = max(0, x), min(bg.shape[3], x + layers.shape[2])
        if top >= bottom or left >= right:
            continue
        layers = layers[:, top - y : bottom - y, left - x : right - x]
        box = (b, slice(None), slice(top, bottom), slice(left, right))
        if tested:
            hidden = (z[box] < z_m - Z_TOLERANCE_M) & ~floor[box]  # False where either is unknown
            layers = torch.where(hidden, 0.0, layers)
        alpha = layers[3:4]
        fg_bg[box] = _to_srgb(torch.addcmul(layers[:3], 1.0 - alpha, _to_linear(fg_bg[box])))
        covered = mask[box].float() / 255.0
        mask[box] = torch.addcmul(alpha, 1.0 - alpha, covered).mul_(255.0).round_().to(torch.uint8)
        if tested:
            _put_depth(z, floor, box, alpha, layers[4:], z_m)
    return {"fg_bg": fg_bg, "mask": mask, "z": z}


def _check(bg: torch.Tensor, placements: Placements, feather_px: float) -> tuple[list[int], list[int]]:
    """Which picture each row belongs to, and the height of each object in pixels."""
    if bg.dtype != torch.uint8 or bg.ndim != 4 or bg.shape[1] != 3:
        raise ValueError(f"backgrounds are (B,3,H,W) uint8, but these are {tuple(bg.shape)} of {bg.dtype}")
    if not 0.0 <= feather_px <= 2.0:
        raise ValueError(f"feather_px is {feather_px}; edges can be softened by 0 to 2 pixels")
    samples, pictures = np.unique(placements.sample, return_inverse=True)
    if len(samples) != len(bg):
        raise ValueError(f"{len(bg)} backgrounds, but placements of {len(samples)} samples: give one each")
    return pictures.tolist(), placements.height_px(bg.shape[2]).tolist()


def _resize(layers: torch.Tensor, height: int, flip: bool) -> torch.Tensor:
    """Resize to `height` rows, keeping the aspect; flipped afterwards, so that mirror images are exact."""
    width = max(1, round(layers.shape[2] * height / layers.shape[1]))
    resized = F.interpolate(layers[None], (height, width), mode="bilinear", antialias=True)[0]
    return resized.flip(-1) if flip else resized


def _put_depth(
    z: torch.Tensor, floor: torch.Tensor, box: tuple, alpha: torch.Tensor, relief: torch.Tensor, z_m: float
) -> None:
    """Write the object's depth where it covers at least half of a pixel, as its stored mask says."""
    solid = (alpha * 255.0).round_() >= 128
    own = relief + z_m if len(relief) else torch.full_like(alpha, z_m)
    behind = z[box]
    # What is seen lies in front of what it covers, even where the back of an object would reach into a wall.
    own = torch.where(behind < own, behind, own)
    z[box] = torch.where(solid, own, behind)
    floor[box] &= ~solid


def _feather(layers: torch.Tensor, sigma_px: float) -> tuple[torch.Tensor, int]:
    """Soften the alpha by a Gaussian; colour is only blurred where the object itself gave none."""
    border = int(np.ceil(3 * sigma_px))
    padded = F.pad(layers[:4], [border] * 4)
    taps = torch.exp(-0.5 * (torch.arange(-border, border + 1, device=layers.device) / sigma_px) ** 2)
    taps = taps / taps.sum()
    blurred = F.conv2d(padded[:, None], taps[None, None, :, None], padding=(border, 0))
    blurred = F.conv2d(blurred, taps[None, None, None, :], padding=(0, border))[:, 0]
    # Own colour (known up to alpha) is completed by the surrounding colour, then multiplied by the new alpha.
    colour = torch.addcmul(blurred[3:] * padded[:3], 1.0 - padded[3:], blurred[:3])
    parts = [colour, blurred[3:]]
    if len(layers) > 4:
        parts.append(F.pad(layers[None, 4:], [border] * 4, mode="replicate")[0])
    return torch.cat(parts), border


def _clean_edges(colour: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Replace the colour of soft edge pixels by that of the solid object near them, where they need it.

    Only pixels between the object and the outside are edges: glass, hair or leaves far from solid parts or
    in their midst keep their own colour. So does a cut-out whose edges show no trace of an old background.
    colour (3,h,w) linear, alpha (1,h,w).
    """
    reach = min(8, max(4, round(max(alpha.shape[1:]) / 75)))
    solid = (alpha >= _SOLID).float()
    near, known = _spread(colour, solid, radii=tuple(range(1, reach + 1)))
    outside = F.pad((alpha < _CLEAR).float(), [reach] * 4, value=1.0)
    outside = F.max_pool2d(outside[None], 2 * reach + 1, stride=1)[0] > 0
    edge = (outside & known & (solid == 0))[0]
    if not _shows_old_background(colour[:, edge], near[:, edge], alpha[:, edge]):
        return colour
    return torch.where(edge, near, colour)


def _shows_old_background(colour: torch.Tensor, near: torch.Tensor, alpha: torch.Tensor) -> bool:
    """Whether edge colours are a mixture of the object (`near`) and one background (Smith, Blinn 1996).

    colour = alpha * near + (1 - alpha) * background, with the background that fits best, against
    colour = near; differences count as much as they would be seen. All (3,n) or (1,n).
    """
    through = 1.0 - alpha
    mixed = colour - alpha * near
    background = (alpha * through * mixed).sum(1) / (alpha * through.square()).sum().clamp_min(1e-12)
    left_if_mixed = (alpha * (mixed - through * background[:, None]).square()).sum()
    left_if_clean = (alpha * (colour - near).square()).sum()
    return bool(left_if_mixed < _CONTAMINATED * left_if_clean)


def _spread(
    values: torch.Tensor, known: torch.Tensor, radii: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Carry known values outward: (values with the unknown filled, where a value is known now)."""
    weighted = torch.cat([values * known, known])[None]  # (1, C + 1, h, w)
    filled, reached = values, known > 0
    for radius in radii:
        mean = F.avg_pool2d(weighted, 2 * radius + 1, stride=1, padding=radius)[0]
        found = (mean[-1:] > 1e-6) & ~reached
        filled = torch.where(found, mean[:-1] / mean[-1:], filled)
        reached = reached | found
    return filled, reached


def _to_linear(stored: torch.Tensor) -> torch.Tensor:
    """uint8 sRGB to float32 linear light in [0, 1]."""
    table = _tables(stored.device)[0]
    return table.index_select(0, stored.reshape(-1).to(torch.int32)).view(stored.shape)


def _to_srgb(linear: torch.Tensor) -> torch.Tensor:
    """Linear light in [0, 1] to uint8 sRGB."""
    level = (linear * (_LEVELS - 1) + 0.5).to(torch.int32).clamp_(0, _LEVELS - 1)
    return _tables(linear.device)[1].index_select(0, level.reshape(-1)).view(linear.shape)


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """sRGB to linear light (256 float32), and back (65,536 uint8), computed in double precision."""
    stored = np.arange(256) / 255.0
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    level = np.arange(_LEVELS) / (_LEVELS - 1)
    back = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
    back = np.rint(back * 255.0).astype(np.uint8)
    return torch.from_numpy(linear.astype(np.float32)).to(device), torch.from_numpy(back).to(device)
