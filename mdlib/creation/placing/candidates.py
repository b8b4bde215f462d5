"""Where a single object may go: random candidates, and the first of them that keeps the rules.

All arrays are (n, tries): n objects drawn at a time, each from its own seed, so that any can be drawn again.
"""

import math
from typing import NamedTuple

import numpy as np

from mdlib.creation.placing.counted_random import Draws
from mdlib.creation.placing.outline import Ground, Outline

_TRIES = 16  # candidates drawn at a time
_ROUNDS = 64
_MARGIN = 0.01  # keeps the promised share inside although resizing blurs edges a little
_FOOTING = 0.7  # share of an object's foot, inside the picture, that must be on visible floor
TALLEST_M = 1.9  # of things of unknown height
_SMALLEST = 0.08  # of the picture's height: far away, some objects would be a few pixels only


class Rules(NamedTuple):
    """What placements are drawn from.

    scale: range of an object's height over the picture's, used where there is no depth; min_inside: share of
    the object's area inside the picture; z_m: range of distances, used where there is depth. max_inside: an
    upper limit as well, for objects that the border cuts; area: range of the object's area over the
    picture's, instead of `scale`.
    """

    scale: tuple[float, float] = (0.25, 0.9)
    min_inside: float = 0.5
    z_m: tuple[float, float] = (1.0, 12.0)
    max_inside: float = math.inf
    area: tuple[float, float] | None = None


