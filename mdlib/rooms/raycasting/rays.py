"""The rays of a camera, and which of a room's solids a ray meets first.

Camera rays skip a solid outside the rectangle that it can cover in the picture; all other rays (light,
shadow, reflection) skip a whole group of solids, a chair say, whose bounding box they miss.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdlib.rooms.raycasting.solids import Solid, Vec, corners, intersect, leave_shell

SHELL = 0  # the id of the room's own floor, ceiling and walls; the solids count from 1
_LEAF = 12  # solids that share one bounding box
_CHUNK = 100_000  # ray-solid pairs at a time: tensors that stay in the processor's cache


class Camera(NamedTuple):
    """A pinhole camera; `pitch` > 0 looks down, `center_px` is (x, y) of the optical axis in the picture."""

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    focal_px: float
    center_px: tuple[float, float]
    size: tuple[int, int]

    def axes(self) -> np.ndarray:
        """Right, down and forward directions as rows (3, 3)."""
        cy, sy, cp, sp = math.cos(self.yaw), math.sin(self.yaw), math.cos(self.pitch), math.sin(self.pitch)
        return np.array([[cy, 0.0, -sy], [-sy * sp, -cp, -cy * sp], [sy * cp, -sp, cy * cp]])

    def rays(self, dx: float = 0.0, dy: float = 0.0) -> Vec:
        """Directions, three (H, W) tensors, through the pixel centres moved by (dx, dy); 1 long in z."""
        right, down, forward = self.axes().tolist()
        height, width = self.size
        u = (torch.arange(width, dtype=torch.float32) + (0.5 + dx - self.center_px[0])) / self.focal_px
        v = (torch.arange(height, dtype=torch.float32) + (0.5 + dy - self.center_px[1])) / self.focal_px
        u, v = u[None, :], v[:, None]
        return tuple(forward[k] + u * right[k] + v * down[k] for k in range(3))

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (N, 3) -> (N, 3): x and y in pixels (nan behind the camera) and z in metres."""
        x, y, z = self.axes() @ (points - np.asarray(self.position)).T
        ahead, scale = np.where(z > 0.05, z, np.nan), (self.focal_px, self.focal_px, 1.0)
        return np.stack([x / ahead, y / ahead, z], 1) * scale + (*self.center_px, 0.0)

    def covers(self, solid: Solid) -> tuple[int, int, int, int]:
        """Rows top..bottom and columns left..right of the picture that the solid can touch."""
        height, width = self.size
        xy = self.project(corners(solid))[:, :2]
        if np.isnan(xy).all():
            return 0, 0, 0, 0
        if np.isnan(xy).any():
            return 0, height, 0, width
        (left, top), (right, bottom) = np.floor(xy.min(0)) - 1, np.ceil(xy.max(0)) + 1
        return max(0, int(top)), min(height, int(bottom)), max(0, int(left)), min(width, int(right))


class _Batch(NamedTuple):
    """Solids of one group with one shape and the same axes; centre (in these axes) and size are (P, 1).

    Solids that each have axes of their own share a batch too: then the axes' entries are (P, 1) as well.
    """

    shape: int
    axes: list
    center: Vec
    size: Vec
    ids: Tensor


class _Box(NamedTuple):
    """A box around a few solids that lie close together, in batches (a leaf), or around all leaves of a thing
    (a group)."""

    low: list[float]
    high: list[float]
    inside: list


