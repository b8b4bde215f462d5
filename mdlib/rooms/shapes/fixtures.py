"""What hangs on walls and ceilings: pictures, screens, clocks, lamps; framed as in `openings`."""

import numpy as np

from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material, linear
from mdlib.rooms.raycasting.solids import Solid, ball, box, capsule, cone, moved

Rng = np.random.Generator


def picture(rng: Rng, width: float, height: float, center_y: float) -> list[Solid]:
    """A framed picture."""
    frame, bar = mat.wood_or_paint(rng), rng.uniform(0.02, 0.05)
    art = mat.art(rng)
    return [
        box((0, center_y, -0.014), (width + bar, height + bar, 0.028), frame),
        box((0, center_y, -0.029), (width - bar, height - bar, 0.004), art),
    ]


def pictures(rng: Rng, room: float) -> list[Solid]:
    """One picture, a row or a cluster on about `room` metres of wall, at eye height."""
    y = rng.uniform(1.5, 1.68)
    count = 1 if room < 0.9 else int(rng.integers(1, 4))
    if count == 1:
        width = min(room * 0.8, rng.uniform(0.35, 1.2))
        return picture(rng, width, width * rng.uniform(0.65, 1.35) if width < 0.8 else width * 0.66, y)
    width = min(0.5, room / count * 0.75)
    height, solids = width * rng.choice([0.75, 1.0, 1.35]), []
    for k in range(count):
        solids += moved(picture(rng, width, height, y), 0.0, ((k - (count - 1) / 2) * width * 1.3, 0, 0))
    return solids


def television(rng: Rng) -> list[Solid]:
    """A large dark screen on the wall."""
    width = rng.uniform(0.9, 1.4)
    black = mat.plain(20, 20, 22, gloss=0.35)
    return [box((0, 1.35, -0.03), (width, width * 0.57, 0.06), black)]


def whiteboard(rng: Rng) -> list[Solid]:
    """A whiteboard or pin board in a thin frame."""
    width, face = rng.uniform(1.2, 2.2), mat.plain(238, 240, 240, gloss=0.3)
    if rng.random() < 0.3:
        face = Material("carpet", (linear(176, 132, 88), linear(176, 132, 88)))
    rim = mat.plain(170, 172, 175, gloss=0.4)
    return [
        box((0, 1.45, -0.012), (width, 1.0, 0.024), rim),
        box((0, 1.45, -0.02), (width - 0.05, 0.95, 0.012), face),
        box((0, 0.95, -0.05), (width * 0.4, 0.02, 0.07), rim),
    ]


def clock(rng: Rng) -> list[Solid]:
    """A round wall clock."""
    r, rim = rng.uniform(0.13, 0.2), mat.paint(rng, 0.3)
    y, dark = 2.0, mat.plain(25, 25, 25)
    solids = [
        cone((0, y, 0), (0, y, -0.03), r, rim),
        cone((0, y, 0), (0, y, -0.034), r * 0.9, mat.plain(240, 240, 235)),
    ]
    for length, a in ((0.5, rng.uniform(0, 6.28)), (0.75, rng.uniform(0, 6.28))):
        tip = np.sin(a) * length * r, y + np.cos(a) * length * r, -0.036
        solids.append(capsule((0, y, -0.036), tip, 0.006, dark))
    return solids


def wall_shelf(rng: Rng) -> list[Solid]:
    """A board with books and a vase on it."""
    width, y, wood = rng.uniform(0.7, 1.2), rng.uniform(1.35, 1.7), mat.wood(rng)
    solids = [box((0, y, -0.11), (width, 0.03, 0.22), wood)]
    x = -width / 2 + 0.04
    for _ in range(3):
        wide = rng.uniform(0.1, 0.26)
        if x + wide > width / 2 - 0.12:
            break
        tall = rng.uniform(0.17, 0.26)
        solids.append(box((x + wide / 2, y + 0.015 + tall / 2, -0.1), (wide, tall, 0.15), mat.books(rng)))
        x += wide + rng.uniform(0, 0.12)
    x = width / 2 - 0.1
    solids.append(cone((x, y, -0.11), (x, y + 0.22, -0.11), 0.05, mat.paint(rng, 0.6), 0.03))
    return solids


def pillar(
    x: float, z: float, sides: tuple[float, float], height: float, material: Material, foot: Material,
    tall: float,
) -> list[Solid]:  # fmt: skip
    """A square column from floor to ceiling with its own skirting."""
    return [
        box((x, height / 2, z), (sides[0], height, sides[1]), material),
        box((x, tall / 2, z), (sides[0] + 0.03, tall, sides[1] + 0.03), foot),
    ]


def ceiling_lamp(rng: Rng, x: float, height: float, z: float, strength: float) -> tuple[list[Solid], float]:
    """A lamp that hangs from or sits on the ceiling, and the height of its light."""
    color = pick(rng, ((255, 240, 214), (255, 246, 232), (255, 226, 186)))
    shine, metal = mat.plain(*color, glow=strength), mat.metal(rng)
    kind = rng.integers(3)
    if kind == 0:
        r = rng.uniform(0.16, 0.24)
        return [
            cone((x, height, z), (x, height - 0.08, z), r, shine),
            cone((x, height, z), (x, height - 0.03, z), r + 0.02, metal),
        ], height - 0.12
    drop = rng.uniform(0.4, 0.7)
    low = height - drop
    cord = capsule((x, low, z), (x, height, z), 0.006, mat.plain(30, 30, 30))
    if kind == 1:
        return [cord, ball((x, low - 0.13, z), 0.14, shine)], low - 0.3
    shade = mat.fabric(rng)._replace(glow=0.6)
    return [
        cord,
        cone((x, low - 0.22, z), (x, low, z), 0.24, shade, 0.15),
        ball((x, low - 0.2, z), (0.09, 0.05, 0.09), shine),
    ], low - 0.27
