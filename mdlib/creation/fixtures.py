"""What is fixed to a room: windows, doors, pictures, skirting, radiators, curtains, lamps.

Builders on walls work in the wall's own frame: x along the wall, y up from the floor, z = 0 its plane and the room
towards -z. `Wall.put` carries the result to any of the four walls.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mdlib.creation import materials as mat
from mdlib.creation.lighting import BACK, FRONT, LEFT, RIGHT, Decal
from mdlib.creation.materials import pick
from mdlib.creation.raycast import Solid, ball, box, capsule, cone, moved
from mdlib.creation.textures import Material, linear

Rng = np.random.Generator


class Wall(NamedTuple):
    """One wall of a room from corner `low` to corner `high`; positions along it are world x or z."""

    face: int
    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @property
    def span(self) -> tuple[float, float]:
        """World coordinates at which the wall begins and ends."""
        axis = 2 if self.face in (LEFT, RIGHT) else 0
        return self.low[axis], self.high[axis]

    def put(self, solids: Sequence[Solid], at: float, gap: float = 0.0) -> list[Solid]:
        """Solids of the wall's frame -> world, their origin at world coordinate `at`, `gap` metres off the wall."""
        yaw = {FRONT: 0.0, RIGHT: np.pi / 2, BACK: np.pi, LEFT: -np.pi / 2}[self.face]
        place = {
            FRONT: (at, 0.0, self.high[2] - gap), BACK: (at, 0.0, self.low[2] + gap),
            LEFT: (self.low[0] + gap, 0.0, at), RIGHT: (self.high[0] - gap, 0.0, at),
        }[self.face]  # fmt: skip
        return moved(solids, yaw, place)


def outside(rng: Rng, light: float, night: bool) -> Material:
    """The view through a window pane, as bright as `light` times its colours."""
    sky = pick(rng, (((120, 168, 230), (214, 230, 244)), ((170, 190, 210), (226, 232, 238)), ((150, 180, 225), (245, 228, 205))))
    far = (*sky, (96, 122, 70), (176, 160, 144), (138, 146, 110))
    if night:
        far = ((14, 18, 38), (34, 36, 56), (14, 18, 16), (40, 36, 34), (22, 22, 26))
    colors = tuple(linear(*c) for c in far)
    return Material("outside", colors, glow=light, gloss=0.12, seed=int(rng.integers(1, 1000)))


def window_frame(rng: Rng, width: float, low: float, high: float, material: Material, bars: tuple[int, int]) -> list[Solid]:
    """The frame around a pane from height `low` to `high`, divided into bars[0] x bars[1] lights, and its sill."""
    deep, bar = 0.07, 0.055
    middle, tall = (low + high) / 2, high - low
    solids = [box((s * (width + bar) / 2, middle, -deep / 2), (bar, tall + 2 * bar, deep), material) for s in (-1, 1)]
    solids += [box((0, y, -deep / 2), (width, bar, deep), material) for y in (low - bar / 2, high + bar / 2)]
    for k in range(1, bars[0]):
        solids.append(box(((k / bars[0] - 0.5) * width, middle, -0.022), (0.045, tall, 0.044), material))
    for k in range(1, bars[1]):
        solids.append(box((0, low + k / bars[1] * tall, -0.02), (width, 0.04, 0.04), material))
    if low > 0.3:
        solids.append(box((0, low - bar - 0.012, -0.09), (width + 0.22, 0.03, 0.18), material))
    if rng.random() < 0.5:
        solids.append(capsule((bar, middle, -deep), (bar, middle - 0.1, -deep), 0.01, mat.metal(rng)))
    return solids


def curtains(rng: Rng, width: float, top: float) -> list[Solid]:
    """Two gathered curtains that hang from a rod to the floor; the folds are cylinders."""
    cloth, metal = mat.fabric(rng, 0.15), mat.metal(rng)
    solids = [capsule((-width / 2 - 0.3, top, -0.13), (width / 2 + 0.3, top, -0.13), 0.013, metal)]
    wide = rng.uniform(0.3, 0.5)
    for s in (-1, 1):
        x = s * (width / 2 + 0.22)
        folds = int(wide / 0.065)
        for k in range(folds):
            r = rng.uniform(0.034, 0.046)
            place = x - s * k * 0.065
            solids.append(cone((place, 0.02, -0.13 + 0.02 * (k % 2)), (place, top - 0.01, -0.13), r, cloth, r * 0.85))
    return solids


def blind(rng: Rng, width: float, low: float, high: float) -> list[Solid]:
    """A blind let down over the upper part of a window."""
    share = rng.uniform(0.15, 0.5)
    tall = (high - low) * share
    white, gray = mat.shade(rng, (228, 224, 214)), mat.shade(rng, (190, 186, 176))
    slats = Material(pick(rng, ("hoops", "plain")), (white, gray), scale=0.05, seed=3)
    return [box((0, high - tall / 2, -0.085), (width, tall, 0.02), slats), box((0, high + 0.03, -0.09), (width + 0.06, 0.07, 0.06), slats._replace(kind="plain"))]


