"""Samples as tensors, exactly as they get encoded: the one path of stored and of live data."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import Sprite
from mdlib.creation.depth.relative import closeness_of
from mdlib.creation.items import Background, Placements
from mdlib.loading import codec


class Backdrops(NamedTuple):
    """Backgrounds as tensors, ready for compose.

    bg (B,3,H,W) uint8; z (B,1,H,W) float32 metres, nan unknown; floor (B,1,H,W) bool; depth (B,1,H,W), z as
    it gets stored. The last three are None for photographs. relative: depth has no unit (see `relative`).
    """

    bg: torch.Tensor
    z: torch.Tensor | None
    floor: torch.Tensor | None
    depth: torch.Tensor | None
    relative: bool = False

    def expand(self, count: int) -> "Backdrops":
        """The same single background `count` times, in the same memory."""
        return self._each(lambda part: part.expand(count, -1, -1, -1))

    def pick(self, numbers: torch.Tensor) -> "Backdrops":
        """The backgrounds `numbers` (int64, on any device)."""
        return self._each(lambda part: part[numbers.to(part.device)])

    def to(self, device: torch.device) -> "Backdrops":
        """The same backgrounds on `device`."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Backdrops":
        return Backdrops(*(None if part is None else change(part) for part in self[:4]), self.relative)


def backdrops_of(background: Background, recipe: dict) -> Backdrops:
    """One background as tensors. ValueError where it has unknown depth that the encoding cannot store."""
    known = background.z is not None and recipe["depth"] != "none"
    if recipe["encoding"] == "fast" and known and np.isnan(background.z).any():
        raise ValueError(
            f"background {background.name} has pixels of unknown depth, which encoding 'fast' cannot "
            f"store: use --encoding exact"
        )
    bg = torch.tensor(background.rgb).permute(2, 0, 1)[None]
    z, floor = (
        None if values is None else torch.tensor(values)[None, None]
        for values in (background.z, background.floor)
    )
    guessed = background.teacher_scale is not None
    return Backdrops(bg, z, floor, stored_depth(z, recipe["encoding"], guessed) if known else None, guessed)


def stacked(parts: Iterable[Backdrops], count: int) -> Backdrops:
    """All `count` parts, of one background each, as one. Copied one after another: from an iterator,
    thousands need no more memory than they have in the end."""
    for i, backdrops in enumerate(parts):
        if i == 0:
            whole = backdrops.expand(count)._each(torch.empty_like)
        for part, one in zip(whole[:4], backdrops[:4], strict=True):
            if part is not None:
                part[i] = one[0]
    return whole


def composed(
    recipe: dict, sprites: Sequence[Sprite], backdrops: Backdrops, placements: Placements
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The samples that `placements` describe, the b-th smallest sample number on background b of `backdrops`.

    Returns fg_bg (B,3,H,W) uint8, mask (B,1,H,W) uint8 and, where the backdrops have depth, depth (B,1,H,W),
    uint16 millimetres or uint8 closeness, all on the device of `backdrops` and `sprites`; and, apart from
    these, the `box` (B,4) of `compose`, outside which all of them are those of the background.
    """
    softened, shadow = recipe["feather_px"], recipe["shadow"]
    made = compose(backdrops.bg, sprites, placements, backdrops.z, backdrops.floor, softened, shadow)
    stored = {name: made[name] for name in ("fg_bg", "mask")}
    if backdrops.depth is None:
        return stored, made["box"]
    depth = backdrops.depth.clone(memory_format=torch.contiguous_format)
    for b, (top, bottom, left, right) in enumerate(made["box"].tolist()):
        inside = made["z"][b, :, top:bottom, left:right]
        depth[b, :, top:bottom, left:right] = stored_depth(inside, recipe["encoding"], backdrops.relative)
    return stored | {"depth": depth}, made["box"]


def stored_depth(z: torch.Tensor, encoding: str, guessed: bool) -> torch.Tensor:
    """z as it gets encoded: uint16 millimetres, or uint8 closeness; `guessed` distances have no unit."""
    if encoding == "exact" and not guessed:
        return codec.z_to_mm(z)
    closeness = closeness_of(z) if guessed else codec.z_to_closeness(z)
    return (closeness * 255.0).round().to(torch.uint8)
