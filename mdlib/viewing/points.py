"""A scene as points in space: from a picture and its depth, as a PLY file, and seen from the side."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mdlib.loading.codec import NEAR_M

FARTHEST_M = 15.0
EDGE_RATIO = 1.12  # from pixel to pixel; a larger step in distance is an edge, which lies on no surface
GROUND = 245  # of 255: where nothing is seen


class Points(NamedTuple):
    """xyz (N,3) float32: right, up and ahead of the camera, in metres for metric depth; rgb (N,3) uint8."""

    xyz: np.ndarray
    rgb: np.ndarray


def point_cloud(img: np.ndarray, depth: np.ndarray, fov_deg: float = 60.0) -> Points:
    """The pixels of a picture (H,W,3) uint8 as points, from their closeness (H,W) and the horizontal view.

    Unknown pixels, those farther than 15 m and those on the edges of things, where depth is a mixture, are
    left out. Relative depth gives the shape up to an unknown scale.
    """
    h, w = depth.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        z = NEAR_M / depth.astype(np.float64)
    focal = w / 2 / math.tan(math.radians(fov_deg) / 2)
    padded = np.pad(z, 1, mode="edge")
    around = np.stack([padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]])
    with np.errstate(invalid="ignore"):
        keep = (
            np.isfinite(z)
            & (z < FARTHEST_M)
            & (np.fmax.reduce(around) / np.fmin.reduce(around) < EDGE_RATIO**2)
        )
    rows, columns = np.nonzero(keep)
    z = z[keep]
    x, y = (columns + 0.5 - w / 2) * z / focal, -(rows + 0.5 - h / 2) * z / focal
    return Points(np.stack([x, y, z], 1).astype(np.float32), img[keep])


def write_ply(path: str | Path, points: Points) -> Path:
    """Write the points as a binary PLY file, which MeshLab, Blender and browsers open; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ply_bytes(points))
    return path


def ply_bytes(points: Points) -> bytes:
    """The content of a PLY file with the points."""
    fields = "".join(f"property float {axis}\n" for axis in "xyz")
    fields += "".join(f"property uchar {colour}\n" for colour in ("red", "green", "blue"))
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points.xyz)}\n{fields}end_header\n"
    rows = np.empty(len(points.xyz), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rows["xyz"], rows["rgb"] = points
    return head.encode() + rows.tobytes()


def view_points(
    points: Points, size: tuple[int, int], turn_deg: float = 0.0, lift_deg: float = 0.0, fov_deg: float = 60.0
) -> np.ndarray:
    """The points as a picture (H,W,3) uint8 of `size`, the camera having gone around their middle.

    turn_deg to the right, lift_deg up; nearer points hide farther ones.
    """
    h, w = size
    if not len(points.xyz):
        return np.full((h, w, 3), GROUND, np.uint8)
    xyz = points.xyz.astype(np.float64)
    middle = np.array([0.0, 0.0, float(np.median(xyz[:, 2]))])
    xyz = (xyz - middle) @ _rotation(turn_deg, lift_deg).T + middle
    focal = w / 2 / math.tan(math.radians(fov_deg) / 2)
    ahead = xyz[:, 2] > 0.05
    order = np.flatnonzero(ahead)[np.argsort(-xyz[ahead, 2])]  # the nearest is drawn last
    z = xyz[order, 2]
    column = np.floor(xyz[order, 0] * focal / z + w / 2).astype(np.int64)
    row = np.floor(h / 2 - xyz[order, 1] * focal / z).astype(np.int64)
    rgb = points.rgb[order]
    seen = np.full((h, w, 3), GROUND, np.uint8)
    # Each point covers four pixels, so that a surface seen from the side stays closed.
    spots = [(row + dy, column + dx) for dy in (0, 1) for dx in (0, 1)]
    rows, columns = (np.stack(part, 1).reshape(-1) for part in zip(*spots, strict=True))
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    seen[rows[inside], columns[inside]] = np.repeat(rgb, 4, 0)[inside]
    return seen


def _rotation(turn_deg: float, lift_deg: float) -> np.ndarray:
    a, b = math.radians(turn_deg), math.radians(lift_deg)
    turn = np.array([[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]])
    lift = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    return lift @ turn
