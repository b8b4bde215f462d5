"""Walls and what opens them: windows with their view, curtains, blinds and radiators; doors.

Builders on walls work in the wall's own frame: x along the wall, y up from the floor, z = 0 its plane and the
room towards -z. `Wall.put` carries the result to any of the four walls.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material, linear
from mdlib.rooms.raycasting.lighting import BACK, FRONT, LEFT, RIGHT
from mdlib.rooms.raycasting.solids import Solid, box, capsule, cone, moved

Rng = np.random.Generator
_SKIES = (  # at the zenith, at the horizon
    ((120, 168, 230), (214, 230, 244)), ((170, 190, 210), (226, 232, 238)),
    ((150, 180, 225), (245, 228, 205)),
)  # fmt: skip


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
        """Solids of the wall's frame -> world, their origin at coordinate `at`, `gap` metres off the wall."""
        yaw = {FRONT: 0.0, RIGHT: np.pi / 2, BACK: np.pi, LEFT: -np.pi / 2}[self.face]
        place = {
            FRONT: (at, 0.0, self.high[2] - gap), BACK: (at, 0.0, self.low[2] + gap),
            LEFT: (self.low[0] + gap, 0.0, at), RIGHT: (self.high[0] - gap, 0.0, at),
        }[self.face]  # fmt: skip
        return moved(solids, yaw, place)


def outside(rng: Rng, light: float, night: bool) -> Material:
    """The view through a window pane, as bright as `light` times its colours."""
    far = (*pick(rng, _SKIES), (96, 122, 70), (176, 160, 144), (138, 146, 110))
    if night:
        far = ((14, 18, 38), (34, 36, 56), (14, 18, 16), (40, 36, 34), (22, 22, 26))
    colors = tuple(linear(*c) for c in far)
    return Material("outside", colors, glow=light, gloss=0.12, seed=int(rng.integers(1, 1000)))


def window_frame(
    rng: Rng, width: float, low: float, high: float, material: Material, bars: tuple[int, int]
) -> list[Solid]:
    """The frame of a pane from height `low` to `high`, divided into bars[0] x bars[1], and its sill."""
    deep, bar = 0.07, 0.055
    middle, tall = (low + high) / 2, high - low
    side = bar, tall + 2 * bar, deep
    solids = [box((s * (width + bar) / 2, middle, -deep / 2), side, material) for s in (-1, 1)]
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
    solids = [capsule((-width / 2 - 0.3, top, -0.2), (width / 2 + 0.3, top, -0.2), 0.013, metal)]
    wide = rng.uniform(0.3, 0.5)
    for s in (-1, 1):
        x = s * (width / 2 + 0.22)
        folds = int(wide / 0.065)
        for k in range(folds):
            r = rng.uniform(0.034, 0.046)
            place = x - s * k * 0.065
            foot, head = (place, 0.02, -0.2 + 0.02 * (k % 2)), (place, top - 0.01, -0.2)
            solids.append(cone(foot, head, r, cloth, r * 0.85))
    return solids


def blind(rng: Rng, width: float, low: float, high: float) -> tuple[list[Solid], float]:
    """A blind let down over the upper part of a window, and the height of its lower end."""
    share = rng.uniform(0.15, 0.5)
    tall = (high - low) * share
    white, gray = mat.shade(rng, (228, 224, 214)), mat.shade(rng, (190, 186, 176))
    slats = Material(pick(rng, ("hoops", "plain")), (white, gray), scale=0.05, seed=3)
    rail = box((0, high + 0.03, -0.09), (width + 0.06, 0.07, 0.06), slats._replace(kind="plain"))
    return [box((0, high - tall / 2, -0.085), (width, tall, 0.02), slats), rail], float(high - tall)


def radiator(rng: Rng, width: float, high: float) -> list[Solid]:
    """A ribbed panel radiator below a window."""
    white = Material("ribs", (linear(232, 231, 226),), scale=0.045, gloss=0.1, soft=0.015)
    tall = min(0.55, high - 0.2)
    return [
        box((0, 0.12 + tall / 2, -0.09), (width, tall, 0.09), white),
        box((0, 0.12 + tall, -0.09), (width, 0.015, 0.1), white._replace(kind="plain")),
    ]


def door(rng: Rng) -> tuple[list[Solid], float]:
    """A closed door with its frame and handle, and its width over all."""
    width, tall = rng.uniform(0.78, 0.95), rng.uniform(1.98, 2.1)
    leaf = mat.wood(rng) if rng.random() < 0.45 else mat.paint(rng, 0.15)
    kind = "door" if rng.random() < 0.75 else leaf.kind
    leaf = leaf._replace(kind=kind, soft=0.004, seed=int(rng.integers(1, 1000)))
    alike = leaf._replace(kind="wood" if len(leaf.colors) > 1 else "plain")
    trim = pick(rng, (alike, mat.plain(236, 235, 230, gloss=0.15)))
    metal, side = mat.metal(rng), rng.choice([-1, 1])
    solids = [box((0, tall / 2, -0.012), (width, tall, 0.024), leaf)]
    post = 0.08, tall + 0.08, 0.05
    solids += [box((s * (width / 2 + 0.04), tall / 2 + 0.04, -0.025), post, trim) for s in (-1, 1)]
    solids.append(box((0, tall + 0.04, -0.025), (width, 0.08, 0.05), trim))
    x = side * (width / 2 - 0.07)
    solids.append(capsule((x, 1.02, -0.06), (x - side * 0.1, 1.02, -0.06), 0.011, metal))
    solids.append(cone((x, 1.02, -0.02), (x, 1.02, -0.06), 0.012, metal))
    switch = mat.plain(240, 240, 238, gloss=0.2)
    solids.append(box((side * (width / 2 + 0.22), 1.08, -0.006), (0.08, 0.08, 0.012), switch))
    return solids, width + 0.16
