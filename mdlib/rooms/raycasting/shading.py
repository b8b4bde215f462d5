"""What camera rays meet: position, normal, texture and emitted light of every point."""

from typing import NamedTuple

import torch
from torch import Tensor

from mdlib.rooms.materials.patterns import TEXTURES
from mdlib.rooms.materials.texture import Patch, mix, within
from mdlib.rooms.raycasting.lighting import LitRoom, face_of
from mdlib.rooms.raycasting.rays import SHELL, Camera, RayCaster
from mdlib.rooms.raycasting.solids import BALL, BOX, CAPSULE, CONE, Vec, along, dot, into, out_of, unit


class Surface(NamedTuple):
    p: Vec
    n: Vec
    albedo: Vec
    gloss: Tensor
    light: Vec  # emitted
    paint: Tensor  # number of the material
    face: Tensor  # of the room; -1 on solids


def surfaces(room: LitRoom, caster: RayCaster, camera: Camera, x, y, t, ids) -> Surface:
    """Position, normal and material of what N camera rays meet."""
    right, down, forward = camera.axes().tolist()
    a, b = (x - camera.center_px[0]) / camera.focal_px, (y - camera.center_px[1]) / camera.focal_px
    d = tuple(forward[k] + a * right[k] + b * down[k] for k in range(3))
    p = along(camera.position, t, d)
    zero = torch.zeros_like(t)
    n = [zero.clone() for _ in range(3)]
    patch = Patch(*(zero.clone() for _ in range(6)), zero.bool(), unit(d))
    face = torch.where(ids == SHELL, face_of(room, p), -1)
    shapes = torch.tensor([-1] + [s.shape for s in caster.solids])[ids]
    table = _table(caster)
    for shape in (-1, BOX, BALL, CONE, CAPSULE):
        i = (shapes == shape).nonzero()[:, 0]
        if not len(i):
            continue
        here, ray, depth = tuple(c[i] for c in p), tuple(c[i] for c in d), t[i]
        if shape == -1:
            axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
            local_n, *uv = _on_shell(room, here, face[i])
        else:
            rows = table[:, ids[i]]
            axes = (rows[0:3], rows[3:6], rows[6:9])
            q = into(axes, tuple(here[k] - rows[9 + k] for k in range(3)))
            soft = rows[15] * (rows[15] * camera.focal_px / depth - 0.5).clamp(0, 1)
            local_n, *uv = _ON[shape](q, rows[12:15], soft)
        normal = out_of(axes, local_n)
        u, v, hu, hv, pick_u, pick_v, upright = uv
        # How far the point moves when the ray moves by one pixel, on the tangent plane.
        head_on = dot(normal, ray)
        head_on = torch.where(head_on > -0.05, -0.05, head_on)
        moves = (tuple((e[k] - ray[k] * dot(normal, e) / head_on) for k in range(3)) for e in (right, down))
        wide = [into(axes, move) for move in moves]
        size = [(wide[0][k].abs() + wide[1][k].abs()) * depth / camera.focal_px for k in range(3)]
        wu = torch.where(pick_u == 0, size[0], size[2])
        wv = torch.where(pick_v == 1, size[1], size[2])
        for k in range(3):
            n[k][i] = normal[k]
        for target, value in zip(patch, (u, v, wu, wv, hu, hv, upright), strict=False):
            target[i] = value
    return Surface(p, tuple(n), *_painted(room, caster, p, patch, ids, face), face)


def _table(caster: RayCaster) -> Tensor:
    """(16, P + 1): axes, centre, size and edge rounding of every solid; column 0 stands for the shell."""
    rows = [[*s.axes.flatten(), *s.center, *s.size, s.material.soft] for s in caster.solids]
    return torch.tensor([[0.0] * 16, *rows], dtype=torch.float32).T.contiguous()


def _on_shell(room: LitRoom, p: Vec, face: Tensor):
    axis = face // 2
    sides = torch.tensor([1.0, -1.0])[face % 2]
    n = tuple(torch.where(axis == k, sides, 0.0) for k in range(3))
    q = tuple(p[k] - (room.low[k] + room.high[k]) / 2 for k in range(3))
    half = [(room.high[k] - room.low[k]) / 2 for k in range(3)]
    u, v = torch.where(axis == 0, q[2], q[0]), torch.where(axis == 1, q[2], q[1])
    hu, hv = torch.where(axis == 0, half[2], half[0]), torch.where(axis == 1, half[2], half[1])
    return n, u, v, hu, hv, torch.where(axis == 0, 2, 0), torch.where(axis == 1, 2, 1), axis != 1


