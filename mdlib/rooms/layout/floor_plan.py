"""A room under construction: what stands where, on the ground and along the walls, and what is still free."""

from collections.abc import Sequence

import numpy as np

from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.lighting import BACK, FRONT, LEFT, RIGHT, Decal, Lamp, Sun
from mdlib.rooms.raycasting.solids import Solid, corners, moved
from mdlib.rooms.shapes.openings import Wall

Rng = np.random.Generator
Area = tuple[float, float, float, float]  # x from, x to, z from, z to in metres


def ground_of(solids: Sequence[Solid]) -> Area:
    """The rectangle of floor that solids take."""
    points = np.concatenate([corners(s) for s in solids])
    (x0, _, z0), (x1, _, z1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, x1, z0, z1


def overlap(a: Area, b: Area, apart: float = 0.0) -> bool:
    """Whether two areas come nearer to each other than `apart` metres."""
    return a[0] - apart < b[1] and a[1] + apart > b[0] and a[2] - apart < b[3] and a[3] + apart > b[2]


class Site:
    """Collects the parts of a room; every step draws from the one generator `rng`, in a fixed order."""

    def __init__(self, rng: Rng, low: tuple[float, float, float], high: tuple[float, float, float]):
        self.rng, self.low, self.high = rng, low, high
        self.walls = {face: Wall(face, low, high) for face in (LEFT, RIGHT, FRONT, BACK)}
        self.faces: list[Material] = []
        self.groups: list[list[Solid]] = []
        self.trim: list[Solid] = []
        self.decals: list[Decal] = []
        self.lamps: list[Lamp] = []
        self.sun: Sun | None = None
        self.taken: list[Area] = []
        self.keep_clear: list[Area] = []
        self.used = {face: [] for face in self.walls}  # from, to, lowest height in the way

    def fix(
        self, face: int, solids: list[Solid], at: float, wide: float, low: float, flat: bool = False
    ) -> None:
        """Fixes solids of a wall's frame at `at`; they hinder things taller than `low` over `wide` metres.

        `flat` ones lie so close to the wall that they throw no shadow.
        """
        placed = self.walls[face].put(solids, at)
        if flat:
            self.trim += placed
        else:
            self.groups.append(placed)
        self.used[face].append((at - wide / 2, at + wide / 2, low))

    def place_along(self, face: int, wide: float, high: float, margin: float = 0.08) -> float | None:
        """Where `wide` free metres are found along a wall for something `high`, or None after a few tries."""
        a, b = self.walls[face].span
        a, b = a + margin, b - margin
        for _ in range(8):
            if b - a <= wide:
                return None
            at = float(self.rng.uniform(a + wide / 2, b - wide / 2))
            left, right = at - wide / 2, at + wide / 2
            if all(right < u0 or left > u1 or high <= base for u0, u1, base in self.used[face]):
                return at
        return None

    def stand_at_wall(self, solids: list[Solid]) -> bool:
        """Puts furniture with its back to a wall that has room for it, rather the one opposite the camera."""
        points = np.concatenate([corners(s) for s in solids])
        wide, high, back = float(np.ptp(points[:, 0])), float(points[:, 1].max()), float(points[:, 2].max())
        for face in self.rng.permutation([FRONT, FRONT, LEFT, RIGHT]):
            at = self.place_along(face, wide + 0.06, high)
            if at is not None and self.stand(self.walls[face].put(solids, at, back + 0.03), 0.04):
                self.used[face].append((at - wide / 2, at + wide / 2, 0.0 if high > 1.2 else high))
                return True
        return False

    def stand_free(self, solids: list[Solid], x: float, z: float) -> bool:
        """Puts furniture down at (x, z) if the ground there is free."""
        return self.stand(moved(solids, 0.0, (float(x), 0.0, float(z))), 0.08)

    def stand(self, solids: list[Solid], apart: float | None = None) -> bool:
        """Adds solids that stand inside the room and, unless `apart` is None, that far from all others."""
        area = ground_of(solids)
        (x0, _, z0), (x1, _, z1) = self.low, self.high
        if area[0] < x0 or area[1] > x1 or area[2] < z0 or area[3] > z1:
            return False
        others = [] if apart is None else [*self.taken, *self.keep_clear]
        if any(overlap(area, other, apart) for other in others):
            return False
        self.groups.append(solids)
        self.taken.append(area)
        return True
