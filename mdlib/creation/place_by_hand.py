"""One cut-out put into one background where a person wants it."""

from typing import NamedTuple

import numpy as np
import torch

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import Sprite, make_sprite
from mdlib.creation.items import Background, Cutout, Placements
from mdlib.creation.placing.outline import Ground, Outline
from mdlib.loading.codec import z_to_closeness


class Placed(NamedTuple):
    """A composed picture: fg_bg_img (H,W,3) uint8, mask (H,W) float32 0 to 1, z (H,W) metres and depth (H,W)
    closeness, both float32, nan unknown, or None without depth; z_m: metres at the contact point, nan
    unknown; height_px of the object."""

    fg_bg_img: np.ndarray
    mask: np.ndarray
    z: np.ndarray | None
    depth: np.ndarray | None
    z_m: float
    height_px: int


class Placer:
    """A background and a cut-out made ready, so that placing costs milliseconds."""

    def __init__(self, background: Background, cutout: Cutout):
        self.background = background
        self.outline = Outline(cutout)
        self.sprite: Sprite = make_sprite(cutout.rgba, cutout.relief)
        self.ground = Ground(background)
        self.bg = torch.from_numpy(np.array(background.rgb)).permute(2, 0, 1)[None]
        z, floor = background.z, background.floor
        self.z = None if z is None else torch.from_numpy(np.array(z, np.float32))[None, None]
        self.floor = None if floor is None else torch.from_numpy(np.array(floor))[None, None]

    @property
    def knows_floor(self) -> bool:
        """Whether the distance follows from where the object stands."""
        return self.ground.z is not None

    @property
    def is_metric(self) -> bool:
        """Whether z is in metres (a depth that a network guessed has no unit)."""
        return self.background.z is not None and self.background.teacher_scale is None

    def true_scale(self, z_m: float) -> float | None:
        """Height over the picture's of an object of known size at z_m; None where its size is unknown."""
        if self.outline.height_m is None or self.background.focal_px is None or not np.isfinite(z_m):
            return None
        return self.outline.height_m * self.background.focal_px / z_m / self.ground.size[0]

    def place(
        self, x: float, foot: float, scale: float | None = None, flip: bool = False, shadow: bool = False
    ) -> Placed:
        """The cut-out with the middle of its foot at `x` and its lowest row at `foot`, shares of the picture.

        scale: its height over the picture's; None: as its true size and distance demand (0.5 where either is
        unknown): height in pixels = focal length in pixels x metres / distance. The distance is that of the
        pixel it stands on; where a floor is known and something else is seen there, or the picture has ended,
        that of the floor, and above the horizon that of the farthest floor.
        """
        height, width = self.ground.size
        row, column = round(foot * height) - 1, round(x * width)
        z_m = self._z_at(row, column)
        if scale is None:
            scale = self.true_scale(z_m) or 0.5
        height_px = max(1, round(scale * height))
        left, right = self.outline.foot_span(np.array(flip))
        wide = int(self.outline.width_px(np.array(height_px)))
        x_px = round(x * width - (left + right) / 2 * wide)
        y_px = row + 1 - round(self.outline.foot_row * height_px)
        placement = Placements.one(x_px, y_px, height_px / height, z_m, flip=flip)
        made = compose(self.bg, [self.sprite], placement, self.z, self.floor, shadow=shadow)
        z = None if self.z is None else made["z"][0, 0]
        return Placed(
            np.ascontiguousarray(made["fg_bg"][0].permute(1, 2, 0).numpy()),
            made["mask"][0, 0].float().div(255).numpy(),
            None if z is None else z.numpy(),
            None if z is None else z_to_closeness(z).numpy(),
            z_m,
            height_px,
        )

    def _z_at(self, row: int, column: int) -> float:
        if self.z is None:
            return float("nan")
        height, width = self.ground.size
        pixel = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
        z_m = float(self.z[0, 0][pixel])
        if self.knows_floor:
            seen = pixel == (row, column) and self.floor[0, 0][pixel] and np.isfinite(z_m)
            if not seen:
                return float(np.clip(self.ground.z_at(row, column), 0.3, self.ground.z.max()))
        return z_m
