"""Where objects go: random placements, each from its own seed, so that any of them can be drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from mdlib.creation.sources import Background, Cutout

COLUMNS = "sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"
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
    the object's area inside the picture; z_m: range of distances, used where there is depth.
    """

    scale: tuple[float, float] = (0.25, 0.9)
    min_inside: float = 0.5
    z_m: tuple[float, float] = (1.0, 12.0)


class Ground:
    """Where on a background of size (H, W) objects can stand."""

    def __init__(self, background: Background):
        self.size = background.rgb.shape[:2]
        self.z = self.rows = self.columns = None
        if background.z is None or background.floor is None or background.focal_px is None:
            return
        usable = background.floor & np.isfinite(background.z)
        if not usable.any():
            raise ValueError(f"background {background.name} has depth but shows no floor to put an object on")
        self.focal_px = background.focal_px
        self.rows, self.columns = np.nonzero(usable)
        self.z = background.z[self.rows, self.columns].astype(np.float64)
        self.floor_before = np.pad(np.cumsum(usable, axis=1), ((0, 0), (1, 0)))  # (H, W + 1)

    def floor_share(self, row: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Share of the pixels left..right-1 of `row`, inside the picture, that are floor."""
        left, right = np.clip(left, 0, self.size[1]), np.clip(right, 0, self.size[1])
        count = self.floor_before[row, right] - self.floor_before[row, left]
        return count / np.maximum(1, right - left)


class Outline:
    """What placing needs to know of a cut-out."""

    def __init__(self, cutout: Cutout):
        alpha = cutout.rgba[..., 3]
        self.height, self.width = alpha.shape
        self.aspect = self.width / self.height
        self.height_m = cutout.height_m
        solid = alpha >= 128
        last = int(np.flatnonzero(solid.any(1))[-1])
        self.foot_row = (last + 1) / self.height  # where the visible object ends, as a share of the height
        foot = np.flatnonzero(solid[max(0, last - self.height // 20) : last + 1].any(0))
        self.foot = np.array([foot[0], foot[-1] + 1]) / self.width  # its leftmost and rightmost end
        area = np.cumsum(np.cumsum(alpha, axis=0, dtype=np.float64), axis=1)
        self._area = np.pad(area / area[-1, -1], ((1, 0), (1, 0))).astype(np.float32)  # summed-area table

    def foot_span(self, flip: bool) -> np.ndarray:
        """Left and right end of the foot, as shares of the width."""
        return 1.0 - self.foot[::-1] if flip else self.foot

    def share_inside(self, x: np.ndarray, y: np.ndarray, height: np.ndarray, size: tuple[int, int], flip: bool):
        """Share of the object's area that is inside a picture of `size` with the object's top left at x, y."""
        width = self.width_px(height)
        left, right = np.clip(-x / width, 0, 1), np.clip((size[1] - x) / width, 0, 1)
        top, bottom = np.clip(-y / height, 0, 1), np.clip((size[0] - y) / height, 0, 1)
        if flip:
            left, right = 1 - right, 1 - left
        at = self._area_before
        return at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)

    def width_px(self, height: np.ndarray) -> np.ndarray:
        """Width in pixels at a height in pixels; the same rounding as in `compose`."""
        return np.maximum(1, np.rint(self.width * height / self.height)).astype(np.int64)

    def _area_before(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The summed-area table at shares of height and width, between its entries by interpolation."""
        row, column = row * self.height, column * self.width
        r = np.minimum(row.astype(np.int64), self.height - 1)
        c = np.minimum(column.astype(np.int64), self.width - 1)
        down, across = row - r, column - c
        upper = self._area[r, c] * (1 - across) + self._area[r, c + 1] * across
        lower = self._area[r + 1, c] * (1 - across) + self._area[r + 1, c + 1] * across
        return upper * (1 - down) + lower * down


def row_seed(*numbers: int) -> int:
    """An own seed below 2^53 (whole in a double) for the row that `numbers` name."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(11))


def draw(seed: int, ground: Ground, outline: Outline, flip: bool, rules: Rules) -> tuple[int, int, int, float]:
    """One placement, a function of its arguments alone: x_px, y_px, height in pixels, z_m (nan without depth)."""
    # Only `random` is used: numpy keeps the doubles of a bit generator the same from version to version.
    rng = np.random.Generator(np.random.PCG64(seed))
    find = _free if ground.z is None else _standing
    best, best_share = None, -1.0
    for _ in range(_ROUNDS):
        x, y, height, z, share = find(rng, ground, outline, flip, rules)
        good = np.flatnonzero(share >= rules.min_inside + _MARGIN)
        k = int(good[0]) if len(good) else int(np.argmax(share))
        if share[k] > best_share:
            best, best_share = (int(x[k]), int(y[k]), int(height[k]), float(z[k])), share[k]
        if len(good):
            break
    return best


def place_all(
    seed: int, bg: int, ground: Ground, outlines: Sequence[Outline], flips: Sequence[bool], count: int, rules: Rules
) -> Placements:
    """Placements of every cut-out on background `bg`, `count` for each of `flips`, no two of a pair alike.

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
                    if (x, y, height) not in taken:
                        break
                else:
                    raise ValueError(
                        f"background {bg} and cut-out {fg} have fewer than {count * len(flips)} different "
                        f"placements at {ground.size[1]} x {ground.size[0]} pixels: ask for fewer, or a larger size"
                    )
                taken.add((x, y, height))
                rows.append((sample, bg, fg, flip, x, y, round(height / ground.size[0], 6), z, own_seed))
                sample += 1
    kinds = (np.int64, np.int64, np.int64, bool, np.int64, np.int64, np.float64, np.float64, np.int64)
    return Placements(*(np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)))


def _free(rng: np.random.Generator, ground: Ground, outline: Outline, flip: bool, rules: Rules) -> tuple:
    """Candidates anywhere: the height uniform in its range, the position uniform over the picture."""
    picture_height, picture_width = ground.size
    low, high = rules.scale
    high = min(high, high * picture_width / (outline.aspect * picture_height))  # no wider than it may be high
    low = min(low, high / 2)
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
    height_m = outline.height_m or _likely_height_m(outline.aspect, rng.random())
    pick = np.floor(rng.random(_TRIES) * len(ground.z)).astype(np.int64)
    row, column, z = ground.rows[pick], ground.columns[pick], ground.z[pick]
    height = np.maximum(1, np.rint(ground.focal_px * height_m / z)).astype(np.int64)
    width = outline.width_px(height)
    left, right = outline.foot_span(flip)
    x = column - np.rint((left + right) / 2 * width - 0.5).astype(np.int64)
    y = row + 1 - np.rint(outline.foot_row * height).astype(np.int64)
    share = outline.share_inside(x, y, height, ground.size, flip)
    footing = ground.floor_share(row, x + np.floor(left * width).astype(int), x + np.ceil(right * width).astype(int))
    fits = (z >= rules.z_m[0]) & (z <= rules.z_m[1]) & (footing >= _FOOTING)
    fits &= height >= _SMALLEST * ground.size[0]
    return x, y, height, z, np.where(fits, share, share * 0.01)


def _likely_height_m(aspect: float, u: float) -> float:
    """A height for a thing of unknown size: upright shapes are people or lamps, wide ones furniture."""
    low = np.interp(aspect, [0.4, 1.0, 2.0], [1.4, 0.7, 0.4])
    high = np.interp(aspect, [0.4, 1.0, 2.0], [1.9, 1.3, 0.9])
    return float(low + (high - low) * u)
