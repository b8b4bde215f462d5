"""Tables, desks, shelves and cabinets, with what lies on them; built like the seats of `seating`."""

import numpy as np

from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.solids import Solid, ball, box, capsule, cone, moved
from mdlib.rooms.shapes.seating import legs

Rng = np.random.Generator


def table(rng: Rng, low: bool = False) -> list[Solid]:
    """A dining table or (`low`) a coffee table: rectangular with four legs, or round on a column."""
    top = mat.wood_or_paint(rng)
    base = top if rng.random() < 0.6 else mat.metal(rng)
    height, thick = (rng.uniform(0.36, 0.46) if low else rng.uniform(0.71, 0.76)), rng.uniform(0.025, 0.045)
    if rng.random() < 0.3:
        r = rng.uniform(0.32, 0.45) if low else rng.uniform(0.42, 0.62)
        solids = [cone((0, height - thick, 0), (0, height, 0), r, top)]
        if rng.random() < 0.5:
            solids.append(cone((0, 0.02, 0), (0, height - thick, 0), 0.045, base))
            solids.append(cone((0, 0, 0), (0, 0.03, 0), r * 0.6, base))
        else:
            solids += legs(r * 0.5, r * 0.5, height - thick, 0.05, base, splay=0.1, square=False)
        half_x = half_z = r * 0.6
    else:
        half_x = rng.uniform(0.42, 0.6) if low else rng.uniform(0.55, 0.95)
        half_z = rng.uniform(0.26, 0.34) if low else rng.uniform(0.36, 0.46)
        leg = rng.uniform(0.045, 0.08)
        solids = [box((0, height - thick / 2, 0), (2 * half_x, thick, 2 * half_z), top)]
        solids += legs(half_x - leg, half_z - leg, height - thick, leg, base, square=rng.random() < 0.75)
        if rng.random() < 0.6:
            y = height - thick - 0.04
            for s in (-1, 1):
                solids.append(box((0, y, s * (half_z - leg)), (2 * (half_x - leg), 0.08, 0.022), base))
                solids.append(box((s * (half_x - leg), y, 0), (0.022, 0.08, 2 * (half_z - leg)), base))
        if low and rng.random() < 0.5:
            solids.append(box((0, 0.12, 0), (2 * (half_x - leg), 0.02, 2 * (half_z - leg)), top))
    for _ in range(int(rng.integers(0, 4))):
        solids += _small_thing(rng, rng.uniform(-0.6, 0.6) * half_x, height, rng.uniform(-0.6, 0.6) * half_z)
    return solids


def _small_thing(rng: Rng, x: float, y: float, z: float) -> list[Solid]:
    """A vase, cup, bowl or pile of books."""
    kind = rng.integers(4)
    if kind == 0:
        tall = rng.uniform(0.14, 0.26)
        return [cone((x, y, z), (x, y + tall, z), 0.055, mat.paint(rng, 0.6), 0.03)]
    if kind == 1:
        return [cone((x, y, z), (x, y + 0.1, z), 0.032, mat.paint(rng, 0.6), 0.04)]
    if kind == 2:
        places = [(x + dx, y + 0.07, z + dz) for dx, dz in ((-0.04, 0.02), (0.04, 0.03), (0, -0.04))]
        fruit = [ball(place, 0.038, mat.paint(rng, 1.0)) for place in places]
        return [cone((x, y, z), (x, y + 0.06, z), 0.05, mat.paint(rng, 0.3), 0.11), *fruit]
    pile, turn = [], rng.uniform(-0.6, 0.6)
    for k in range(int(rng.integers(1, 4))):
        book = 0.22 - 0.02 * k, 0.028, 0.16
        pile.append(box((x, y + 0.015 + 0.03 * k, z), book, mat.paint(rng, 0.8), yaw=turn + 0.2 * k))
    return pile


def desk(rng: Rng) -> list[Solid]:
    """A writing desk with drawers, a screen and a keyboard."""
    top, width, depth, height = mat.wood_or_paint(rng), rng.uniform(1.1, 1.5), rng.uniform(0.6, 0.75), 0.74
    side = pick(rng, (top, mat.paint(rng, 0)))
    solids = [box((0, height - 0.015, 0), (width, 0.03, depth), top)]
    front = Material("front", side.colors, scale=0.22, gloss=side.gloss, seed=side.seed)
    x = rng.choice([-1, 1]) * (width / 2 - 0.23)
    solids.append(box((x, 0.37, 0.02), (0.4, 0.68, depth - 0.08), side))
    solids.append(box((x, 0.37, -depth / 2 + 0.055), (0.38, 0.64, 0.016), front))
    solids.append(box((-np.sign(x) * (width / 2 - 0.03), 0.365, 0), (0.035, 0.73, depth - 0.05), side))
    solids.append(box((0, 0.5, depth / 2 - 0.05), (width - 0.1, 0.4, 0.02), side))
    if rng.random() < 0.85:
        solids += moved(screen(rng), rng.uniform(-0.3, 0.3), (rng.uniform(-0.2, 0.2), height, 0.12))
        solids.append(box((0, height + 0.01, -0.14), (0.42, 0.018, 0.14), mat.plain(40, 40, 44)))
    return solids + _small_thing(rng, 0.42 * width * np.sign(-x), height, rng.uniform(-0.15, 0.1))


