"""The plan of a room: its size and surfaces, where windows, doors, furniture and lamps go, where the camera stands."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mdlib.creation import fixtures, furniture, objects
from mdlib.creation import materials as mat
from mdlib.creation.fixtures import Wall
from mdlib.creation.lighting import BACK, CEILING, FLOOR, FRONT, LEFT, RIGHT, Decal, Lamp, Stage, Sun
from mdlib.creation.materials import pick
from mdlib.creation.raycast import Solid, box, corners, moved
from mdlib.creation.scene import Camera
from mdlib.creation.surfaces import ceiling_surface, floor_surface, wall_surface
from mdlib.creation.textures import Material, linear

Rng = np.random.Generator
_SALT = 5003


class Plan(NamedTuple):
    """A stage, the camera in it, and the ground (x0, x1, z0, z1 in metres) that each piece of furniture takes."""

    stage: Stage
    camera: Camera
    taken: list[tuple[float, float, float, float]]


class _Style(NamedTuple):
    width: tuple[float, float]
    depth: tuple[float, float]
    height: tuple[float, float]
    along: tuple  # furniture that stands at walls
    middle: tuple  # furniture that stands free
    office: bool


_ANY_SMALL = (objects.plant, objects.plant, objects.floor_lamp, objects.boxes, objects.bin_, furniture.stool, furniture.chair)
STYLES = {
    "living": (5, _Style((3.8, 6.0), (5.0, 7.5), (2.4, 2.9),
        (furniture.sofa, furniture.cabinet, furniture.shelf, objects.floor_lamp, objects.plant, lambda r: furniture.sofa(r, 1), furniture.shelf),
        (lambda r: furniture.table(r, True), lambda r: furniture.sofa(r, 1)), False)),
    "dining": (3, _Style((3.4, 5.0), (4.8, 6.5), (2.4, 2.9),
        (furniture.cabinet, furniture.shelf, objects.plant, furniture.chair, furniture.cabinet), ("dining",), False)),
    "bedroom": (3, _Style((3.4, 4.8), (4.6, 6.0), (2.4, 2.7),
        (furniture.bed, lambda r: furniture.cabinet(r, 2.0), furniture.cabinet, furniture.desk, objects.plant, furniture.chair, objects.floor_lamp),
        (), False)),
    "study": (3, _Style((3.4, 5.2), (4.6, 6.5), (2.5, 3.0),
        (furniture.desk, furniture.shelf, furniture.shelf, furniture.cabinet, objects.plant, objects.bin_, furniture.office_chair), (furniture.office_chair,), True)),
    "office": (4, _Style((6.0, 10.0), (7.5, 13.0), (2.6, 3.4),
        (furniture.desk, furniture.desk, furniture.shelf, furniture.cabinet, objects.plant, objects.boxes, objects.bin_), (furniture.office_chair,), True)),
    "bare": (3, _Style((3.6, 8.0), (5.0, 11.0), (2.5, 3.3), (objects.boxes, furniture.chair, objects.plant), (), True)),
}  # fmt: skip


def plan_room(seed: int, size: tuple[int, int]) -> Plan:
    """Everything about room `seed` that does not depend on how it is rendered."""
    rng = np.random.default_rng([_SALT, seed])
    names = list(STYLES)
    weights = np.array([STYLES[name][0] for name in names], float)
    style = STYLES[names[int(rng.choice(len(names), p=weights / weights.sum()))]][1]
    width, depth, tall = (float(rng.uniform(*limits)) for limits in style[:3])
    builder = _Builder(rng, style, (-width / 2, 0.0, 0.0), (width / 2, tall, depth), size)
    builder.surfaces()
    builder.openings()
    builder.structure()
    builder.furnish()
    builder.hang()
    builder.ceiling_lights()
    stage = Stage(
        builder.low, builder.high, tuple(builder.faces), builder.decals, builder.groups, builder.lamps, builder.sun,
        builder.trim,
    )
    return Plan(stage, builder.camera, builder.taken)


class _Builder:
    """Fills a room step by step; each step draws from one generator in a fixed order."""

    def __init__(self, rng: Rng, style: _Style, low, high, size: tuple[int, int]):
        self.rng, self.style, self.low, self.high = rng, style, low, high
        self.walls = {face: Wall(face, low, high) for face in (LEFT, RIGHT, FRONT, BACK)}
        self.groups: list[Sequence[Solid]] = []
        self.trim: list[Solid] = []
        self.decals: list[Decal] = []
        self.lamps: list[Lamp] = []
        self.sun: Sun | None = None
        self.taken: list[tuple[float, float, float, float]] = []
        self.used = {face: [] for face in self.walls}  # (from, to, lowest height) along each wall
        self.night = bool(rng.random() < 0.1)
        self.sunny = not self.night and bool(rng.random() < 0.5)
        self.camera = self._camera(size)
        x, _, z = self.camera.position
        self.keep_clear = [(x - 0.6, x + 0.6, z - 1.0, z + 1.4)]

    def _camera(self, size: tuple[int, int]) -> Camera:
        rng, (x0, _, _), (x1, _, z1) = self.rng, self.low, self.high
        x = float(np.clip(rng.normal(0, 0.28) * (x1 - x0), x0 + 0.6, x1 - 0.6))
        z = float(rng.uniform(0.3, 0.7))
        target = rng.normal(0, 0.16) * (x1 - x0) - 0.25 * x
        yaw = float(np.arctan2(target - x, z1 * 0.75 - z))
        angle = np.radians(rng.uniform(55, 65))
        focal = float(size[1] / 2 / np.tan(angle / 2))
        return Camera((x, float(rng.uniform(1.4, 1.7)), z), yaw, float(rng.uniform(0.0, 0.24)), focal, (size[1] / 2, size[0] / 2), size)

    # ---- shell ---------------------------------------------------------------------------------------------

    def surfaces(self) -> None:
        """Materials of floor, ceiling and walls, sometimes one wall of its own; skirting; rug."""
        rng, office = self.rng, self.style.office
        wall = wall_surface(rng, accent=False)
        self.faces: list[Material] = [wall] * 6
        self.faces[FLOOR], self.faces[CEILING] = floor_surface(rng, office), ceiling_surface(rng, office)
        if rng.random() < 0.4:
            self.faces[pick(rng, (FRONT, FRONT, LEFT, RIGHT))] = wall_surface(rng, accent=True)
        self.skirt = pick(rng, (Material("plain", (linear(238, 237, 233),), gloss=0.15), mat.wood(rng)))
        self.skirt_height = float(rng.uniform(0.06, 0.13))
        self.trim += fixtures.skirting(list(self.walls.values()), self.skirt, self.skirt_height)

    def structure(self) -> None:
        """Pillars and projecting corners."""
        rng, (x0, _, _), (x1, tall, z1) = self.rng, self.low, self.high
        wall = self.faces[LEFT]
        if rng.random() < 0.25 and not self.used[FRONT]:
            a, b, side = rng.uniform(0.5, 1.2), rng.uniform(0.5, 1.6), rng.choice([-1, 1])
            x, z = (x1 - a / 2 if side > 0 else x0 + a / 2), z1 - b / 2
            self._stand(fixtures.pillar(x, z, (a, b), tall, wall, self.skirt, self.skirt_height))
        if (x1 - x0) > 5.5 and rng.random() < 0.6:
            side = rng.uniform(0.35, 0.6)
            for z in np.arange(rng.uniform(3.5, 5), z1 - 0.5, rng.uniform(3, 4)):
                for x in (x0 + (x1 - x0) * 0.25, x0 + (x1 - x0) * 0.78):
                    if rng.random() < 0.75:
                        self._stand(fixtures.pillar(x, z, (side, side), tall, wall, self.skirt, self.skirt_height))

    def openings(self) -> None:
        """Windows on one or two walls, with the light that comes through them; a door or two."""
        rng = self.rng
        day = 0.06 if self.night else float(rng.uniform(4, 9))
        tint = np.array(pick(rng, ((0.9, 0.97, 1.08), (0.97, 1.0, 1.02), (1.04, 1.0, 0.92))))
        walls = [w for w, p in ((FRONT, 0.62), (LEFT, 0.42), (RIGHT, 0.42), (BACK, 0.3)) if rng.random() < p]
        walls = walls[:2] or [pick(rng, (FRONT, LEFT, RIGHT))]
        view = fixtures.outside(rng, 0.7 if self.night else float(rng.uniform(2.2, 5.0)), self.night)
        self.low_window = float(rng.choice([0.0, 0.45, 0.85, 0.9, 0.95]))
        trim = pick(rng, (Material("plain", (linear(240, 240, 237),), gloss=0.15), mat.wood(rng, 0.1), mat.metal(rng)))
        for face in walls:
            self._windows(self.walls[face], view, trim, tuple(day * tint))
        if self.sunny:
            self._sunshine(walls, day)
        for face in rng.permutation([LEFT, RIGHT, FRONT])[: 1 + (rng.random() < 0.3)]:
            solids, wide = fixtures.door(rng)
            a, b = self.walls[face].span
            at = self._free_along(face, wide + 0.1, 2.2, a + (1.6 if face != FRONT else 0.1), b - 0.1)
            if at is not None:
                self._fix(face, solids, at, wide + 0.3, 0.0, flat=True)
                self.keep_clear.append(_ground(self.walls[face].put([box((0, 1, -0.4), (wide, 2, 0.8), None)], at)))

    def _windows(self, wall: Wall, view: Material, trim: Material, radiance) -> None:
        rng, (a, b), tall = self.rng, wall.span, self.high[1]
        low = max(0.08, self.low_window)
        high = min(tall - 0.15, rng.uniform(2.05, 2.5) if low > 0.2 else rng.uniform(2.2, tall - 0.15))
        width = rng.uniform(0.8, 2.0)
        count = int(np.clip((b - a - 0.4) / (width + rng.uniform(0.5, 1.5)), 1, 4))
        width = min(width, (b - a) - 0.5)
        bars = (max(1, round(width / 0.75)), pick(rng, (1, 1, 2)))
        hung = pick(rng, ("curtains", "blind", "nothing", "nothing"))
        style = rng.bit_generator.state  # every window of a wall is made alike
        for k in range(count):
            at = a + (k + 0.5) * (b - a) / count
            rng.bit_generator.state = style
            self.decals.append(Decal(wall.face, (at - width / 2, at + width / 2), (low, high), view))
            parts = fixtures.window_frame(rng, width, low, high, trim, bars)
            if hung == "curtains" and (b - a) / count > width + 0.5:
                self.groups.append(wall.put(fixtures.curtains(rng, width, high + 0.12), at))
            elif hung == "blind":
                parts += fixtures.blind(rng, width, low, high)
            self._fix(wall.face, parts, at, width + 0.2, low - 0.1, flat=not self.sunny)
            if low > 0.4 and rng.random() < 0.5:
                self._fix(wall.face, fixtures.radiator(rng, width * 0.85, low), at, width, 0.0, flat=True)
        share = count * width / (b - a)
        middle, half = (a + b) / 2, (b - a) / 2
        lamp = wall.put([box((0, (low + high) / 2, -0.075), (1, 1, 0.01), None)], middle)[0]
        along_x = wall.face in (FRONT, BACK)
        self.lamps.append(Lamp(
            tuple(lamp.center.tolist()), (half * share, 0, 0) if along_x else (0, 0, half * share), (0, (high - low) / 2, 0),
            tuple((-lamp.axes[2]).tolist()), radiance,
        ))  # fmt: skip

    def _sunshine(self, walls, day: float) -> None:
        rng = self.rng
        face = walls[0]
        inward = {FRONT: (0, 1), BACK: (0, -1), LEFT: (-1, 0), RIGHT: (1, 0)}[face]
        turn, up = rng.uniform(-0.7, 0.7), rng.uniform(0.45, 0.85)
        x = inward[0] * np.cos(turn) - inward[1] * np.sin(turn)
        z = inward[0] * np.sin(turn) + inward[1] * np.cos(turn)
        toward = np.array([x * np.cos(up), np.sin(up), z * np.cos(up)])
        strength = day * rng.uniform(0.25, 0.6)
        self.sun = Sun(tuple(toward.tolist()), tuple((strength * np.array((1.0, 0.93, 0.8))).tolist()))

    # ---- things --------------------------------------------------------------------------------------------

    def furnish(self) -> None:
        """Furniture along the walls, then free in the room, then small things wherever there is place."""
        rng = self.rng
        many = rng.integers(2, len(self.style.along) + 1) if self.style.along else 0
        for make in self.style.along[: int(many)]:
            self._at_wall(make(rng))
        (x0, _, _), (x1, _, z1) = self.low, self.high
        for make in self.style.middle:
            if rng.random() < 0.7:
                x, z = rng.normal(0, 0.15) * (x1 - x0), rng.uniform(0.5, 0.75) * z1
                self._dining(x, z) if make == "dining" else self._free(make(rng), x, z)
        for _ in range(int(rng.integers(0, 3))):
            solids = moved(pick(rng, _ANY_SMALL)(rng), rng.uniform(0, 6.28))
            side = rng.choice([-1, 1]) * rng.uniform(0.25, 0.45)
            self._free(solids, side * (x1 - x0), rng.uniform(0.4, 0.95) * z1)
        if rng.random() < (0.15 if self.style.office else 0.55):
            self._rug()

    def _dining(self, x: float, z: float) -> None:
        rng = self.rng
        turn = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.08)
        if not self._free(moved(furniture.table(rng), turn), x, z):
            return
        seed = rng.integers(1 << 30)
        for sx in (-0.35, 0.35):
            for way in (0, np.pi):
                if rng.random() < 0.85:
                    chair = moved(furniture.chair(np.random.default_rng(seed)), way + np.pi + rng.normal(0, 0.1), (sx, 0, -0.52 * np.cos(way)))
                    self._stand(moved(chair, turn, (x, 0, z)))

    def _rug(self) -> None:
        rng, (x0, _, _), (x1, _, z1) = self.rng, self.low, self.high
        x, z = rng.normal(0, 0.08) * (x1 - x0), rng.uniform(0.5, 0.65) * z1
        half_x, half_z = min(rng.uniform(0.8, 1.4), (x1 - x0) / 2 - abs(x) - 0.3), min(rng.uniform(0.6, 1.1), z1 - z - 0.4)
        if half_x > 0.4 and half_z > 0.4:
            colors = tuple(mat.shade(rng, pick(rng, mat.CLOTHS)) for _ in range(3))
            rug = Material(pick(rng, ("rug", "rug", "carpet", "stripes")), colors, scale=float(rng.uniform(0.2, 0.4)), seed=int(rng.integers(1, 99)))
            self.decals.append(Decal(FLOOR, (x - half_x, x + half_x), (z - half_z, z + half_z), rug))

    def hang(self) -> None:
        """Pictures and other things on the free parts of the walls."""
        rng = self.rng
        things = (fixtures.whiteboard, fixtures.clock, fixtures.wall_shelf) if self.style.office else (fixtures.television, fixtures.wall_shelf, fixtures.clock)
        for face in (FRONT, LEFT, RIGHT):
            for _ in range(int(rng.integers(1, 4))):
                room = rng.uniform(0.7, 2.0)
                solids = pick(rng, things)(rng) if rng.random() < 0.25 else fixtures.pictures(rng, room)
                x = np.concatenate([corners(s)[:, 0] for s in solids])
                a, b = self.walls[face].span
                low = min(corners(s)[:, 1].min() for s in solids)
                at = self._free_along(face, float(np.ptp(x)) + 0.2, 3.0, a + 0.1, b - 0.1, low)
                if at is not None:
                    self._fix(face, solids, at, float(np.ptp(x)) + 0.15, low, flat=True)

    def ceiling_lights(self) -> None:
        """Light panels in offices, one lamp elsewhere; both are off now and then by day."""
        rng, (x0, _, _), (x1, tall, z1) = self.rng, self.low, self.high
        on = self.night or rng.random() < 0.6
        warm = np.array(pick(rng, ((1.0, 0.9, 0.74), (1.0, 0.95, 0.86), (1.0, 0.99, 0.97))))
        if self.style.office and rng.random() < 0.8:
            side, gap = 0.6, float(rng.choice([1.8, 2.4, 3.0]))
            xs, zs = np.arange(x0 + gap / 2, x1, gap), np.arange(gap / 2, z1, gap)
            self.decals += fixtures.light_panels(CEILING, xs, zs, side, 2.5 if on else 0.35)
            share = side * side / gap / gap
            radiance = (rng.uniform(5, 9) if on else 0.05) * warm * share
            half_x, half_z = (x1 - x0) / 2 * 0.85, z1 / 2 * 0.85
            self.lamps.append(Lamp((0.0, tall - 0.01, z1 / 2), (half_x, 0, 0), (0, 0, half_z), (0, -1, 0), tuple(radiance.tolist())))
            return
        x, z = float(rng.normal(0, 0.3)), float(rng.uniform(0.45, 0.65) * z1)
        solids, y = fixtures.ceiling_lamp(rng, x, tall, z, 4.0 if on else 0.25)
        self.groups.append(solids)
        if on:
            radiance = rng.uniform(14, 30) * warm
            self.lamps.append(Lamp((x, y, z), (0.12, 0, 0), (0, 0, 0.12), None, tuple(radiance.tolist())))

    # ---- placing -------------------------------------------------------------------------------------------

    def _fix(self, face: int, solids, at: float, wide: float, low: float, flat: bool = False) -> None:
        placed = self.walls[face].put(solids, at)
        if flat:
            self.trim += placed
        else:
            self.groups.append(placed)
        self.used[face].append((at - wide / 2, at + wide / 2, low))

    def _free_along(self, face: int, wide: float, high: float, a: float, b: float, low: float = 0.0) -> float | None:
        """A place along a wall where nothing between `low` and `high` is in the way, or None after a few tries."""
        for _ in range(8):
            if b - a <= wide:
                return None
            at = float(self.rng.uniform(a + wide / 2, b - wide / 2))
            if all(at + wide / 2 < u0 or at - wide / 2 > u1 or high <= base for u0, u1, base in self.used[face]):
                return at
        return None

    def _at_wall(self, solids: list[Solid]) -> None:
        points = np.concatenate([corners(s) for s in solids])
        wide, high, back = float(np.ptp(points[:, 0])), float(points[:, 1].max()), float(points[:, 2].max())
        for face in self.rng.permutation([FRONT, FRONT, LEFT, RIGHT]):
            a, b = self.walls[face].span
            at = self._free_along(face, wide + 0.06, high, a + 0.05, b - 0.05)
            if at is None:
                continue
            placed = self.walls[face].put(solids, at, back + 0.03)
            if self._stand(placed, 0.04):
                self.used[face].append((at - wide / 2, at + wide / 2, 0.0 if high > 1.2 else -1.0))
                return

    def _free(self, solids: list[Solid], x: float, z: float) -> bool:
        return self._stand(moved(solids, 0.0, (float(x), 0.0, float(z))), 0.08)

    def _stand(self, solids: list[Solid], apart: float = 0.0) -> bool:
        """Adds a group if it stands inside the room and on free ground."""
        x0, x1, z0, z1 = _ground(solids)
        if x0 < self.low[0] or x1 > self.high[0] or z0 < self.low[2] or z1 > self.high[2]:
            return False
        for a0, a1, b0, b1 in [*self.taken, *self.keep_clear]:
            if apart and x0 - apart < a1 and x1 + apart > a0 and z0 - apart < b1 and z1 + apart > b0:
                return False
        self.groups.append(solids)
        self.taken.append((x0, x1, z0, z1))
        return True


def _ground(solids: Sequence[Solid]) -> tuple[float, float, float, float]:
    points = np.concatenate([corners(s) for s in solids])
    (x0, _, z0), (x1, _, z1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, x1, z0, z1
