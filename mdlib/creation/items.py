"""What samples are made of: backgrounds, cut-outs, and the table that says which goes where.

Types alone. `sources` reads or draws backgrounds and cut-outs, `placing` draws the table.
"""

from dataclasses import dataclass, fields

import numpy as np

COLUMNS = "sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"


@dataclass(frozen=True)
class Background:
    """An empty scene at the size of the data set.

    rgb (H,W,3) uint8; z (H,W) float32 metres along the optical axis, nan = unknown; floor (H,W) bool, where
    objects may stand; focal_px the focal length in pixels. The last three are None for photographs.

    With `teacher_scale` z is no metres but relative (see `relative`), scaled by these two percentiles.
    """

    name: str
    rgb: np.ndarray
    z: np.ndarray | None = None
    floor: np.ndarray | None = None
    focal_px: float | None = None
    teacher_scale: tuple[float, float] | None = None


@dataclass(frozen=True)
class Cutout:
    """A thing to put into a scene, cropped to its box.

    rgba (h,w,4) uint8, alpha not premultiplied; relief (h,w) float32, metres that each pixel lies behind the
    contact point, nan outside, None = flat; height_m its true height, None = unknown.
    """

    name: str
    rgba: np.ndarray
    relief: np.ndarray | None = None
    height_m: float | None = None


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

    @classmethod
    def one(
        cls, x_px: int, y_px: int, scale: float, z_m: float, fg: int = 0, flip: bool = False
    ) -> "Placements":
        """One row: this object in a picture of its own, sample 0 on background 0."""
        return cls(*(np.array([value]) for value in (0, 0, fg, flip, x_px, y_px, scale, z_m, 0)))

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


def to_whole_mm(metres: np.ndarray) -> np.ndarray:
    """Metres rounded to the millimetre: what is stored, so that stored and fresh sources compose alike."""
    return (np.rint(np.asarray(metres, np.float64) * 1000.0) / 1000.0).astype(np.float32)
