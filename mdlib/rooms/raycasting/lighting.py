"""Light that arrives at points: lamps and windows with soft shadows, sun patches, one bounce off everything
else.

Each pixel of a 4 x 4 block takes different samples of every lamp and of the half space above the surface (a
Hammersley set dealt out to the 16 pixels); `smoothed` then averages over blocks, on one surface only. So two
rays per pixel do the work of thirty-two, without random noise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.rays import SHELL, RayCaster
from mdlib.rooms.raycasting.solids import Solid, Vec, along, dot, unit

Color = tuple[float, float, float]
LEFT, RIGHT, FLOOR, CEILING, BACK, FRONT = range(6)  # faces of the room: low and high x, y, z
BLOCK = 16
# Square metres: nearer to a lamp than this, light grows no more; a few samples cannot resolve it.
_CLOSEST = 0.3
_OFF = 2e-3  # metres that a ray starts above its surface


class Decal(NamedTuple):
    """A rectangle painted on a face of the room, in metres: x, z on floor or ceiling, else x or z and y."""

    face: int
    u: tuple[float, float]
    v: tuple[float, float]
    material: Material


class Lamp(NamedTuple):
    """A shining parallelogram of half edges `edge_u`, `edge_v`; without a `normal` it shines to all sides."""

    center: Color
    edge_u: Color
    edge_v: Color
    normal: Color | None
    radiance: Color

    def area(self) -> float:
        """Square metres."""
        return 4 * float(np.linalg.norm(np.cross(self.edge_u, self.edge_v)))


class Sun(NamedTuple):
    """Sunlight that enters through the window panes; `toward` is the unit direction to the sun."""

    toward: Color
    color: Color


class LitRoom(NamedTuple):
    """All that is rendered: a room with six surfaces, groups of solids, lights; `trim` as in `RayCaster`."""

    low: Color
    high: Color
    faces: tuple[Material, ...]
    decals: Sequence[Decal]
    groups: Sequence[Sequence[Solid]]
    lamps: Sequence[Lamp]
    sun: Sun | None = None
    trim: Sequence[Solid] = ()

    def panes(self) -> list[Decal]:
        """The windows."""
        return [decal for decal in self.decals if decal.material.kind == "outside"]


def mean_color(material: Material) -> Color:
    """Roughly the colour that light takes on from a surface of this material."""
    some = material.colors[: 2 if material.kind in ("tiles", "brick", "planks", "parquet", "checks") else 1]
    return tuple(sum(c[k] for c in some) / len(some) for k in range(3))


def _hammersley(samples: int, shift: float) -> tuple[Tensor, Tensor]:
    """Points of the unit square (samples, 16): all together and each column alone are spread evenly."""
    count = samples * BLOCK
    order = np.array([0, 10, 2, 8, 5, 15, 7, 13, 1, 11, 3, 9, 4, 14, 6, 12])
    i = (np.arange(samples)[:, None] * BLOCK + order[None, :]).astype(np.int64)
    inverse = sum(((i >> bit) & 1) * 0.5 ** (bit + 1) for bit in range(16))
    u, v = ((i + 0.5) / count + shift) % 1.0, (inverse + 0.5 / count + 0.7 * shift) % 1.0
    return torch.tensor(u, dtype=torch.float32), torch.tensor(v, dtype=torch.float32)


class Lighting:
    """Answers, for one room, how much light arrives at given points."""

    def __init__(self, room: LitRoom, caster: RayCaster):
        self.room, self.caster = room, caster
        materials = [room.faces[FLOOR], *(s.material for s in caster.solids)]
        self.colors = torch.tensor([mean_color(m) for m in materials]).T.contiguous()  # (3, P + 1)
        self.glow = self.colors * torch.tensor([m.glow for m in materials])
        self.face_colors = torch.tensor([mean_color(m) for m in room.faces]).T.contiguous()  # (3, 6)
        extent = np.subtract(room.high, room.low)
        surface = 2 * (extent[0] * extent[1] + extent[1] * extent[2] + extent[0] * extent[2])
        flux = sum(np.asarray(lamp.radiance) * lamp.area() * (1 if lamp.normal else 3) for lamp in room.lamps)
        # Light bounced twice and more is taken as even, as in an integrating sphere: rho^2 / (1 - rho).
        self.ambient = tuple((0.75 * flux / surface + 0.01).tolist())

    def arriving(self, p: Vec, n: Vec, block: Tensor, samples: int) -> list[Tensor]:
        """Red, green and blue light at N points with unit normals n, as the radiance of a white surface
        there.

        `block` says which of the 16 sample sets a point takes; `samples` rays go to each lamp.
        """
        start = along(p, _OFF, n)
        total = [torch.zeros_like(p[0]) for _ in range(3)]
        for number, lamp in enumerate(self.room.lamps):
            amount = self._from_lamp(lamp, start, n, block, samples, 0.31 * number)
            total = [c + r * amount for c, r in zip(total, lamp.radiance, strict=True)]
        if self.room.sun is not None:
            amount = self._from_sun(start, n, block)
            total = [c + r * amount for c, r in zip(total, self.room.sun.color, strict=True)]
        bounced = self._bounced(start, n, block, samples)
        return [c + b for c, b in zip(total, bounced, strict=True)]

    def _from_lamp(self, lamp: Lamp, p: Vec, n: Vec, block: Tensor, samples: int, shift: float) -> Tensor:
        a, b = (2 * c[:, block] - 1 for c in _hammersley(samples, shift))  # (K, N) in -1..1
        to = tuple(lamp.center[k] + a * lamp.edge_u[k] + b * lamp.edge_v[k] - p[k] for k in range(3))
        square = dot(to, to)
        distance = square.sqrt()
        to = tuple(c / distance for c in to)
        weight = dot(n, to).clamp_min(0) * (lamp.area() / (3.14159 * samples)) / square.clamp_min(_CLOSEST)
        if lamp.normal is not None:
            weight = weight * (-dot(lamp.normal, to)).clamp_min(0)
        # Too little light to be missed in a shadow:
        faint = 0.02 * max(self.ambient) / max(lamp.radiance) / samples
        k, i = (weight > faint).nonzero(as_tuple=True)
        hidden = self.caster.blocked(
            tuple(c[i] for c in p),
            tuple(c[k, i] for c in to),
            distance[k, i] - (0.02 if lamp.normal else 0.12),
        )
        weight[k[hidden], i[hidden]] = 0.0
        return sum(weight[1:], weight[0])

    def _from_sun(self, p: Vec, n: Vec, block: Tensor) -> Tensor:
        a, b = ((c[0, block] - 0.5) * 0.012 for c in _hammersley(1, 0.2))  # the sun's disc, a little enlarged
        x, y, z = self.room.sun.toward
        d = unit((x + a, y + b, z - a))
        through, limit = torch.zeros_like(a), torch.zeros_like(a)
        for pane in self.room.panes():
            axis, side = divmod(pane.face, 2)
            plane = (self.room.low, self.room.high)[side][axis]
            s = (plane - p[axis]) / torch.where(d[axis].abs() < 1e-6, 1e-6, d[axis])
            hit = along(p, s, d)
            u, v = hit[2 if axis == 0 else 0], hit[1]
            inside = (s > 0) & (u > pane.u[0]) & (u < pane.u[1]) & (v > pane.v[0]) & (v < pane.v[1])
            through, limit = torch.where(inside, 1.0, through), torch.where(inside, s, limit)
        amount = through * dot(n, d).clamp_min(0)
        i = (amount > 1e-4).nonzero()[:, 0]
        hidden = self.caster.blocked(tuple(c[i] for c in p), tuple(c[i] for c in d), limit[i] + 0.05)
        amount[i[hidden]] = 0.0
        return amount

    def _bounced(self, p: Vec, n: Vec, block: Tensor, samples: int) -> list[Tensor]:
        a, b = _hammersley(samples, 0.05)
        # Cosine-weighted directions (Malley's method), in a frame about n (Duff et al. 2017, JCGT 6(1)).
        r, angle = a.sqrt(), b * 6.2831853
        x, y, up = (c[:, block] for c in (r * angle.cos(), r * angle.sin(), (1 - a).clamp_min(0).sqrt()))
        sign = torch.where(n[2] >= 0, 1.0, -1.0)
        m = -1 / (sign + n[2])
        c = n[0] * n[1] * m
        one = (1 + sign * n[0] * n[0] * m, sign * c, -sign * n[0])
        two = (c, sign + n[1] * n[1] * m, -n[1])
        d = tuple((x * one[k] + y * two[k] + up * n[k]).reshape(-1) for k in range(3))
        start = tuple(c.repeat(samples) for c in p)
        seen = [c.view(samples, -1) for c in self.seen(start, d, panes=False)]
        return [sum(c[1:], c[0]) / samples for c in seen]

    def seen(self, o: Vec, d: Vec, panes: bool) -> list[Tensor]:
        """Roughly what N free rays see: flat colours under unshadowed light; windows and lamps if `panes`."""
        t, ids = self.caster.nearest(o, d)
        p = along(o, t, d)
        shell = ids == SHELL
        face = face_of(self.room, p)
        color = torch.where(shell, self.face_colors[:, face], self.colors[:, ids])
        sides = torch.tensor([1.0, -1.0])[face % 2]
        n = [torch.where(shell, torch.where(face // 2 == k, sides, 0.0), -d[k]) for k in range(3)]
        light = [torch.full_like(t, a) for a in self.ambient]
        for lamp in self.room.lamps:
            to = tuple(lamp.center[k] - p[k] for k in range(3))
            square = dot(to, to).clamp_min(1.0)
            weight = dot(n, to).clamp_min(0) * (lamp.area() / 3.14159) / (square * square.sqrt())
            if lamp.normal is not None:
                weight = weight * (-dot(lamp.normal, to)).clamp_min(0) / square.sqrt()
            light = [c + r * weight for c, r in zip(light, lamp.radiance, strict=True)]
        # A surface seen from close by lies in the other's shade: this is what darkens corners and contacts.
        shade = (0.25 + 1.2 * t).clamp_max(1.0)
        light = [c * shade for c in light]
        result = [color[k] * light[k] + (self.glow[k][ids] * ~shell if panes else 0) for k in range(3)]
        for number in range(6):
            decals = [decal for decal in self.room.decals if decal.face == number]
            i = (shell & (face == number)).nonzero()[:, 0] if decals else None
            axis = number // 2
            for decal in decals:
                u, v = p[2 if axis == 0 else 0][i], p[2 if axis == 1 else 1][i]
                inside = (u > decal.u[0]) & (u < decal.u[1]) & (v > decal.v[0]) & (v < decal.v[1])
                on = i[inside]
                glow = decal.material.glow
                for k, value in enumerate(mean_color(decal.material)):
                    result[k][on] = value * glow * float(panes) if glow else value * light[k][on]
        return result


def face_of(room: LitRoom, p: Vec) -> Tensor:
    """Which of the room's six faces each point on them lies on (N,) int64."""
    best, face = (p[0] - room.low[0]).abs(), torch.zeros(p[0].shape, dtype=torch.int64)
    for number in range(1, 6):
        axis, side = divmod(number, 2)
        gap = (p[axis] - (room.low, room.high)[side][axis]).abs()
        face = torch.where(gap < best, number, face)
        best = torch.minimum(best, gap)
    return face


