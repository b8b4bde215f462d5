"""Where objects go: random placements, each from its own seed, so that any of them can be drawn again."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from mdlib.creation.outline import Ground, Outline

COLUMNS = "sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"
_KINDS = (np.int64, np.int64, np.int64, bool, np.int64, np.int64, np.float64, np.float64, np.int64)
_TRIES = 16  # candidates drawn at a time
_ROUNDS = 64
_MARGIN = 0.01  # keeps the promised share inside although resizing blurs edges a little
_FOOTING = 0.7  # share of an object's foot, inside the picture, that must be on visible floor
_SMALLEST = 0.08  # of the picture's height: far away, some objects would be a few pixels only
_ATTEMPTS = 100  # draws before a pair counts as having no more different placements


@dataclass(frozen=True)
class Placements:
    """One row per object, as columns of equal length.

    sample, bg, fg: numbers; flip: bool; x_px, y_px: top left of the scaled cut-out; scale: its height over
    the picture's; z_m: metres at its contact point, nan unknown; seed: what the row was drawn from.
    """

    sample: np.ndarray
    bg: np.ndarray
    fg: np.ndarray
    flip: np.ndarray
    x_px: np.ndarray
    y_px: np.ndarray
    scale: np.ndarray
    z_m: np.ndarray
    seed: np.ndarray

    def __len__(self) -> int:
        return len(self.sample)

    def __getitem__(self, rows: slice | np.ndarray) -> "Placements":
        return Placements(*(getattr(self, field.name)[rows] for field in fields(self)))

    def height_px(self, picture_height: int) -> np.ndarray:
        """Height of each scaled cut-out in whole pixels."""
        return np.maximum(1, np.rint(self.scale * picture_height)).astype(np.int64)

    def to_csv(self, sample_digits: int, bg_digits: int, fg_digits: int) -> bytes:
        """The table as the data set keeps it, with ids of fixed width."""
        lines = [COLUMNS]
        columns = (getattr(self, field.name).tolist() for field in fields(self))
        for sample, bg, fg, flip, x, y, scale, z, seed in zip(*columns, strict=True):
            lines.append(
                f"{sample:0{sample_digits}d},{bg:0{bg_digits}d},{fg:0{fg_digits}d},{flip:d},{x},{y},"
                f"{scale:.6f},{'' if z != z else f'{z:.3f}'},{seed}"
            )
        return "\n".join([*lines, ""]).encode()


@dataclass(frozen=True)
class Rules:
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


def row_seed(*numbers: int) -> int:
    """An own seed below 2^53 (whole in a double) for the row that `numbers` name."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(11))


def draw(
    seed: int, ground: Ground, outline: Outline, flip: bool, rules: Rules
) -> tuple[int, int, int, float]:
    """One placement, a function of its arguments alone: x_px, y_px, height in pixels, z_m (nan = none)."""
    # Only `random` is used: numpy keeps the doubles of a bit generator the same from version to version.
    rng = np.random.Generator(np.random.PCG64(seed))
    find = _free if ground.z is None else _standing if rules.max_inside > 1 else _cut_off
    best, best_room = None, -math.inf
    for _ in range(_ROUNDS):
        x, y, height, z, share = find(rng, ground, outline, flip, rules)
        room = np.minimum(share - rules.min_inside, rules.max_inside - share)  # to the nearer limit
        good = np.flatnonzero(room >= _MARGIN)
        k = int(good[0]) if len(good) else int(np.argmax(room))
        if room[k] > best_room:
            best, best_room = (int(x[k]), int(y[k]), int(height[k]), float(z[k])), room[k]
        if len(good):
            break
    return best


def place_all(
    seed: int,
    bg: int,
    ground: Ground,
    outlines: Sequence[Outline],
    flips: Sequence[bool],
    count: int,
    rules: Rules,
    suits: Callable[[int, bool, int, int, int, float], bool] | None = None,
) -> Placements:
    """Placements of every cut-out on background `bg`, `count` for each of `flips`, no two of a pair alike.

    Those of which `suits(fg, flip, x_px, y_px, height_px, z_m)` is False are drawn again.
    Samples are numbered as they come when each background before this one had as many.
    """
    rows = []
    sample = bg * len(outlines) * len(flips) * count
    for fg, outline in enumerate(outlines):
        taken: set[tuple[int, int, int]] = set()
        for flip in flips:
            for k in range(count):
                for attempt in range(_ATTEMPTS):
                    own_seed = row_seed(seed, bg, fg, flip, k, attempt)
                    x, y, height, z = draw(own_seed, ground, outline, flip, rules)
                    new = (x, y, height) not in taken
                    if new and (suits is None or suits(fg, flip, x, y, height, z)):
                        break
                else:
                    raise ValueError(
                        f"cut-out {fg} has fewer than {count * len(flips)} different placements on "
                        f"background {bg} at {ground.size[1]} x {ground.size[0]} pixels: ask for fewer "
                        f"--placements or a larger --size"
                    )
                taken.add((x, y, height))
                # As rounded as in the table: what is composed from the table later has the same pixels.
                scale, z = round(height / ground.size[0], 6), round(z, 3)
                rows.append((sample, bg, fg, flip, x, y, scale, z, own_seed))
                sample += 1
    columns = zip(*rows, strict=True)
    return Placements(*(np.array(c, kind) for c, kind in zip(columns, _KINDS, strict=True)))