def place(
    seeds: np.ndarray, ground: Ground, outline: Outline, flips: np.ndarray, rules: Rules
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A placement for each of `seeds` (n,) and `flips` (n,), which depends on no other of them.

    Returns x_px, y_px, height in pixels and z_m (nan = none), each (n,).
    """
    find = _free if ground.z is None else _standing if rules.max_inside > 1 else _cut_off
    draws, flips, left = Draws(seeds), np.asarray(flips), np.arange(len(seeds))
    best_room = np.full(len(seeds), -math.inf)
    best = [np.zeros(len(seeds), kind) for kind in (np.int64, np.int64, np.int64, np.float64)]
    # Enlarging spreads a pixel over its neighbours: up to an eighth of one crosses the picture's border.
    margin = min(_MARGIN + 0.125 / min(outline.height, outline.width), (1.0 - rules.min_inside) / 2)
    for _ in range(_ROUNDS):
        *found, share = find(draws, ground, outline, flips[left, None], rules)
        room = np.minimum(share - rules.min_inside, rules.max_inside - share)  # to the nearer limit
        good = room >= margin
        done, every = good.any(1), np.arange(len(left))
        k = np.where(done, good.argmax(1), room.argmax(1))
        better = room[every, k] > best_room[left]
        rows = left[better]
        best_room[rows] = room[every, k][better]
        for column, values in zip(best, found, strict=True):
            column[rows] = np.broadcast_to(values, room.shape)[every, k][better]
        left, draws = left[~done], draws.only(~done)
        if not len(left):
            break
    return tuple(best)


def _free(draws: Draws, ground: Ground, outline: Outline, flip: np.ndarray, rules: Rules) -> tuple:
    """Candidates anywhere: the height uniform in its range, the position uniform over the picture."""
    picture_height, picture_width = ground.size
    low, high = rules.scale if rules.area is None else _heights(rules.area, ground, outline)
    # Wide things are made smaller, so that their width fills no more of the picture than their height might.
    narrow = min(1.0, picture_width / (outline.aspect * picture_height))
    low, high = low * narrow, high * narrow
    height = np.rint((low + (high - low) * draws.random()) * picture_height)
    height = np.maximum(1, height).astype(np.int64)
    width = outline.width_px(height)
    x = np.floor(draws.random(_TRIES) * (picture_width + width - 1)).astype(np.int64) - width + 1
    y = np.floor(draws.random(_TRIES) * (picture_height + height - 1)).astype(np.int64) - height + 1
    share = outline.share_inside(x, y, height, ground.size, flip)
    return x, y, height, np.full(share.shape, np.nan), share


def _standing(draws: Draws, ground: Ground, outline: Outline, flip: np.ndarray, rules: Rules) -> tuple:
    """Candidates with the foot on a random pixel of the floor, as large as their distance makes them."""
    row, column, z, height = _on_floor(draws, ground, outline, rules)
    width = outline.width_px(height)
    left, right = outline.foot_span(flip)
    x = column - np.rint((left + right) / 2 * width - 0.5).astype(np.int64)
    y = row + 1 - np.rint(outline.foot_row * height).astype(np.int64)
    share = outline.share_inside(x, y, height, ground.size, flip)
    first, last = x + np.floor(left * width).astype(np.int64), x + np.ceil(right * width).astype(np.int64)
    footing = ground.floor_share(row, first, last)
    fits = _right_size(z, height, ground, outline, rules) & (footing >= _FOOTING)
    return x, y, height, z, np.where(fits, share, share * 0.01)


def _cut_off(draws: Draws, ground: Ground, outline: Outline, flip: np.ndarray, rules: Rules) -> tuple:
    """Candidates that stand on the floor beyond the left, right or lower border of the picture."""
    height_m = outline.height_m or _likely_height_m(outline.aspect, draws.random())
    pick = np.floor(draws.random(_TRIES) * len(ground.z)).astype(np.int64)
    side, u, v = np.floor(4 * draws.random(_TRIES)), draws.random(_TRIES), draws.random(_TRIES)
    below, bottom, wide = side >= 2, *ground.size
    lowest = max(bottom, ground.row_of(rules.z_m[0]))  # where the floor is as near as allowed
    row = np.where(below, bottom + np.floor(u * (lowest - bottom)).astype(np.int64), ground.rows[pick])
    border = np.where(side == 0, 0, wide - 1)
    column = np.where(below, np.floor(v * wide).astype(np.int64), border)
    z = ground.z_at(row, column)
    height = np.maximum(1, np.rint(ground.focal_px * height_m / z)).astype(np.int64)
    width = outline.width_px(height)
    left, right = outline.foot_span(flip)
    shown = 1 + np.floor(v * width).astype(np.int64)  # columns
    beside = np.where(side == 0, shown - width, wide - shown)
    x = np.where(below, column - np.rint((left + right) / 2 * width - 0.5).astype(np.int64), beside)
    y = row + 1 - np.rint(outline.foot_row * height).astype(np.int64)
    share = outline.share_inside(x, y, height, ground.size, flip)
    first, last = x + np.floor(left * width).astype(np.int64), x + np.ceil(right * width).astype(np.int64)
    footing = ground.floor_share(np.minimum(row, bottom - 1), first, last)
    fits = below | (last <= 0) | (first >= wide) | (footing >= _FOOTING)
    fits &= _right_size(z, height, ground, outline, rules)
    return x, y, height, z, np.where(fits, share, -1.0)


def _on_floor(draws: Draws, ground: Ground, outline: Outline, rules: Rules) -> tuple:
    """Random pixels of the floor, row, column and z, and the height in pixels of the object there."""
    if outline.height_m is None and rules.area is not None:  # of any size that gives such an area
        low, high = _heights(rules.area, ground, outline)
        height_px = (low + (high - low) * draws.random()) * ground.size[0]
    else:
        height_px = None
        height_m = outline.height_m or _likely_height_m(outline.aspect, draws.random())
    pick = np.floor(draws.random(_TRIES) * len(ground.z)).astype(np.int64)
    row, column, z = ground.rows[pick], ground.columns[pick], ground.z[pick]
    height = ground.focal_px * height_m / z if height_px is None else np.broadcast_to(height_px, z.shape)
    return row, column, z, np.maximum(1, np.rint(height)).astype(np.int64)


def _right_size(
    z: np.ndarray, height: np.ndarray, ground: Ground, outline: Outline, rules: Rules
) -> np.ndarray:
    """Whether objects are neither too near nor too far, and as large as they should be."""
    fits = (z >= rules.z_m[0]) & (z <= rules.z_m[1])
    if rules.area is None:
        return fits & (height >= _SMALLEST * ground.size[0])
    area = outline.fill * height * outline.width_px(height) / (ground.size[0] * ground.size[1])
    return fits & (area >= rules.area[0]) & (area <= rules.area[1])


def _heights(area: tuple[float, float], ground: Ground, outline: Outline) -> tuple[float, float]:
    """The heights over the picture's height at which an object covers these shares of the picture."""
    height, width = ground.size
    return tuple(math.sqrt(share * width / height / (outline.fill * outline.aspect)) for share in area)


def _likely_height_m(aspect: float, u: np.ndarray) -> np.ndarray:
    """A height for a thing of unknown size: upright shapes are people or lamps, wide ones furniture."""
    low = np.interp(aspect, [0.4, 1.0, 2.0], [1.4, 0.7, 0.4])
    high = np.interp(aspect, [0.4, 1.0, 2.0], [TALLEST_M, 1.3, 0.9])
    return low + (high - low) * u
