"""The plan of a room: size, surfaces, windows, furniture and lamps, and where the camera stands."""

from typing import NamedTuple

import numpy as np

from mdlib.rooms.layout.floor_plan import Area, Site
from mdlib.rooms.layout.furnish import STYLES, Style, furnish, hang
from mdlib.rooms.layout.windows import add_openings
from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.lighting import CEILING, FLOOR, FRONT, LEFT, RIGHT, Decal, Lamp, LitRoom
from mdlib.rooms.raycasting.rays import Camera
from mdlib.rooms.shapes import fixtures

Rng = np.random.Generator
_SALT = 5003  # keeps the plans' random numbers apart from all others


class Plan(NamedTuple):
    """A room, the camera in it, and the ground that each piece of furniture takes."""

    room: LitRoom
    camera: Camera
    taken: list[Area]


def plan_room(seed: int, size: tuple[int, int]) -> Plan:
    """Room `seed`, all but the light: the plan is the same for every size (H, W) of its picture."""
    rng = np.random.default_rng([_SALT, seed])
    weights = np.array([style.weight for style in STYLES], float)
    style = STYLES[int(rng.choice(len(STYLES), p=weights / weights.sum()))]
    width, depth, tall = (float(rng.uniform(*limits)) for limits in (style.width, style.depth, style.height))
    site = Site(rng, (-width / 2, 0.0, 0.0), (width / 2, tall, depth))
    night = bool(rng.random() < 0.1)
    camera = _camera(site, size)
    x, _, z = camera.position
    site.keep_clear.append((x - 0.6, x + 0.6, z - 1.0, z + 1.4))
    skirt, height = _surfaces(site, style)
    add_openings(site, night)
    _structure(site, skirt, height)
    furnish(site, style)
    hang(site, style)
    _ceiling_lights(site, style, night)
    room = LitRoom(
        site.low, site.high, tuple(site.faces), site.decals, site.groups, site.lamps, site.sun, site.trim
    )  # fmt: skip
    return Plan(room, camera, site.taken)


def _camera(site: Site, size: tuple[int, int]) -> Camera:
    """A camera near the back wall that looks into the room: 55 to 65 degrees wide, at 1.4 to 1.7 m."""
    rng, (x0, _, _), (x1, _, z1) = site.rng, site.low, site.high
    x = float(np.clip(rng.normal(0, 0.28) * (x1 - x0), x0 + 0.6, x1 - 0.6))
    z = float(rng.uniform(0.3, 0.7))
    target = rng.normal(0, 0.16) * (x1 - x0) - 0.25 * x
    yaw = float(np.arctan2(target - x, z1 * 0.75 - z))
    focal = float(size[1] / 2 / np.tan(np.radians(rng.uniform(55, 65)) / 2))
    height, pitch = float(rng.uniform(1.4, 1.7)), float(rng.uniform(0.0, 0.24))
    return Camera((x, height, z), yaw, pitch, focal, (size[1] / 2, size[0] / 2), size)


def _surfaces(site: Site, style: Style) -> tuple[Material, float]:
    """Floor, ceiling and walls, sometimes one wall of its own; material and height of the skirting."""
    rng = site.rng
    wall = mat.wall_surface(rng, accent=False)
    site.faces = [wall] * 6
    site.faces[FLOOR] = mat.floor_surface(rng, style.office)
    site.faces[CEILING] = mat.ceiling_surface(rng, style.office)
    if rng.random() < 0.4:
        site.faces[pick(rng, (FRONT, FRONT, LEFT, RIGHT))] = mat.wall_surface(rng, accent=True)
    skirt = pick(rng, (mat.plain(238, 237, 233), mat.wood(rng, 0.0)))
    height = float(rng.uniform(0.06, 0.13))
    # Painted on: real boards along the foot of a wall, thinner than a pixel, would flicker.
    site.decals += [Decal(wall.face, wall.span, (0.0, height), skirt) for wall in site.walls.values()]
    return skirt, height


def _structure(site: Site, skirt: Material, skirt_height: float) -> None:
    """A projecting corner; pillars in wide rooms."""
    rng, (x0, _, _), (x1, tall, z1) = site.rng, site.low, site.high
    wall = site.faces[LEFT]
    if rng.random() < 0.25 and not site.used[FRONT]:
        a, b, side = float(rng.uniform(0.5, 1.2)), float(rng.uniform(0.5, 1.6)), rng.choice([-1, 1])
        x = x1 - a / 2 if side > 0 else x0 + a / 2
        site.stand(fixtures.pillar(x, z1 - b / 2 + 0.05, (a, b), tall, wall, skirt, skirt_height), 0.0)
    if x1 - x0 > 5.5 and rng.random() < 0.6:
        side = float(rng.uniform(0.35, 0.6))
        for z in np.arange(rng.uniform(3.5, 5), z1 - 0.5, rng.uniform(3, 4)):
            for x in (x0 + (x1 - x0) * 0.25, x0 + (x1 - x0) * 0.78):
                if rng.random() < 0.75:
                    site.stand(fixtures.pillar(x, z, (side, side), tall, wall, skirt, skirt_height), 0.0)


def _ceiling_lights(site: Site, style: Style, night: bool) -> None:
    """Light panels in offices, one lamp elsewhere; by day they are sometimes off."""
    rng, (x0, _, _), (x1, tall, z1) = site.rng, site.low, site.high
    on = night or rng.random() < 0.6
    warm = np.array(pick(rng, ((1.0, 0.9, 0.74), (1.0, 0.95, 0.86), (1.0, 0.99, 0.97))))
    if style.office and rng.random() < 0.8:
        # Squares let into the ceiling, `gap` metres from middle to middle.
        half, gap = 0.3, float(rng.choice([1.8, 2.4, 3.0]))
        shine = mat.plain(255, 252, 244, glow=2.5 if on else 0.35)
        for x in np.arange(x0 + gap / 2, x1, gap).tolist():
            for z in np.arange(gap / 2, z1, gap).tolist():
                site.decals.append(Decal(CEILING, (x - half, x + half), (z - half, z + half), shine))
        # The panels light the room like one lamp of the ceiling's size and their total power.
        radiance = (rng.uniform(5, 9) if on else 0.05) * warm * (2 * half) * (2 * half) / gap / gap
        edges = ((x1 - x0) / 2 * 0.85, 0.0, 0.0), (0.0, 0.0, z1 / 2 * 0.85)
        middle, down = (0.0, tall - 0.01, z1 / 2), (0.0, -1.0, 0.0)
        site.lamps.append(Lamp(middle, *edges, down, tuple(radiance.tolist())))
        return
    x, z = float(rng.normal(0, 0.3)), float(rng.uniform(0.45, 0.65) * z1)
    solids, y = fixtures.ceiling_lamp(rng, x, tall, z, 4.0 if on else 0.25)
    site.groups.append(solids)
    if on:
        radiance = tuple((rng.uniform(14, 30) * warm).tolist())
        site.lamps.append(Lamp((x, y, z), (0.12, 0.0, 0.0), (0.0, 0.0, 0.12), None, radiance))
