"""Hard sets: `tiny`, every object under 1 % of its picture, and `cropped`, more than half of it outside.

What a preset promises holds for every stored mask: each placement is composed once before it is accepted, so
that furniture in front of an object cannot leave too little of it.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import Sprite
from mdlib.creation.items import Background, Cutout, Placements
from mdlib.creation.placing.candidates import Rules
from mdlib.creation.placing.outline import Outline

TINY_AREA, CROPPED_SHARE = 0.01, 0.5  # the definitions: below these
LEAST_SHOWN, LEAST_PX = 0.05, 12  # share of a cropped object that is seen; pixels of any that are its own
_AREA = (0.001, 0.009)  # of tiny objects before furniture hides a part
_LEAST_AREA_PX = 20.0
_INSIDE = (0.08, 0.48)
_CROPPED_FROM = 0.02  # least area of a whole object, on the farther part of the floor
_FAR = 0.6  # share of the floor that is nearer than its farther part


def rules_of(preset: str, rules: Rules, size: tuple[int, int]) -> Rules:
    """The rules of placing for a preset and pictures of `size` = (H, W), from those of `standard`."""
    if preset == "tiny":
        least = max(_AREA[0], _LEAST_AREA_PX / (size[0] * size[1]))
        return rules._replace(area=(least, _AREA[1]), min_inside=0.9)
    if preset == "cropped":
        return rules._replace(min_inside=_INSIDE[0], max_inside=_INSIDE[1])
    return rules


def prepare(preset: str, cutouts: list[Cutout], backgrounds: Sequence[Background]) -> list[Cutout]:
    """The cut-outs for a preset: where there is depth, models of things, relief and all.

    A sofa fills more than 1 % of any picture of a living room, and a cropped ball on its floor would be a few
    pixels. For `tiny`, things of known height become so small that they are tiny on the farther part of the
    floor of every background; for `cropped`, so large that there is something to crop.
    """
    measured = [b for b in backgrounds if b.z is not None and b.floor is not None and b.focal_px is not None]
    if preset == "standard" or not measured:
        return cutouts
    side_px = math.sqrt(measured[0].rgb.shape[0] * measured[0].rgb.shape[1])
    px_per_m = [background.focal_px / _far_m(background) for background in measured]
    if preset == "tiny":
        limits = 0.0, math.sqrt(_AREA[1]) * side_px / max(px_per_m)
    else:
        limits = math.sqrt(_CROPPED_FROM) * side_px / min(px_per_m), math.inf
    return [_resized(cutout, *limits) for cutout in cutouts]


def _far_m(background: Background) -> float:
    z = background.z[background.floor & np.isfinite(background.z)]
    return float(np.quantile(z, _FAR)) if len(z) else math.inf


def _resized(cutout: Cutout, least_m: float, most_m: float) -> Cutout:
    """The cut-out, made larger or smaller where it covers less or more than squares of these sides do."""
    if cutout.height_m is None:
        return cutout
    outline = Outline(cutout)
    side_m = cutout.height_m * math.sqrt(outline.fill * outline.aspect)
    factor = min(max(side_m, least_m), most_m) / side_m
    relief = None if cutout.relief is None else (cutout.relief * np.float32(factor)).astype(np.float32)
    return replace(cutout, relief=relief, height_m=cutout.height_m * factor)


class Fits:
    """Whether a placement on one background keeps what its preset promises, by the mask it would get."""

    def __init__(
        self,
        preset: str,
        background: Background,
        sprites: Sequence[Sprite],
        outlines: Sequence[Outline],
        feather_px: float,
    ):
        self.preset, self.sprites, self.outlines, self.feather_px = preset, sprites, outlines, feather_px
        self.size = background.rgb.shape[:2]
        known = [background.z, background.floor]
        self.z, self.floor = (None if k is None else torch.from_numpy(k.copy())[None, None] for k in known)

    def __call__(self, fg: int, flip: bool, x: int, y: int, height: int, z_m: float) -> bool:
        """x, y, height in pixels as in `place`."""
        mask = self._mask(fg, flip, x, y, height, z_m)
        area = mask.sum(dtype=np.int64) / 255.0
        own = int((mask >= 128).sum())
        if own < LEAST_PX:
            return False
        if self.preset == "tiny":
            return max(area, own) < TINY_AREA * self.size[0] * self.size[1]
        outline, at = self.outlines[fg], np.array([x, y, height])
        if outline.share_inside(*at, self.size, flip) > _INSIDE[1]:  # less of it is seen behind furniture
            return False
        whole = outline.fill * height * int(outline.width_px(at[2]))
        return LEAST_SHOWN * whole <= area < CROPPED_SHARE * whole

    def _mask(self, fg: int, flip: bool, x: int, y: int, height: int, z_m: float) -> np.ndarray:
        """The mask in the part of the picture that the object can touch, (h,w) uint8."""
        border = math.ceil(3 * self.feather_px)
        width = int(self.outlines[fg].width_px(np.array(height)))
        top, bottom = max(0, y - border), min(self.size[0], y + height + border)
        left, right = max(0, x - border), min(self.size[1], x + width + border)
        if top >= bottom or left >= right:
            return np.zeros((0, 0), np.uint8)
        part = (..., slice(top, bottom), slice(left, right))
        row = Placements.one(x - left, y - top, height / (bottom - top), z_m, fg, flip)
        out = compose(
            torch.zeros(1, 3, bottom - top, right - left, dtype=torch.uint8),
            self.sprites,
            row,
            None if self.z is None else self.z[part],
            None if self.floor is None else self.floor[part],
            feather_px=self.feather_px,
        )
        return out["mask"][0, 0].numpy()
