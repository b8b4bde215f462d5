"""Rays against convex solids: exact distances from elementwise torch arithmetic.

World coordinates are metres: x to the right, y up, z forward; the floor is y = 0. A vector is a tuple of
three tensors (or floats), and every formula is written out by components: no matrix product, no sum over an
axis, no transcendental function. So a result never depends on how many threads torch splits a tensor over.

Camera rays have length 1 along the optical axis, so the ray parameter t of a hit IS its depth z in metres.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Vec = tuple[Any, Any, Any]  # x, y, z: tensors of one shape, or floats

BOX, BALL, CONE, CAPSULE = range(4)
FAR = float("inf")
_LEAST = 1e-3  # a hit nearer than this is the surface that the ray starts from


class Solid(NamedTuple):
    """One convex primitive: `axes` holds its own x, y, z directions in the world as rows.

    `size` is: box, half sides; ball, three radii; cone, (lower radius, half height, upper radius) about its
    y axis; capsule, (radius, half length of its straight part, radius) about its y axis.
    """

    shape: int
    center: np.ndarray
    axes: np.ndarray
    size: np.ndarray
    material: Any


def turned(yaw: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    """Axes (3, 3) of a body leaned back by `tilt` about its x axis and turned by `yaw` about the vertical."""
    c, s, ct, st = math.cos(yaw), math.sin(yaw), math.cos(tilt), math.sin(tilt)
    about_y = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, ct, st], [0.0, -st, ct]])
    return about_x @ about_y


def box(center, sides, material, yaw: float = 0.0, tilt: float = 0.0) -> Solid:
    """A box with the given full side lengths (x, y, z) in metres."""
    return Solid(BOX, np.asarray(center, float), turned(yaw, tilt), np.asarray(sides, float) / 2, material)


def ball(center, radii, material, yaw: float = 0.0, tilt: float = 0.0) -> Solid:
    """An ellipsoid; `radii` is one number (a sphere) or three."""
    radii = np.broadcast_to(np.asarray(radii, float), (3,)).copy()
    if np.ptp(radii) == 0:
        yaw = tilt = 0.0
    return Solid(BALL, np.asarray(center, float), turned(yaw, tilt), radii, material)


def _axes_along(direction: np.ndarray) -> np.ndarray:
    y = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 0.0, 1.0]) if abs(y[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    x = np.cross(y, helper)
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)])


def cone(start, end, radius: float, material, end_radius: float | None = None) -> Solid:
    """A cylinder from `start` to `end`, or a truncated cone where `end_radius` differs."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    size = np.array([radius, np.linalg.norm(end - start) / 2, radius if end_radius is None else end_radius])
    return Solid(CONE, (start + end) / 2, _axes_along(end - start), size, material)


def capsule(start, end, radius: float, material) -> Solid:
    """A cylinder with round ends whose centres are `start` and `end`."""
    return cone(start, end, radius, material)._replace(shape=CAPSULE)


def moved(
    solids: Sequence[Solid], yaw: float = 0.0, offset=(0.0, 0.0, 0.0), scale: float = 1.0
) -> list[Solid]:
    """The solids scaled about the origin, turned about the vertical and then shifted by `offset` metres."""
    turn, result = turned(yaw), []
    for s in solids:
        center = (s.center * scale) @ turn + np.asarray(offset, float)
        result.append(s._replace(center=center, axes=s.axes @ turn, size=s.size * scale))
    return result


def reach(solid: Solid) -> np.ndarray:
    """Half extents of the solid's own bounding box along its own axes."""
    a, b, c = solid.size
    if solid.shape == CONE:
        return np.array([max(a, c), b, max(a, c)])
    return np.array([a, b + a, a]) if solid.shape == CAPSULE else solid.size


def corners(solid: Solid) -> np.ndarray:
    """The eight corners (8, 3) of the solid's own bounding box, in the world."""
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    return solid.center + (signs * reach(solid)) @ solid.axes


def silhouette(solid: Solid) -> np.ndarray:
    """Points (N, 3) on the solid's surface in the world that span its silhouette closely."""
    if solid.shape == BOX:
        return corners(solid)
    turn, lift = np.meshgrid(np.arange(12) * np.pi / 6, np.arange(-3, 4) * np.pi / 6)
    sphere = np.stack([np.cos(turn) * np.cos(lift), np.sin(lift), np.sin(turn) * np.cos(lift)], -1)
    sphere = sphere.reshape(-1, 3)
    if solid.shape == BALL:
        own = sphere * solid.size
    elif solid.shape == CAPSULE:
        own = np.concatenate([sphere * solid.size[0] + (0, s * solid.size[1], 0) for s in (-1, 1)])
    else:
        ring = sphere[36:48]
        own = np.concatenate([ring * solid.size[k] + (0, (k - 1) * solid.size[1], 0) for k in (0, 2)])
    return solid.center + own @ solid.axes


# ---- vectors by components ---------------------------------------------------------------------------------


def dot(a: Vec, b: Vec):
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def along(o: Vec, t, d: Vec) -> Vec:
    """The points o + t d."""
    return o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]


def unit(v: Vec) -> Vec:
    """v / |v|."""
    scale = 1.0 / dot(v, v).clamp_min(1e-20).sqrt()
    return v[0] * scale, v[1] * scale, v[2] * scale