def door(rng: Rng) -> tuple[list[Solid], float]:
    """A closed door with its frame and handle, and its width over all."""
    width, tall = rng.uniform(0.78, 0.95), rng.uniform(1.98, 2.1)
    leaf = mat.wood(rng) if rng.random() < 0.45 else mat.paint(rng, 0.15)
    leaf = leaf._replace(kind="door" if rng.random() < 0.75 else leaf.kind, soft=0.004, seed=int(rng.integers(1, 1000)))
    trim = pick(rng, (leaf._replace(kind="wood" if len(leaf.colors) > 1 else "plain"), Material("plain", (linear(236, 235, 230),), gloss=0.15)))
    metal, side = mat.metal(rng), rng.choice([-1, 1])
    solids = [box((0, tall / 2, -0.012), (width, tall, 0.024), leaf)]
    solids += [box((s * (width / 2 + 0.04), tall / 2 + 0.04, -0.025), (0.08, tall + 0.08, 0.05), trim) for s in (-1, 1)]
    solids.append(box((0, tall + 0.04, -0.025), (width, 0.08, 0.05), trim))
    x = side * (width / 2 - 0.07)
    solids.append(capsule((x, 1.02, -0.06), (x - side * 0.1, 1.02, -0.06), 0.011, metal))
    solids.append(cone((x, 1.02, -0.02), (x, 1.02, -0.06), 0.012, metal))
    solids.append(box((side * (width / 2 + 0.22), 1.08, -0.006), (0.08, 0.08, 0.012), Material("plain", (linear(240, 240, 238),), gloss=0.2)))
    return solids, width + 0.16


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
    black = Material("plain", (linear(20, 20, 22),), gloss=0.35)
    return [box((0, 1.35, -0.03), (width, width * 0.57, 0.06), black)]


def whiteboard(rng: Rng) -> list[Solid]:
    """A whiteboard or pin board in a thin frame."""
    width, face = rng.uniform(1.2, 2.2), Material("plain", (linear(238, 240, 240),), gloss=0.3)
    if rng.random() < 0.3:
        face = Material("carpet", (linear(176, 132, 88), linear(176, 132, 88)))
    rim = Material("plain", (linear(170, 172, 175),), gloss=0.4)
    solids = [box((0, 1.45, -0.012), (width, 1.0, 0.024), rim), box((0, 1.45, -0.02), (width - 0.05, 0.95, 0.012), face)]
    solids.append(box((0, 0.95, -0.05), (width * 0.4, 0.02, 0.07), rim))
    return solids


def clock(rng: Rng) -> list[Solid]:
    """A round wall clock."""
    r, rim = rng.uniform(0.13, 0.2), mat.paint(rng, 0.3)
    y, dark = 2.0, Material("plain", (linear(25, 25, 25),))
    solids = [cone((0, y, 0), (0, y, -0.03), r, rim), cone((0, y, 0), (0, y, -0.034), r * 0.9, Material("plain", (linear(240, 240, 235),)))]
    for length, a in ((0.5, rng.uniform(0, 6.28)), (0.75, rng.uniform(0, 6.28))):
        solids.append(capsule((0, y, -0.036), (np.sin(a) * length * r, y + np.cos(a) * length * r, -0.036), 0.006, dark))
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
    solids.append(cone((width / 2 - 0.1, y, -0.11), (width / 2 - 0.1, y + 0.22, -0.11), 0.05, mat.paint(rng, 0.6), 0.03))
    return solids


def radiator(rng: Rng, width: float, high: float) -> list[Solid]:
    """A ribbed panel radiator below a window."""
    white = Material("ribs", (linear(232, 231, 226),), scale=0.045, gloss=0.1, soft=0.015)
    tall = min(0.55, high - 0.2)
    return [box((0, 0.12 + tall / 2, -0.09), (width, tall, 0.09), white), box((0, 0.12 + tall, -0.09), (width, 0.015, 0.1), white._replace(kind="plain"))]


def skirting(walls: Sequence[Wall], material: Material, height: float) -> list[Solid]:
    """A board along the foot of every wall."""
    solids = []
    for wall in walls:
        a, b = wall.span
        solids += wall.put([box((0, height / 2, -0.008), (b - a, height, 0.016), material)], (a + b) / 2)
    return solids


def pillar(x: float, z: float, sides: tuple[float, float], height: float, material: Material, foot: Material, tall: float):
    """A square column from floor to ceiling with its own skirting."""
    return [
        box((x, height / 2, z), (sides[0], height, sides[1]), material),
        box((x, tall / 2, z), (sides[0] + 0.03, tall, sides[1] + 0.03), foot),
    ]


def ceiling_lamp(rng: Rng, x: float, height: float, z: float, strength: float) -> tuple[list[Solid], float]:
    """A lamp that hangs from or sits on the ceiling, and the height of its light."""
    color = pick(rng, ((255, 240, 214), (255, 246, 232), (255, 226, 186)))
    shine, metal = mat.bulb(strength, color), mat.metal(rng)
    kind = rng.integers(3)
    if kind == 0:
        r = rng.uniform(0.16, 0.24)
        return [cone((x, height, z), (x, height - 0.08, z), r, shine), cone((x, height, z), (x, height - 0.03, z), r + 0.02, metal)], height - 0.12
    drop = rng.uniform(0.4, 0.7)
    low = height - drop
    cord = capsule((x, low, z), (x, height, z), 0.006, Material("plain", (linear(30, 30, 30),)))
    if kind == 1:
        return [cord, ball((x, low - 0.13, z), 0.14, shine)], low - 0.3
    shade = mat.fabric(rng)._replace(glow=0.6)
    return [cord, cone((x, low - 0.22, z), (x, low, z), 0.24, shade, 0.15), ball((x, low - 0.2, z), (0.09, 0.05, 0.09), shine)], low - 0.27


def light_panels(face: int, xs: Sequence[float], zs: Sequence[float], side: float, strength: float) -> list[Decal]:
    """Square lights let into the ceiling at every (x, z)."""
    shine = Material("plain", (linear(255, 252, 244),), glow=strength)
    return [Decal(face, (x - side / 2, x + side / 2), (z - side / 2, z + side / 2), shine) for x in xs for z in zs]