def _on_box(q: Vec, h: Tensor, soft: Tensor):
    a = [q[k].abs() / h[k] for k in range(3)]
    on_x = (a[0] >= a[1]) & (a[0] >= a[2])
    on_y = ~on_x & (a[1] >= a[2])
    axis = torch.where(on_x, 0, torch.where(on_y, 1, 2))
    # Edges catch the light as if they were rounded: the normal turns over their last `soft` metres.
    n = []
    for k in range(3):
        bend = ((q[k].abs() - h[k] + soft) / soft.clamp_min(1e-5)).clamp(0, 1)
        n.append(torch.where(axis == k, 1.0, 0.8 * bend) * q[k].sign())
    u, v = torch.where(on_x, q[2], q[0]), torch.where(on_y, q[2], q[1])
    hu, hv = torch.where(on_x, h[2], h[0]), torch.where(on_y, h[2], h[1])
    return unit(n), u, v, hu, hv, torch.where(on_x, 2, 0), torch.where(on_y, 2, 1), ~on_y


def _round(n: Vec, q: Vec, hu: Tensor, hv: Tensor):
    zero = torch.zeros_like(hu)
    return unit(n), q[0] + q[2], q[1], hu, hv, zero, zero + 1, torch.ones_like(hu, dtype=torch.bool)


def _on_ball(q: Vec, r: Tensor, soft: Tensor):
    return _round(tuple(q[k] / (r[k] * r[k]) for k in range(3)), q, r[0], r[1])


def _on_capsule(q: Vec, size: Tensor, soft: Tensor):
    straight = torch.maximum(torch.minimum(q[1], size[1]), -size[1])
    return _round((q[0], q[1] - straight, q[2]), q, size[0], size[1] + size[0])


def _on_cone(q: Vec, size: Tensor, soft: Tensor):
    low, half, high = size
    cap = q[1].abs() > half - 1e-4
    slope = (high - low) / (2 * half)
    radius = (low + high) / 2 + slope * q[1]
    side = unit((q[0], -slope * radius, q[2]))
    n = tuple(torch.where(cap, q[1].sign() if k == 1 else 0.0, side[k]) for k in range(3))
    u, v = torch.where(cap, q[0], q[0] + q[2]), torch.where(cap, q[2], q[1])
    zero = torch.zeros_like(half)
    return n, u, v, low, torch.where(cap, low, half), zero, torch.where(cap, 2.0, 1.0), ~cap


_ON = {BOX: _on_box, BALL: _on_ball, CONE: _on_cone, CAPSULE: _on_capsule}


def _painted(room: LitRoom, caster: RayCaster, p: Vec, patch: Patch, ids: Tensor, face: Tensor):
    """Albedo, gloss and emitted light: every material's texture is evaluated once, at all of its points."""
    materials = list(dict.fromkeys([*room.faces, *(s.material for s in caster.solids)]))
    number = {material: k for k, material in enumerate(materials)}
    of_face = torch.tensor([number[m] for m in room.faces])
    of_solid = torch.tensor([0] + [number[s.material] for s in caster.solids])
    which = torch.where(ids == SHELL, of_face[face.clamp_min(0)], of_solid[ids])
    order = torch.argsort(which, stable=True)
    albedo, light, gloss = torch.zeros(3, len(ids)), torch.zeros(3, len(ids)), torch.zeros(len(ids))
    parts = order.split(which.bincount(minlength=len(materials)).tolist())
    for material, i in zip(materials, parts, strict=True):
        if len(i):
            color = TEXTURES[material.kind](_at(patch, i), material)
            for k in range(3):
                albedo[k, i] = color[k] if isinstance(color[k], Tensor) else torch.full((len(i),), color[k])
                light[k, i] = albedo[k, i] * material.glow
            gloss[i] = material.gloss
    for decal in room.decals:
        axis = decal.face // 2
        i = (face == decal.face).nonzero()[:, 0]
        (u0, u1), (v0, v1) = decal.u, decal.v
        u, v = p[2 if axis == 0 else 0][i], p[2 if axis == 1 else 1][i]
        share = within(u, u0, u1, patch.wu[i]) * within(v, v0, v1, patch.wv[i])
        keep = (share > 0).nonzero()[:, 0]
        i, share, u, v = i[keep], share[keep], u[keep], v[keep]
        if not len(i):
            continue
        half_u, half_v = torch.full_like(u, (u1 - u0) / 2), torch.full_like(v, (v1 - v0) / 2)
        part = _at(patch, i)._replace(u=u - (u0 + u1) / 2, v=v - (v0 + v1) / 2, hu=half_u, hv=half_v)
        color = TEXTURES[decal.material.kind](part, decal.material)
        below = mix(albedo[:, i], (0.0,) * 3 if decal.material.glow else color, share)
        for k in range(3):
            albedo[k, i] = below[k]
            light[k, i] = light[k, i] * (1 - share) + color[k] * decal.material.glow * share
        gloss[i] = gloss[i] + (decal.material.gloss - gloss[i]) * share
    return tuple(albedo), gloss, tuple(light), which


def _at(patch: Patch, i: Tensor) -> Patch:
    return Patch(*(tuple(c[i] for c in v) if isinstance(v, tuple) else v[i] for v in patch))