def into(axes, v: Vec) -> Vec:
    """World vector -> the solid's own axes; `axes` is indexed [row][column], entries floats or tensors."""
    return _along_axis(axes[0], v), _along_axis(axes[1], v), _along_axis(axes[2], v)


def _along_axis(axis: Vec, v: Vec):
    """Their scalar product; most solids stand upright, so zeros and ones are worth skipping."""
    total = None
    for a, c in zip(axis, v, strict=True):
        if isinstance(a, float) and a == 0.0:
            continue
        term = c if isinstance(a, float) and a == 1.0 else a * c
        total = term if total is None else total + term
    return total


def out_of(axes, v: Vec) -> Vec:
    """The solid's own axes -> world vector."""
    return tuple(axes[0][k] * v[0] + axes[1][k] * v[1] + axes[2][k] * v[2] for k in range(3))


# ---- intersection ------------------------------------------------------------------------------------------


def intersect(shape: int, axes, center: Vec, size: Vec, o: Vec, d: Vec) -> Tensor:
    """Ray parameter t > 0.001 where o + t d enters the solid, inf where it misses; the origin lies outside.

    `axes`, `center`, `size` are floats (one solid) or tensors that broadcast against the rays (many);
    `center` is given in the solid's own axes.
    """
    o, d = into(axes, o), into(axes, d)
    o = (o[0] - center[0], o[1] - center[1], o[2] - center[2])
    if shape == BOX:
        return _enter_box(size, o, d)
    # Starting at the point nearest to the centre keeps the small differences below exact in float32.
    start = -dot(o, d) / dot(d, d)
    t = (_enter_ball, _enter_cone, _enter_capsule)[shape - BALL](size, along(o, start, d), d) + start
    return torch.where(t > _LEAST, t, FAR)


def _enter_box(h: Vec, o: Vec, d: Vec) -> Tensor:
    near, far = [], []
    for k in range(3):
        inverse = 1.0 / torch.where(d[k].abs() < 1e-9, 1e-9, d[k])
        middle, half = -o[k] * inverse, inverse.abs() * h[k]
        near.append(middle - half)
        far.append(middle + half)
    t_in = torch.maximum(torch.maximum(near[0], near[1]), near[2])
    t_out = torch.minimum(torch.minimum(far[0], far[1]), far[2])
    return torch.where((t_in <= t_out) & (t_in > _LEAST), t_in, FAR)


def _enter_ball(r: Vec, o: Vec, d: Vec) -> Tensor:
    o, d = tuple(o[k] / r[k] for k in range(3)), tuple(d[k] / r[k] for k in range(3))
    a, b, c = dot(d, d), dot(o, d), dot(o, o) - 1.0
    root = b * b - a * c
    return torch.where(root >= 0, (-b - root.clamp_min(0).sqrt()) / a, FAR)


def _enter_cone(size: Vec, o: Vec, d: Vec) -> Tensor:
    low, half, high = size
    slope, middle = (high - low) / (2 * half), (high + low) / 2  # radius at height y: middle + slope * y
    radius = middle + slope * o[1]
    a = d[0] * d[0] + d[2] * d[2] - slope * slope * d[1] * d[1]
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    b = o[0] * d[0] + o[2] * d[2] - slope * d[1] * radius
    root = b * b - a * (o[0] * o[0] + o[2] * o[2] - radius * radius)
    root = torch.where(root >= 0, root.clamp_min(0).sqrt(), FAR)
    best = torch.full_like(a, FAR)
    for t in ((-b - root) / a, (-b + root) / a):  # the side; below the apex the mirror cone does not count
        y = o[1] + t * d[1]
        good = (y.abs() <= half) & (middle + slope * y >= 0)
        best = torch.where(good & (t < best), t, best)
    steep = torch.where(d[1].abs() < 1e-9, 1e-9, d[1])
    for y, r in ((-half, low), (half, high)):  # the two caps
        t = (y - o[1]) / steep
        x, z = o[0] + t * d[0], o[2] + t * d[2]
        best = torch.where((x * x + z * z <= r * r) & (t < best), t, best)
    return best


def _enter_capsule(size: Vec, o: Vec, d: Vec) -> Tensor:
    r, half = size[0], size[1]
    a = (d[0] * d[0] + d[2] * d[2]).clamp_min(1e-12)
    b = o[0] * d[0] + o[2] * d[2]
    root = b * b - a * (o[0] * o[0] + o[2] * o[2] - r * r)
    side = (-b - root.clamp_min(0).sqrt()) / a
    y = o[1] + side * d[1]
    end = o[1] - torch.where(y > 0, half, -half)  # above or below the straight part: the ball at that end
    a, b = dot(d, d), b + end * d[1]
    root_end = b * b - a * (o[0] * o[0] + o[2] * o[2] + end * end - r * r)
    cap = torch.where(root_end >= 0, (-b - root_end.clamp_min(0).sqrt()) / a, FAR)
    return torch.where(root < 0, FAR, torch.where(y.abs() <= half, side, cap))


def leave_shell(low: Vec, high: Vec, o: Vec, d: Vec) -> Tensor:
    """Ray parameter t where rays from inside the axis-aligned box low..high (a room) meet its walls."""
    ts = []
    for k in range(3):
        inverse = 1.0 / torch.where(d[k].abs() < 1e-9, 1e-9, d[k])
        ts.append(torch.maximum((low[k] - o[k]) * inverse, (high[k] - o[k]) * inverse))
    return torch.minimum(torch.minimum(ts[0], ts[1]), ts[2])
