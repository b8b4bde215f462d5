"""From a stage and a camera to a linear picture with exact depth: one set of rays gives colour, z and ids.

Five rays go through each pixel. The one through its centre decides z, id and floor; the others only decide how
much each surface covers of the pixel. They are shaded only where they differ from the centre, at edges and creases.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdlib.creation.lighting import FLOOR, Lighting, Stage, alike, face_of, smoothed
from mdlib.creation.patterns import TEXTURES
from mdlib.creation.raycast import BALL, BOX, CAPSULE, CONE, Vec, along, dot, into, out_of, unit
from mdlib.creation.scene import SHELL, Camera, Scene
from mdlib.creation.textures import Patch, mix, within

# The pixel's centre first; then a turned square, which resolves slanted, upright and level edges alike.
OFFSETS = [(0.0, 0.0), (-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375)]
_OTHERS = len(OFFSETS) - 1


class Frame(NamedTuple):
    """Linear light `rgb` (3, H, W), `z` (H, W) metres, `floor` (H, W) bool and `cover`, `inside`, `near`.

    With `chosen` solids: cover (H, W) is the share of the pixel they fill, inside whether its centre shows them,
    near their z there or at the nearest of the pixel's other rays, inf where none meets them; rgb is then theirs
    alone, multiplied by cover. `incident` is how bright a white surface would be in their place, on average.
    """

    rgb: Tensor
    z: Tensor
    floor: Tensor
    cover: Tensor
    inside: Tensor
    near: Tensor
    incident: float


class _Surface(NamedTuple):
    p: Vec
    n: Vec
    albedo: Vec
    gloss: Tensor
    light: Vec  # emitted
    paint: Tensor  # number of the material
    face: Tensor  # of the room; -1 on solids


def render(stage: Stage, camera: Camera, samples: int = 2, chosen: range | None = None, cut_out: bool = False) -> Frame:
    """Ray-cast the stage; `chosen` ids are reported in `cover`, and with `cut_out` nothing else is drawn."""
    scene = Scene(stage.low, stage.high, stage.groups, stage.trim)
    lighting = Lighting(stage, scene)
    height, width = camera.size
    t, ids = scene.first_hits(camera, OFFSETS)
    ours = (ids >= chosen.start) & (ids < chosen.stop) if chosen is not None else torch.zeros_like(ids, dtype=torch.bool)
    drawn = ours if cut_out else torch.ones_like(ours)

    # On a plane 1 / z is linear in the picture: the values then have the centre's as their mean.
    inverse = 1 / t
    total = inverse[0]
    for row in inverse[1:]:
        total = total + row
    mixed = (ids != ids[0]).any(0) | ((total / len(OFFSETS) - inverse[0]).abs() > 2e-4 * inverse[0])
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    edge = (mixed & drawn.any(0)).flatten().nonzero()[:, 0]
    centers = drawn[0].flatten().nonzero()[:, 0]
    dx, dy = torch.tensor(OFFSETS[1:])[:, :, None].unbind(1)
    at_x = torch.cat([x.flatten()[centers], (x.flatten()[edge] + dx).flatten()])
    at_y = torch.cat([y.flatten()[centers], (y.flatten()[edge] + dy).flatten()])
    at_t = torch.cat([t[0].flatten()[centers], t[1:].flatten(1)[:, edge].flatten()])
    at_id = torch.cat([ids[0].flatten()[centers], ids[1:].flatten(1)[:, edge].flatten()]).long()
    pixel = torch.cat([centers, edge.repeat(_OTHERS)])
    surface = _surfaces(stage, scene, camera, at_x, at_y, at_t, at_id)

    block = ((pixel // width) % 4) * 4 + pixel % width % 4
    light = _lit(lighting, camera, surface, at_t, pixel, block, len(centers), samples)
    color = torch.stack([surface.albedo[k] * light[k] + light[3 + k] + surface.light[k] for k in range(3)])

    rgb = torch.zeros(3, height * width)
    rgb[:, centers] = color[:, : len(centers)]
    shown = drawn[1:].flatten(1)[:, edge]
    fine = (color[:, len(centers) :].view(3, _OTHERS, -1) * shown).unbind(1)
    blend = rgb[:, edge]
    for part in fine:
        blend = blend + part
    rgb[:, edge] = blend / len(OFFSETS)
    near = torch.where(ours[0], t[0], torch.where(ours, t, float("inf")).amin(0))
    floor = torch.zeros(height * width, dtype=torch.bool)
    floor[centers] = surface.face[: len(centers)] == FLOOR
    cover = torch.zeros(height, width)
    for row in ours:
        cover = cover + row
    incident = float(light[:3, : len(centers)].numpy().mean(dtype=np.float64))
    cover = cover / len(OFFSETS)
    return Frame(rgb.view(3, height, width), t[0], floor.view(height, width), cover, ours[0], near, incident)


def _lit(lighting: Lighting, camera: Camera, surface: _Surface, t, pixel, block, count: int, samples: int) -> Tensor:
    """(6, N): arriving light and mirrored light. Computed at pixel centres, smoothed, and handed to the other rays
    of the surface nearby; only rays that find no such centre are lit on their own."""
    height, width = camera.size

    def lit(i: Tensor, samples: int) -> Tensor:
        part = _Surface(*(tuple(c[i] for c in v) if isinstance(v, tuple) else v[i] for v in surface))
        arriving = lighting.arriving(part.p, part.n, block[i], samples)
        return torch.stack([*arriving, *_mirrored(lighting, camera, part, block[i])])

    plane = torch.zeros(6 + 5, height * width)  # light, then what `alike` compares: paint, normal, z
    plane[6] = -1
    plane[:6, pixel[:count]] = lit(torch.arange(count), samples)
    features = torch.stack([surface.paint.float(), *surface.n, t])
    plane[6:, pixel[:count]] = features[:, :count]
    picture = plane.view(-1, height, width)
    plane[:6] = smoothed(picture[:6], picture[6], picture[7:10], picture[10]).flatten(1)

    light = torch.zeros(6, len(t))
    light[:, :count] = plane[:6, pixel[:count]]
    rest = torch.arange(count, len(t))
    row, column = pixel // width, pixel % width
    for dy, dx in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        near = (row[rest] + dy).clamp(0, height - 1) * width + (column[rest] + dx).clamp(0, width - 1)
        here, there = features[:, rest], plane[6:, near]
        same = alike((here[0], here[1:4], here[4]), (there[0], there[1:4], there[4]))
        light[:, rest[same]] = plane[:6, near[same]]
        rest = rest[~same]
    if len(rest):
        light[:, rest] = lit(rest, samples)
    return light


def _mirrored(lighting: Lighting, camera: Camera, s: _Surface, block: Tensor) -> list[Tensor]:
    """Light mirrored towards the camera: little from above, more at a grazing angle (after Schlick 1994)."""
    result = torch.zeros(3, len(s.gloss))
    i = (s.gloss > 0.005).nonzero()[:, 0]
    if len(i):
        p, n = tuple(c[i] for c in s.p), tuple(c[i] for c in s.n)
        d = unit(tuple(p[k] - camera.position[k] for k in range(3)))
        facing = -dot(d, n)
        turn = (block[i] * 5 % 16).float() / 16 - 0.47  # a slightly rough mirror
        rough = (turn * 0.05, ((block[i] * 3 % 16).float() / 16 - 0.47) * 0.05, -turn * 0.05)
        bounce = unit(tuple(d[k] + 2 * facing * n[k] + rough[k] for k in range(3)))
        seen = lighting.seen(along(p, 2e-3, n), bounce, panes=True)
        grazing = (1 - facing.clamp(0, 1)) * (1 - facing.clamp(0, 1))
        share = s.gloss[i] * (0.08 + 0.92 * grazing * grazing)
        for k in range(3):
            result[k, i] = seen[k].clamp_max(6.0) * share
    return list(result)


def _surfaces(stage: Stage, scene: Scene, camera: Camera, x, y, t, ids) -> _Surface:
    """Position, normal and material of what N camera rays meet."""
    right, down, forward = camera.axes().tolist()
    a, b = (x - camera.center_px[0]) / camera.focal_px, (y - camera.center_px[1]) / camera.focal_px
    d = tuple(forward[k] + a * right[k] + b * down[k] for k in range(3))
    p = along(camera.position, t, d)
    zero = torch.zeros_like(t)
    n = [zero.clone() for _ in range(3)]
    patch = Patch(*(zero.clone() for _ in range(6)), zero.bool(), unit(d))
    face = torch.where(ids == SHELL, face_of(stage, p), -1)
    shapes = torch.tensor([-1] + [s.shape for s in scene.solids])[ids]
    table = _table(scene)
    for shape in (-1, BOX, BALL, CONE, CAPSULE):
        i = (shapes == shape).nonzero()[:, 0]
        if not len(i):
            continue
        here, ray, depth = tuple(c[i] for c in p), tuple(c[i] for c in d), t[i]
        if shape == -1:
            axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
            local_n, *uv = _on_shell(stage, here, face[i])
        else:
            rows = table[:, ids[i]]
            axes = (rows[0:3], rows[3:6], rows[6:9])
            q = into(axes, tuple(here[k] - rows[9 + k] for k in range(3)))
            local_n, *uv = _ON[shape](q, rows[12:15], rows[15] * (rows[15] * camera.focal_px / depth - 0.5).clamp(0, 1))
        normal = out_of(axes, local_n)
        u, v, hu, hv, pick_u, pick_v, upright = uv
        # How far the point moves when the ray moves by one pixel, on the tangent plane.
        head_on = dot(normal, ray)
        head_on = torch.where(head_on > -0.05, -0.05, head_on)
        wide = [into(axes, tuple((e[k] - ray[k] * dot(normal, e) / head_on) for k in range(3))) for e in (right, down)]
        size = [(wide[0][k].abs() + wide[1][k].abs()) * depth / camera.focal_px for k in range(3)]
        wu = torch.where(pick_u == 0, size[0], size[2])
        wv = torch.where(pick_v == 1, size[1], size[2])
        for k in range(3):
            n[k][i] = normal[k]
        for target, value in zip(patch, (u, v, wu, wv, hu, hv, upright), strict=False):
            target[i] = value
    return _Surface(p, tuple(n), *_painted(stage, scene, p, patch, ids, face), face)


def _table(scene: Scene) -> Tensor:
    """(16, P + 1): axes, centre, size and edge rounding of every solid; column 0 stands for the shell."""
    rows = [[*s.axes.flatten(), *s.center, *s.size, s.material.soft] for s in scene.solids]
    return torch.tensor([[0.0] * 16, *rows], dtype=torch.float32).T.contiguous()


def _on_shell(stage: Stage, p: Vec, face: Tensor):
    axis = face // 2
    sides = torch.tensor([1.0, -1.0])[face % 2]
    n = tuple(torch.where(axis == k, sides, 0.0) for k in range(3))
    q = tuple(p[k] - (stage.low[k] + stage.high[k]) / 2 for k in range(3))
    half = [(stage.high[k] - stage.low[k]) / 2 for k in range(3)]
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


def _painted(stage: Stage, scene: Scene, p: Vec, patch: Patch, ids: Tensor, face: Tensor):
    """Albedo, gloss and emitted light: every material's texture is evaluated once, at all of its points."""
    materials = list(dict.fromkeys([*stage.faces, *(s.material for s in scene.solids)]))
    number = {material: k for k, material in enumerate(materials)}
    of_face = torch.tensor([number[m] for m in stage.faces])
    of_solid = torch.tensor([0] + [number[s.material] for s in scene.solids])
    which = torch.where(ids == SHELL, of_face[face.clamp_min(0)], of_solid[ids])
    order = torch.argsort(which, stable=True)
    albedo, light, gloss = torch.zeros(3, len(ids)), torch.zeros(3, len(ids)), torch.zeros(len(ids))
    for material, i in zip(materials, order.split(which.bincount(minlength=len(materials)).tolist()), strict=True):
        if len(i):
            color = TEXTURES[material.kind](_at(patch, i), material)
            for k in range(3):
                albedo[k, i] = color[k] if isinstance(color[k], Tensor) else torch.full((len(i),), color[k])
                light[k, i] = albedo[k, i] * material.glow
            gloss[i] = material.gloss
    for decal in stage.decals:
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