def screen(rng: Rng) -> list[Solid]:
    """A computer screen on its foot, standing on y = 0."""
    black = mat.plain(24, 24, 26, gloss=0.3)
    dark = ((0.02, 0.025, 0.04), (0.35, 0.4, 0.5), (0.1, 0.2, 0.5))
    light = ((0.6, 0.62, 0.66), (0.12, 0.13, 0.16), (0.15, 0.3, 0.6))
    colors, glow, seed = pick(rng, (dark, light)), pick(rng, (0.0, 0.8, 1.2)), int(rng.integers(1, 99))
    face = Material("screen", colors, glow=glow, gloss=0.3, seed=seed)
    return [
        box((0, 0.3, 0.0), (0.54, 0.32, 0.03), black), box((0, 0.3, -0.017), (0.52, 0.3, 0.006), face),
        box((0, 0.1, 0.03), (0.05, 0.2, 0.02), black), cone((0, 0, 0.02), (0, 0.012, 0.02), 0.11, black),
    ]  # fmt: skip


def shelf(rng: Rng, height: float | None = None) -> list[Solid]:
    """An open bookcase with books and things on its boards."""
    body = mat.wood_or_paint(rng)
    height = rng.uniform(0.9, 2.1) if height is None else height
    width, depth, thick = rng.uniform(0.6, 1.1), rng.uniform(0.26, 0.36), 0.025
    solids = [box((s * (width - thick) / 2, height / 2, 0), (thick, height, depth), body) for s in (-1, 1)]
    back = body._replace(colors=tuple(tuple(0.7 * c for c in color) for color in body.colors))
    solids.append(box((0, height / 2 + 0.02, depth / 2 - 0.006), (width - 0.01, height - 0.05, 0.01), back))
    count = max(2, round(height / 0.36))
    gap = (height - 0.06) / count
    for k in range(count + 1):
        board = width - 2 * thick + 0.002, thick, depth - 0.01
        solids.append(box((0, 0.05 + k * gap, -0.002), board, body))
    for k in range(count):
        y, x = 0.05 + k * gap + thick / 2, -width / 2 + thick
        while x < width / 2 - 0.12:
            wide = min(rng.uniform(0.12, 0.35), width / 2 - thick - x)
            kind, tall = rng.random(), (gap - thick) * rng.uniform(0.62, 0.92)
            if kind < 0.6:
                size = wide, tall, depth * 0.66
                solids.append(box((x + wide / 2, y + tall / 2, -0.01), size, mat.books(rng)))
            elif kind < 0.75:
                side = min(wide, 0.26)
                size = side * 0.95, tall * 0.7, depth * 0.75
                solids.append(box((x + side / 2, y + tall * 0.35, -0.01), size, mat.cardboard(rng, 0.1)))
            elif kind < 0.85:
                solids += _small_thing(rng, x + wide / 2, y, -0.02) if gap > 0.3 and wide > 0.2 else []
            x += wide + 0.01
    return solids


def cabinet(rng: Rng, height: float | None = None) -> list[Solid]:
    """A sideboard, chest of drawers or wardrobe: a body on short feet with divided fronts and handles."""
    body = mat.wood_or_paint(rng)
    height = float(rng.choice([0.55, 0.75, 0.9, 1.2])) if height is None else height
    width = rng.uniform(0.8, 1.6) if height < 1.5 else rng.uniform(0.9, 1.5)
    depth, foot = rng.uniform(0.38, 0.5), rng.uniform(0.04, 0.14)
    fronts = pick(rng, (body, body, mat.paint(rng)))
    split = 0.25 if height < 1 and rng.random() < 0.5 else 0.48
    face = Material("front", fronts.colors, scale=split, gloss=fronts.gloss, seed=fronts.seed)
    under = mat.metal(rng) if rng.random() < 0.3 else body
    solids = legs(width / 2 - 0.06, depth / 2 - 0.06, foot, 0.045, under)
    tall = height - foot
    solids.append(box((0, foot + tall / 2, 0.01), (width, tall, depth - 0.02), body))
    solids.append(box((0, foot + tall / 2, -depth / 2 + 0.01), (width - 0.03, tall - 0.04, 0.022), face))
    columns, rows = max(1, round((width - 0.03) / split)), max(1, round((tall - 0.04) / split))
    knob = mat.metal(rng)
    for i in range(columns):
        for j in range(rows):
            x = ((i + 0.5) / columns - 0.5) * (width - 0.03)
            y, z = foot + 0.02 + (j + 0.5) / rows * (tall - 0.04), -depth / 2 - 0.015
            solids.append(capsule((x - 0.05, y, z), (x + 0.05, y, z), 0.008, knob))
    for _ in range(int(rng.integers(0, 4)) if height < 1.4 else 0):
        solids += _small_thing(rng, rng.uniform(-0.42, 0.42) * width, height, rng.uniform(-0.05, 0.05))
    return solids