def smoothed(fields: Tensor, paint: Tensor, normals: Tensor, z: Tensor) -> Tensor:
    """Fields (C, H, W) averaged twice over 4 x 4 blocks (narrow surfaces miss some samples), never across an
    edge.

    `alike` decides by paint (H, W), the number of the material, normals (3, H, W) and z (H, W).
    """
    for dim in (1, 2, 1, 2):
        wide = (2, 2, 0, 0) if dim == 2 else (0, 0, 2, 2)
        f, n, d = pad(fields, wide), pad(normals, wide), pad(z[None], wide)[0]
        i = pad(paint, wide, value=-1)
        length = fields.shape[dim]
        total, weights = fields.clone(), torch.ones_like(fields[0])
        for tap, share in ((0, 0.5), (1, 1.0), (3, 1.0), (4, 0.5)):
            near = (
                i.narrow(dim - 1, tap, length),
                n.narrow(dim, tap, length),
                d.narrow(dim - 1, tap, length),
            )
            weight = alike((paint, normals, z), near) * share
            total = total + f.narrow(dim, tap, length) * weight
            weights = weights + weight
        fields = total / weights
    return fields


def alike(a: tuple[Tensor, Tensor, Tensor], b: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Whether points (paint, normals, z) may share their light: one material, one slope, about one depth."""
    return (a[0] == b[0]) & (dot(a[1], b[1]) > 0.9) & ((a[2] - b[2]).abs() < 0.04 * a[2])
