"""From a room and a camera to a linear picture with exact depth: one set of rays gives colour, z and ids.

Five rays go through each pixel. The one through its centre decides z, id and floor; the others only decide
how much each surface covers of the pixel. They are shaded only where they differ from the centre, at edges
and creases.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdlib.rooms.raycasting.lighting import FLOOR, Lighting, LitRoom, alike, smoothed
from mdlib.rooms.raycasting.rays import Camera, RayCaster
from mdlib.rooms.raycasting.shading import Surface, surfaces
from mdlib.rooms.raycasting.solids import along, dot, unit

# The pixel's centre first; then a turned square, which resolves slanted, upright and level edges alike.
OFFSETS = [(0.0, 0.0), (-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375)]
_OTHERS = len(OFFSETS) - 1


class Frame(NamedTuple):
    """Linear light `rgb` (3, H, W), `z` (H, W) metres, `floor` (H, W) bool and `cover`, `inside`, `near`.

    With `chosen` solids: cover (H, W) is the share of the pixel they fill, inside whether its centre shows
    them, near their z there or at the nearest of the pixel's other rays, inf where none meets them; rgb is
    then theirs alone, multiplied by cover. `incident` is how bright a white surface would be in their place,
    on average.
    """

    rgb: Tensor
    z: Tensor
    floor: Tensor
    cover: Tensor
    inside: Tensor
    near: Tensor
    incident: float


def render(
    room: LitRoom, camera: Camera, samples: int = 2, chosen: range | None = None, alone: bool = False
) -> Frame:
    """Ray-cast the room; `chosen` ids are reported in `cover`, and with `alone` nothing else is drawn."""
    caster = RayCaster(room.low, room.high, room.groups, room.trim)
    lighting = Lighting(room, caster)
    height, width = camera.size
    t, ids = caster.first_hits(camera, OFFSETS)
    chosen = range(0) if chosen is None else chosen
    ours = (ids >= chosen.start) & (ids < chosen.stop)
    drawn = ours if alone else torch.ones_like(ours)

    # On a plane 1 / z is linear in the picture: the values then have the centre's as their mean.
    inverse = 1 / t
    mean = sum(inverse[1:], inverse[0]) / len(OFFSETS)
    mixed = (ids != ids[0]).any(0) | ((mean - inverse[0]).abs() > 2e-4 * inverse[0])
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    edge = (mixed & drawn.any(0)).flatten().nonzero()[:, 0]
    centers = drawn[0].flatten().nonzero()[:, 0]
    dx, dy = torch.tensor(OFFSETS[1:])[:, :, None].unbind(1)
    at_x = torch.cat([x.flatten()[centers], (x.flatten()[edge] + dx).flatten()])
    at_y = torch.cat([y.flatten()[centers], (y.flatten()[edge] + dy).flatten()])
    at_t = torch.cat([t[0].flatten()[centers], t[1:].flatten(1)[:, edge].flatten()])
    at_id = torch.cat([ids[0].flatten()[centers], ids[1:].flatten(1)[:, edge].flatten()]).long()
    pixel = torch.cat([centers, edge.repeat(_OTHERS)])
    surface = surfaces(room, caster, camera, at_x, at_y, at_t, at_id)

    block = ((pixel // width) % 4) * 4 + pixel % width % 4
    light = _lit(lighting, camera, surface, at_t, pixel, block, len(centers), samples)
    color = torch.stack([surface.albedo[k] * light[k] + light[3 + k] + surface.light[k] for k in range(3)])

    rgb = torch.zeros(3, height * width)
    rgb[:, centers] = color[:, : len(centers)]
    shown = drawn[1:].flatten(1)[:, edge]
    fine = (color[:, len(centers) :].view(3, _OTHERS, -1) * shown).unbind(1)
    rgb[:, edge] = sum(fine, rgb[:, edge]) / len(OFFSETS)
    near = torch.where(ours[0], t[0], torch.where(ours, t, float("inf")).amin(0))
    floor = torch.zeros(height * width, dtype=torch.bool)
    floor[centers] = surface.face[: len(centers)] == FLOOR
    cover = sum(ours, torch.zeros(height, width)) / len(OFFSETS)
    incident = float(light[:3, : len(centers)].numpy().mean(dtype=np.float64))
    return Frame(rgb.view(3, height, width), t[0], floor.view(height, width), cover, ours[0], near, incident)


def _lit(lighting: Lighting, camera: Camera, surface: Surface, t, pixel, block, count, samples) -> Tensor:
    """(6, N): arriving light and mirrored light. Computed at pixel centres, smoothed, and handed to the other
    rays of the surface nearby; only rays that find no such centre are lit on their own."""
    height, width = camera.size

    def lit(i: Tensor, samples: int) -> Tensor:
        part = Surface(*(tuple(c[i] for c in v) if isinstance(v, tuple) else v[i] for v in surface))
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
        light[:, rest] = lit(rest, 4 * samples)
    return light


def _mirrored(lighting: Lighting, camera: Camera, s: Surface, block: Tensor) -> list[Tensor]:
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
