"""What placing needs to know of backgrounds and cut-outs, as small tables with quick answers."""

from functools import cached_property

import numpy as np

from mdlib.creation.items import Background, Cutout


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

    @cached_property
    def _plane(self) -> np.ndarray:
        """The floor as (a, b, c): 1 / z = a * row + b * column + c, which holds for any plane."""
        terms = np.stack([self.rows, self.columns, np.ones(len(self.z))], 1)
        return np.linalg.lstsq(terms, 1.0 / self.z, rcond=None)[0]

    def z_at(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Distance of the floor in metres, also where the picture ends before it; inf above the horizon."""
        inverse = self._plane[0] * row + self._plane[1] * column + self._plane[2]
        return 1.0 / np.maximum(inverse, 1e-9)

    def row_of(self, z: float) -> int:
        """The row at which the floor is z metres away, in the middle of the picture or below it."""
        down, across, at_corner = self._plane
        return int((1.0 / z - at_corner - across * self.size[1] / 2) / down) if down > 0 else 0

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
        self.fill = float(alpha.mean()) / 255.0  # share of its box that it covers
        solid = alpha >= 128
        last = int(np.flatnonzero(solid.any(1))[-1])
        self.foot_row = (last + 1) / self.height  # where the visible object ends, as a share of the height
        foot = np.flatnonzero(solid[max(0, last - self.height // 20) : last + 1].any(0))
        self.foot = np.array([foot[0], foot[-1] + 1]) / self.width  # its leftmost and rightmost end
        area = np.cumsum(np.cumsum(alpha, axis=0, dtype=np.float64), axis=1)
        self._area = np.pad(area / area[-1, -1], ((1, 0), (1, 0))).astype(np.float32)  # summed-area table

    def foot_span(self, flip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and right end of the foot, as shares of the width."""
        left, right = self.foot
        return np.where(flip, 1.0 - right, left), np.where(flip, 1.0 - left, right)

    def share_inside(
        self, x: np.ndarray, y: np.ndarray, height: np.ndarray, size: tuple[int, int], flip: np.ndarray
    ) -> np.ndarray:
        """Share of the object's area inside a picture of `size` = (H, W), its top left at x, y in pixels."""
        width = self.width_px(height)
        left, right = np.clip(-x / width, 0, 1), np.clip((size[1] - x) / width, 0, 1)
        top, bottom = np.clip(-y / height, 0, 1), np.clip((size[0] - y) / height, 0, 1)
        left, right = np.where(flip, 1 - right, left), np.where(flip, 1 - left, right)
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
