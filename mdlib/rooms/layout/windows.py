"""Windows and doors of a room, and the daylight that comes in."""

import numpy as np

from mdlib.rooms.layout.floor_plan import Site, ground_of
from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.lighting import BACK, FRONT, LEFT, RIGHT, Decal, Lamp, Sun
from mdlib.rooms.raycasting.solids import box
from mdlib.rooms.shapes import openings
from mdlib.rooms.shapes.openings import Wall

_LAMP_OFF_WALL = 0.11  # metres; in front of the window's frame, which would throw coarse shadows from so near


def add_openings(site: Site, night: bool) -> None:
    """Windows on one or two walls, made alike, and one or two doors."""
    rng = site.rng
    day = 0.06 if night else float(rng.uniform(4, 9))
    tint = np.array(pick(rng, ((0.9, 0.97, 1.08), (0.97, 1.0, 1.02), (1.04, 1.0, 0.92))))
    chances = ((FRONT, 0.62), (LEFT, 0.42), (RIGHT, 0.42), (BACK, 0.3))
    faces = [face for face, chance in chances if rng.random() < chance][:2]
    faces = faces or [pick(rng, (FRONT, LEFT, RIGHT))]
    sunny = not night and bool(rng.random() < 0.5)
    view = openings.outside(rng, 0.7 if night else float(rng.uniform(2.2, 5.0)), night)
    white = mat.plain(240, 240, 237, gloss=0.15)
    trim = pick(rng, (white, white, mat.wood(rng, 0.1), mat.metal(rng)))
    low = float(rng.choice([0.08, 0.45, 0.85, 0.9, 0.95]))
    for face in faces:
        _add_windows(site, site.walls[face], view, trim, low, tuple((day * tint).tolist()), sunny)
    if sunny:
        site.sun = _sun(site, faces[0], day)
    for face in rng.permutation([LEFT, RIGHT, FRONT])[: 1 + (rng.random() < 0.3)]:
        solids, wide = openings.door(rng)
        at = site.place_along(face, wide + 0.1, 2.2)
        if at is not None:
            site.fix(face, solids, at, wide + 0.3, 0.0, flat=True)
            way = site.walls[face].put([box((0, 1, -0.4), (wide, 2, 0.8), None)], at)
            site.keep_clear.append(ground_of(way))


def _add_windows(site: Site, wall: Wall, view, trim: Material, low: float, radiance, sunny: bool) -> None:
    """One to four windows side by side: panes as decals on the wall, frames, and one lamp for their light."""
    rng, (a, b), tall = site.rng, wall.span, site.high[1]
    high = min(tall - 0.15, float(rng.uniform(2.05, 2.5) if low > 0.2 else rng.uniform(2.2, tall - 0.15)))
    width = rng.uniform(0.8, 2.0)
    count = int(np.clip((b - a - 0.4) / (width + rng.uniform(0.5, 1.5)), 1, 4))
    width = float(min(width, (b - a) - 0.5))
    bars = (max(1, round(width / 0.75)), pick(rng, (1, 1, 2)))
    hung = pick(rng, ("curtains", "blind", "nothing", "nothing"))
    heated = low > 0.4 and rng.random() < 0.6
    bottom = high  # of the blind, if there is one
    alike = rng.bit_generator.state
    for k in range(count):
        rng.bit_generator.state = alike
        at = a + (k + 0.5) * (b - a) / count
        site.decals.append(Decal(wall.face, (at - width / 2, at + width / 2), (low, high), view))
        frame = openings.window_frame(rng, width, low, high, trim, bars)
        # The sun shows a frame's shadow.
        site.fix(wall.face, frame, at, width + 0.2, low - 0.1, flat=not sunny)
        if hung == "curtains" and (b - a) / count > width + 0.5:
            site.groups.append(wall.put(openings.curtains(rng, width, high + 0.12), at))
        elif hung == "blind":
            slats, bottom = openings.blind(rng, width, low, high)
            site.trim += wall.put(slats, at)
        if heated:
            site.fix(wall.face, openings.radiator(rng, width * 0.85, low), at, width, 0.0, flat=True)
    # A row of windows shines like one lamp of their total area.
    half = (b - a) / 2 * (count * width / (b - a))
    plane = wall.put([box((0, (low + bottom) / 2, -_LAMP_OFF_WALL), (1, 1, 1), None)], (a + b) / 2)[0]
    across = (half, 0.0, 0.0) if wall.face in (FRONT, BACK) else (0.0, 0.0, half)
    center, normal = (tuple(v.tolist()) for v in (plane.center, -plane.axes[2]))
    site.lamps.append(Lamp(center, across, (0.0, (bottom - low) / 2, 0.0), normal, radiance))


def _sun(site: Site, face: int, day: float) -> Sun:
    """A sun that stands outside the windows of one wall."""
    rng = site.rng
    out_x, out_z = {FRONT: (0, 1), BACK: (0, -1), LEFT: (-1, 0), RIGHT: (1, 0)}[face]
    turn, up = rng.uniform(-0.7, 0.7), rng.uniform(0.45, 0.85)
    x, z = out_x * np.cos(turn) - out_z * np.sin(turn), out_x * np.sin(turn) + out_z * np.cos(turn)
    strength = day * rng.uniform(0.25, 0.6) * np.array((1.0, 0.93, 0.8))
    return Sun((float(x * np.cos(up)), float(np.sin(up)), float(z * np.cos(up))), tuple(strength.tolist()))