def _free(rng: np.random.Generator, ground: Ground, outline: Outline, flip: bool, rules: Rules) -> tuple:
    """Candidates anywhere: the height uniform in its range, the position uniform over the picture."""
    picture_height, picture_width = ground.size
    low, high = rules.scale if rules.area is None else _heights(rules.area, ground, outline)
    # Wide things are made smaller, so that their width fills no more of the picture than their height might.
    narrow = min(1.0, picture_width / (outline.aspect * picture_height))
    low, high = low * narrow, high * narrow
    height = max(1, round((low + (high - low) * rng.random()) * picture_height))
    width = int(outline.width_px(np.array(height)))
    u = rng.random((_TRIES, 2))
    x = np.floor(u[:, 0] * (picture_width + width - 1)).astype(np.int64) - width + 1
    y = np.floor(u[:, 1] * (picture_height + height - 1)).astype(np.int64) - height + 1
    height = np.full(_TRIES, height)
    share = outline.share_inside(x, y, height, ground.size, flip)
    return x, y, height, np.full(_TRIES, np.nan), share


def _standing(rng: np.random.Generator, ground: Ground, outline: Outline, flip: bool, rules: Rules) -> tuple:
    """Candidates with the foot on a random pixel of the floor, as large as their distance makes them."""
    row, column, z, height = _on_floor(rng, ground, outline, rules)
    width = outline.width_px(height)
    left, right = outline.foot_span(flip)
    x = column - np.rint((left + right) / 2 * width - 0.5).astype(np.int64)
    y = row + 1 - np.rint(outline.foot_row * height).astype(np.int64)
    share = outline.share_inside(x, y, height, ground.size, flip)
    first, last = x + np.floor(left * width).astype(np.int64), x + np.ceil(right * width).astype(np.int64)
    footing = ground.floor_share(row, first, last)
    fits = _right_size(z, height, ground, outline, rules) & (footing >= _FOOTING)
    return x, y, height, z, np.where(fits, share, share * 0.01)


def _cut_off(rng: np.random.Generator, ground: Ground, outline: Outline, flip: bool, rules: Rules) -> tuple:
    """Candidates that stand on the floor beyond the left, right or lower border of the picture."""
    height_m = outline.height_m or _likely_height_m(outline.aspect, rng.random())
    pick = np.floor(rng.random(_TRIES) * len(ground.z)).astype(np.int64)
    side, u, v = np.floor(4 * rng.random(_TRIES)), rng.random(_TRIES), rng.random(_TRIES)
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


def _on_floor(rng: np.random.Generator, ground: Ground, outline: Outline, rules: Rules) -> tuple:
    """Random pixels of the floor, row, column and z, and the height in pixels of the object there."""
    if outline.height_m is None and rules.area is not None:  # of any size that gives such an area
        low, high = _heights(rules.area, ground, outline)
        height_px = (low + (high - low) * rng.random()) * ground.size[0]
    else:
        height_px = None
        height_m = outline.height_m or _likely_height_m(outline.aspect, rng.random())
    pick = np.floor(rng.random(_TRIES) * len(ground.z)).astype(np.int64)
    row, column, z = ground.rows[pick], ground.columns[pick], ground.z[pick]
    height = np.full(_TRIES, height_px) if height_px is not None else ground.focal_px * height_m / z
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


def _likely_height_m(aspect: float, u: float) -> float:
    """A height for a thing of unknown size: upright shapes are people or lamps, wide ones furniture."""
    low = np.interp(aspect, [0.4, 1.0, 2.0], [1.4, 0.7, 0.4])
    high = np.interp(aspect, [0.4, 1.0, 2.0], [1.9, 1.3, 0.9])
    return float(low + (high - low) * u)
