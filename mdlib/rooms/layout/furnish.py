"""What stands in a room and hangs on its walls, by the kind of room."""

from functools import partial
from typing import NamedTuple

import numpy as np

from mdlib.rooms.layout.floor_plan import Site
from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.lighting import FLOOR, FRONT, LEFT, RIGHT, Decal
from mdlib.rooms.raycasting.solids import corners, moved
from mdlib.rooms.shapes import fixtures, furniture, objects, seating

Rng = np.random.Generator


class Style(NamedTuple):
    """A kind of room: how often it is drawn, its size in metres (from, to), and what may stand in it.

    `along` are builders of furniture that stands at walls, the most typical first; `middle` of what stands
    free.
    """

    weight: int
    width: tuple[float, float]
    depth: tuple[float, float]
    height: tuple[float, float]
    along: tuple
    middle: tuple
    office: bool


_SHELF, _CABINET, _PLANT, _DESK = furniture.shelf, furniture.cabinet, objects.plant, furniture.desk
_ARMCHAIR, _COFFEE_TABLE = partial(seating.sofa, seats=1), partial(furniture.table, low=True)
_WARDROBE = partial(furniture.cabinet, height=2.0)
STYLES = (
    Style(  # living room
        5, (3.8, 6.0), (5.0, 7.5), (2.4, 2.9),
        (seating.sofa, _CABINET, _SHELF, objects.floor_lamp, _PLANT, _ARMCHAIR, _SHELF),
        (_COFFEE_TABLE, _ARMCHAIR), False,
    ),
    Style(  # dining room
        3, (3.4, 5.0), (4.8, 6.5), (2.4, 2.9), 
        (_CABINET, _SHELF, _PLANT, seating.chair, _CABINET), ("dining",), False,
    ),
    Style(  # bedroom
        3, (3.4, 4.8), (4.6, 6.0), (2.4, 2.7),
        (seating.bed, _WARDROBE, _CABINET, _DESK, _PLANT, seating.chair, objects.floor_lamp), (), False,
    ),
    Style(  # study
        3, (3.4, 5.2), (4.6, 6.5), (2.5, 3.0),
        (_DESK, _SHELF, _SHELF, _CABINET, _PLANT, objects.bin_, seating.office_chair), 
        (seating.office_chair,), True,
    ),
    Style(  # open-plan office
        4, (6.0, 10.0), (7.5, 13.0), (2.6, 3.4),
        (_DESK, _DESK, _SHELF, _CABINET, _PLANT, objects.boxes, objects.bin_), (seating.office_chair,), True,
    ),
    Style(3, (3.6, 8.0), (5.0, 11.0), (2.5, 3.3), (objects.boxes, seating.chair, _PLANT), (), True),  # empty
)  # fmt: skip
_SMALL = (_PLANT, _PLANT, objects.floor_lamp, objects.boxes, objects.bin_, seating.stool, seating.chair)


def furnish(site: Site, style: Style) -> None:
    """Furniture along the walls, then free in the room, then small things and a rug where there is place."""
    rng = site.rng
    for make in style.along[: int(rng.integers(2, len(style.along) + 1))]:
        site.stand_at_wall(make(rng))
    (x0, _, _), (x1, _, z1) = site.low, site.high
    for make in style.middle:
        if rng.random() < 0.7:
            x, z = rng.normal(0, 0.15) * (x1 - x0), rng.uniform(0.5, 0.75) * z1
            if make == "dining":
                _dining(site, x, z)
            else:
                site.stand_free(make(rng), x, z)
    for _ in range(int(rng.integers(0, 3))):
        solids = moved(pick(rng, _SMALL)(rng), rng.uniform(0, 6.28))
        side = rng.choice([-1, 1]) * rng.uniform(0.25, 0.45)
        site.stand_free(solids, side * (x1 - x0), rng.uniform(0.4, 0.95) * z1)
    if rng.random() < (0.15 if style.office else 0.55):
        _rug(site)


def _dining(site: Site, x: float, z: float) -> None:
    """A table with chairs around it."""
    rng = site.rng
    turn = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.08)
    if not site.stand_free(moved(furniture.table(rng), turn), x, z):
        return
    one_kind = rng.integers(1 << 30)
    for along in (-0.35, 0.35):
        for way in (0.0, np.pi):
            if rng.random() < 0.85:
                chair = seating.chair(np.random.default_rng(one_kind))
                chair = moved(chair, way + np.pi + rng.normal(0, 0.1), (along, 0, -0.52 * np.cos(way)))
                site.stand(moved(chair, turn, (x, 0, z)))


def _rug(site: Site) -> None:
    rng, (x0, _, _), (x1, _, z1) = site.rng, site.low, site.high
    x, z = rng.normal(0, 0.08) * (x1 - x0), rng.uniform(0.5, 0.65) * z1
    half_x = min(rng.uniform(0.8, 1.4), (x1 - x0) / 2 - abs(x) - 0.3)
    half_z = min(rng.uniform(0.6, 1.1), z1 - z - 0.4)
    if half_x > 0.4 and half_z > 0.4:
        colors = tuple(mat.shade(rng, pick(rng, mat.CLOTHS)) for _ in range(3))
        kind, seed = pick(rng, ("rug", "rug", "carpet", "stripes")), int(rng.integers(1, 99))
        rug = Material(kind, colors, scale=float(rng.uniform(0.2, 0.4)), seed=seed)
        site.decals.append(Decal(FLOOR, (x - half_x, x + half_x), (z - half_z, z + half_z), rug))


def hang(site: Site, style: Style) -> None:
    """Pictures and other things on the free parts of the walls."""
    rng = site.rng
    home = (fixtures.television, fixtures.wall_shelf, fixtures.clock)
    special = (fixtures.whiteboard, fixtures.clock) if style.office else home
    for face in (FRONT, LEFT, RIGHT):
        for _ in range(int(rng.integers(1, 4))):
            room = float(rng.uniform(0.7, 2.0))
            solids = pick(rng, special)(rng) if rng.random() < 0.25 else fixtures.pictures(rng, room)
            points = np.concatenate([corners(s) for s in solids])
            wide, low = float(np.ptp(points[:, 0])), float(points[:, 1].min())
            high = float(points[:, 1].max())
            at = site.place_along(face, wide + 0.2, high)
            if at is not None:
                site.fix(face, solids, at, wide + 0.15, low, flat=True)