class RayCaster:
    """A box-shaped room from corner `low` to corner `high` with groups of solids in it.

    `trim` are solids so flat against a wall (pictures, skirting) that only camera rays need to know of them.
    """

    def __init__(self, low, high, groups: Sequence[Sequence[Solid]], trim: Sequence[Solid] = ()):
        self.low, self.high = tuple(map(float, low)), tuple(map(float, high))
        self.solids = [*(solid for group in groups for solid in group), *trim]
        self.groups: list[_Box] = []  # of leaves
        first = SHELL + 1
        for group in groups:
            if group:
                rows = list(range(len(group)))
                leaves = [_leaf(group, part, first) for part in _divided(group, rows)]
                low, high = np.min([x.low for x in leaves], 0), np.max([x.high for x in leaves], 0)
                self.groups.append(_Box(low.tolist(), high.tolist(), leaves))
                first += len(group)

    def first_hits(self, camera: Camera, offsets: Sequence[tuple[float, float]]) -> tuple[Tensor, Tensor]:
        """z in metres and ids, both (S, H, W), of the rays at S offsets from each pixel's centre."""
        rays = (camera.rays(dx, dy) for dx, dy in offsets)
        directions = tuple(torch.stack(c) for c in zip(*rays, strict=True))
        t = leave_shell(self.low, self.high, camera.position, directions)
        ids = torch.full(t.shape, SHELL, dtype=torch.int32)
        for number, solid in enumerate(self.solids, SHELL + 1):
            top, bottom, left, right = camera.covers(solid)
            if top >= bottom or left >= right:
                continue
            window = (slice(None), slice(top, bottom), slice(left, right))
            rays = tuple(c[window].contiguous() for c in directions)
            axes, size = solid.axes.tolist(), solid.size.tolist()
            center = (solid.axes @ solid.center).tolist()
            hit = intersect(solid.shape, axes, center, size, camera.position, rays)
            nearer = hit < t[window]
            t[window] = torch.where(nearer, hit, t[window])
            ids[window] = torch.where(nearer, number, ids[window])
        return t, ids

    def nearest(self, o: Vec, d: Vec) -> tuple[Tensor, Tensor]:
        """Ray parameter and id of the first hit of N free rays that start inside the room."""
        t = leave_shell(self.low, self.high, o, d)
        ids = torch.full(t.shape, SHELL, dtype=torch.int32)
        inverse = _inverse(d)
        for group in self.groups:
            some = _touching(group, o, inverse, t)
            if not len(some):
                continue
            o_some, d_some, inverse_some = _take(o, some), _take(d, some), _take(inverse, some)
            t_some, ids_some = t[some], ids[some]
            for leaf in group.inside:
                for part in _parts(_touching(leaf, o_some, inverse_some, t_some), leaf):
                    o_part, d_part = _take(o_some, part), _take(d_some, part)
                    best, best_ids = t_some[part], ids_some[part]
                    for batch in leaf.inside:
                        hit, row = intersect(*batch[:4], o_part, d_part).min(0)
                        best_ids = torch.where(hit < best, batch.ids[row], best_ids)
                        best = torch.minimum(hit, best)
                    t_some[part], ids_some[part] = best, best_ids
            t[some], ids[some] = t_some, ids_some
        return t, ids

    def blocked(self, o: Vec, d: Vec, t_max) -> Tensor:
        """Whether a solid stands within t_max (a number or N of them) on each of N free rays."""
        limit = torch.as_tensor(t_max, dtype=torch.float32).expand(o[0].shape).clone()
        inverse = _inverse(d)
        for group in self.groups:
            some = _touching(group, o, inverse, limit)
            if not len(some):
                continue
            o_some, d_some, inverse_some = _take(o, some), _take(d, some), _take(inverse, some)
            limit_some = limit[some]
            for leaf in group.inside:
                for part in _parts(_touching(leaf, o_some, inverse_some, limit_some), leaf):
                    o_part, d_part, end = _take(o_some, part), _take(d_some, part), limit_some[part]
                    for batch in leaf.inside:
                        # A limit of -1 says that the ray is blocked: nothing more needs to look at it.
                        hidden = (intersect(*batch[:4], o_part, d_part) < end).any(0)
                        end = torch.where(hidden, -1.0, end)
                    limit_some[part] = end
            limit[some] = limit_some
        return limit < 0


def _divided(group: Sequence[Solid], rows: list[int]) -> list[list[int]]:
    """The rows of a group's solids in parts of at most _LEAF, halved repeatedly along the longest side."""
    if len(rows) <= _LEAF:
        return [rows]
    centers = np.array([group[r].center for r in rows])
    order = np.argsort(centers[:, np.ptp(centers, 0).argmax()], kind="stable")
    half = len(rows) // 2
    sides = ([rows[k] for k in side] for side in (order[:half], order[half:]))
    return [part for side in sides for part in _divided(group, side)]


def _leaf(group: Sequence[Solid], rows: list[int], first: int) -> _Box:
    points = np.concatenate([corners(group[r]) for r in rows])
    alike: dict[tuple, list[int]] = {}
    for row in rows:
        alike.setdefault((group[row].shape, group[row].axes.tobytes()), []).append(row)
    batches, lonely = [], {}
    for (shape, _), same in alike.items():
        if len(same) > 1:
            batches.append(_batch(group, same, first, group[same[0]].axes.tolist()))
        else:
            lonely.setdefault(shape, []).extend(same)
    for mixed in lonely.values():
        own = [[_column([group[r].axes[i, k] for r in mixed]) for k in range(3)] for i in range(3)]
        axes = group[mixed[0]].axes.tolist() if len(mixed) == 1 else own
        batches.append(_batch(group, mixed, first, axes))
    return _Box(points.min(0).tolist(), points.max(0).tolist(), batches)


def _batch(group: Sequence[Solid], rows: list[int], first: int, axes: list) -> _Batch:
    centers = [group[r].axes @ group[r].center for r in rows]
    return _Batch(
        group[rows[0]].shape,
        axes,
        tuple(_column([c[k] for c in centers]) for k in range(3)),
        tuple(_column([group[r].size[k] for r in rows]) for k in range(3)),
        torch.tensor([first + r for r in rows], dtype=torch.int32),
    )


def _column(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def _inverse(d: Vec) -> Vec:
    return tuple(1.0 / torch.where(c.abs() < 1e-9, 1e-9, c) for c in d)


def _touching(box: _Box, o: Vec, inverse: Vec, t_max: Tensor) -> Tensor:
    """Indices of the rays that meet the bounding box before t_max."""
    t_in, t_out = torch.zeros(()), t_max
    for k in range(3):
        a, b = (box.low[k] - o[k]) * inverse[k], (box.high[k] - o[k]) * inverse[k]
        t_in, t_out = torch.maximum(t_in, torch.minimum(a, b)), torch.minimum(t_out, torch.maximum(a, b))
    return (t_in <= t_out).nonzero()[:, 0]


def _parts(indices: Tensor, leaf: _Box):
    most = max(len(batch.ids) for batch in leaf.inside)
    return indices.split(max(1, _CHUNK // most)) if len(indices) else ()


def _take(v: Vec, index: Tensor) -> Vec:
    return v[0][index], v[1][index], v[2][index]
