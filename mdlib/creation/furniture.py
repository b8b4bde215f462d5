"""Seats, tables and storage from boxes, cylinders, balls and capsules.

Every builder takes a random generator and returns solids that stand on y = 0 around the origin, their front
towards -z (the viewer), in metres.
"""

import numpy as np

from mdlib.creation import materials as mat
from mdlib.creation.materials import pick
from mdlib.creation.raycast import Solid, ball, box, capsule, cone, moved
from mdlib.creation.textures import Material, linear

Rng = np.random.Generator


def legs(half_x: float, half_z: float, top: float, thick: float, material: Material, splay: float = 0.0, square=True):
    """Four legs under a top at height `top`; `splay` moves their feet outwards."""
    solids = []
    for sx in (-1, 1):
        for sz in (-1, 1):
            foot = (sx * (half_x + splay), 0.0, sz * (half_z + splay))
            head = (sx * half_x, top, sz * half_z)
            if square and not splay:
                solids.append(box((head[0], top / 2, head[2]), (thick, top, thick), material))
            else:
                solids.append(cone(foot, head, thick * 0.38, material, thick * 0.6))
    return solids


def chair(rng: Rng) -> list[Solid]:
    """A wooden, metal or upholstered dining chair."""
    frame = mat.wood_or_paint(rng) if rng.random() < 0.75 else mat.metal(rng)
    seat_material = pick(rng, (frame, frame, mat.fabric(rng, soft=0.03), mat.leather(rng)))
    width, depth, seat = rng.uniform(0.4, 0.48), rng.uniform(0.4, 0.46), rng.uniform(0.43, 0.48)
    height, thick, lean = rng.uniform(0.8, 1.02), rng.uniform(0.032, 0.05), rng.uniform(0.06, 0.2)
    padded = 0.06 if seat_material is not frame else 0.03
    x, z = width / 2 - thick / 2, depth / 2 - thick / 2
    solids = legs(x, z, seat, thick, frame, rng.choice([0.0, 0.0, 0.05]), square=rng.random() < 0.6)
    solids.append(box((0, seat + padded / 2 - 0.01, 0), (width, padded, depth), seat_material))
    tall, middle = height - seat, (height + seat) / 2
    back_z = z + np.tan(lean) * tall / 2
    style = rng.integers(4)
    if style == 0:  # one padded or wooden panel
        solids.append(box((0, middle + 0.04, back_z), (width * 0.95, tall * 0.8, max(padded, 0.03)), seat_material, tilt=lean))
    posts = () if style == 0 and rng.random() < 0.5 else (-x, x)
    solids += [capsule((s, seat, z), (s, height, z + np.tan(lean) * tall), thick / 2, frame) for s in posts]
    if style == 1:  # cross rails
        for k in range(int(rng.integers(2, 4))):
            y = height - 0.05 - 0.13 * k
            rail = (width - thick, 0.07, 0.022)
            solids.append(box((0, y, z + np.tan(lean) * (y - seat)), rail, frame, tilt=lean))
    elif style >= 2:  # upright slats
        solids.append(box((0, height - 0.03, z + np.tan(lean) * (tall - 0.03)), (width, 0.08, 0.03), frame, tilt=lean))
        for s in np.linspace(-0.6, 0.6, int(rng.integers(3, 6))):
            solids.append(capsule((s * x, seat, z), (s * x, height - 0.04, z + np.tan(lean) * (tall - 0.04)), 0.011, frame))
    if rng.random() < 0.25:
        for s in (-x, x):
            solids.append(box((s, seat + 0.22, 0), (0.045, 0.03, depth), frame))
            solids.append(capsule((s, seat, -z * 0.8), (s, seat + 0.22, -z * 0.8), 0.014, frame))
    return solids


def office_chair(rng: Rng) -> list[Solid]:
    """A swivel chair on five castors."""
    cloth = mat.fabric(rng, 0.05) if rng.random() < 0.6 else mat.leather(rng)
    dark = Material("plain", (linear(38, 38, 40),), gloss=0.3)
    base = dark if rng.random() < 0.6 else Material("plain", (linear(170, 172, 176),), gloss=0.5)
    solids = [cone((0, 0.09, 0), (0, 0.42, 0), 0.026, base), cone((0, 0.09, 0), (0, 0.24, 0), 0.04, dark)]
    turn = rng.uniform(0, 2)
    for k in range(5):
        a = turn + k * 2 * np.pi / 5
        x, z = 0.29 * np.cos(a), 0.29 * np.sin(a)
        solids += [capsule((0, 0.12, 0), (x, 0.08, z), 0.022, base), ball((x, 0.03, z), 0.03, dark)]
    seat = 0.46
    solids.append(box((0, seat, 0), (0.5, 0.09, 0.48), cloth._replace(soft=0.04)))
    solids.append(capsule((-0.2, seat, -0.22), (0.2, seat, -0.22), 0.045, cloth))
    tall, lean = rng.uniform(0.45, 0.72), rng.uniform(0.1, 0.22)
    y, z = seat + 0.12 + tall / 2, 0.24 + np.tan(lean) * (0.1 + tall / 2)
    solids.append(box((0, y, z), (0.46, tall, 0.07), cloth._replace(soft=0.035), tilt=lean))
    top = (y + tall / 2 * np.cos(lean), z + tall / 2 * np.sin(lean))
    solids.append(capsule((-0.18, top[0], top[1]), (0.18, top[0], top[1]), 0.036, cloth))
    solids.append(box((0, seat + 0.1, 0.26), (0.07, 0.3, 0.03), dark, tilt=0.1))
    if rng.random() < 0.75:
        for s in (-0.28, 0.28):
            solids.append(box((s, seat + 0.22, 0.02), (0.06, 0.035, 0.27), dark._replace(soft=0.015)))
            solids.append(capsule((s * 0.85, seat, 0.05), (s, seat + 0.2, 0.05), 0.02, dark))
    return solids


def stool(rng: Rng) -> list[Solid]:
    """A round or square stool, low or bar height."""
    frame, top = mat.wood_or_paint(rng), rng.choice([0.45, 0.48, 0.62, 0.74])
    seat = pick(rng, (frame, frame, mat.leather(rng)))
    r = rng.uniform(0.15, 0.19)
    solids = legs(r * 0.62, r * 0.62, top, 0.04, frame, splay=0.06, square=False)
    if rng.random() < 0.6:
        solids.append(cone((0, top - 0.01, 0), (0, top + 0.035, 0), r, seat))
    else:
        solids.append(box((0, top + 0.015, 0), (2 * r, 0.045, 2 * r), seat))
    if top > 0.55:
        y, half = 0.25, r * 0.62 + 0.06 * (1 - 0.25 / top)
        for s in (-half, half):
            solids += [capsule((s, y, -half), (s, y, half), 0.011, frame), capsule((-half, y, s), (half, y, s), 0.011, frame)]
    return solids


def sofa(rng: Rng, seats: int | None = None) -> list[Solid]:
    """A sofa for two or three, or an armchair for one, with cushions."""
    seats = int(rng.integers(2, 4)) if seats is None else seats
    cloth = mat.leather(rng) if rng.random() < 0.25 else mat.fabric(rng, 0.1)
    foot = mat.wood(rng) if rng.random() < 0.6 else mat.metal(rng)
    each, arm = rng.uniform(0.58, 0.72), rng.uniform(0.12, 0.22)
    inner, depth = each * seats, rng.uniform(0.82, 0.95)
    width, ground = inner + 2 * arm, rng.uniform(0.07, 0.15)
    seat, high = rng.uniform(0.4, 0.45), rng.uniform(0.74, 0.9)
    arm_top = rng.uniform(0.54, 0.66)
    solids = [cone((sx * (width / 2 - 0.08), 0, sz * (depth / 2 - 0.08)), (sx * (width / 2 - 0.1), ground, sz * (depth / 2 - 0.1)), 0.02, foot, 0.03)
              for sx in (-1, 1) for sz in (-1, 1)]  # fmt: skip
    solids.append(box((0, (ground + seat - 0.12) / 2, 0), (width - 0.02, seat - 0.12 - ground, depth - 0.02), cloth))
    back = 0.2
    solids.append(box((0, (ground + high) / 2, depth / 2 - back / 2), (width - 0.04, high - ground, back), cloth, tilt=0.06))
    rounded = rng.random() < 0.5
    for s in (-1, 1):
        x = s * (width / 2 - arm / 2)
        if rounded:
            r = arm / 2
            solids.append(box((x, (ground + arm_top - r) / 2, 0), (arm, arm_top - r - ground, depth), cloth))
            solids.append(cone((x, arm_top - r, -depth / 2), (x, arm_top - r, depth / 2), r, cloth))
        else:
            solids.append(box((x, (ground + arm_top) / 2, 0), (arm, arm_top - ground, depth), cloth))
    if rounded:
        solids.append(capsule((-width / 2 + 0.12, high, depth / 2 - 0.08), (width / 2 - 0.12, high, depth / 2 - 0.08), 0.09, cloth))
    for k in range(seats):
        x = (k - (seats - 1) / 2) * each
        solids.append(box((x, seat - 0.06, -back / 2), (each - 0.012, 0.15, depth - back), cloth._replace(soft=0.06)))
        solids.append(box((x, seat + 0.19, depth / 2 - back - 0.06), (each - 0.02, 0.4, 0.15), cloth._replace(soft=0.07), tilt=0.22))
    for _ in range(int(rng.integers(0, seats + 1))):
        side = rng.uniform(-inner / 2 + 0.2, inner / 2 - 0.2)
        solids.append(ball((side, seat + 0.18, depth / 2 - back - 0.2), (0.21, 0.19, 0.08), mat.fabric(rng, 0.7), tilt=0.4))
    return solids


def table(rng: Rng, low: bool = False) -> list[Solid]:
    """A dining table or (`low`) a coffee table: rectangular with four legs, or round on a column."""
    top = mat.wood_or_paint(rng)
    base = top if rng.random() < 0.6 else mat.metal(rng)
    height, thick = (rng.uniform(0.36, 0.46) if low else rng.uniform(0.71, 0.76)), rng.uniform(0.025, 0.045)
    if rng.random() < 0.3:
        r = rng.uniform(0.32, 0.45) if low else rng.uniform(0.42, 0.62)
        solids = [cone((0, height - thick, 0), (0, height, 0), r, top)]
        if rng.random() < 0.5:
            solids += [cone((0, 0.02, 0), (0, height - thick, 0), 0.045, base), cone((0, 0, 0), (0, 0.03, 0), r * 0.6, base)]
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
        fruit = [ball((x + dx, y + 0.07, z + dz), 0.038, mat.paint(rng, 1.0)) for dx, dz in ((-0.04, 0.02), (0.04, 0.03), (0, -0.04))]
        return [cone((x, y, z), (x, y + 0.06, z), 0.05, mat.paint(rng, 0.3), 0.11), *fruit]
    pile, turn = [], rng.uniform(-0.6, 0.6)
    for k in range(int(rng.integers(1, 4))):
        pile.append(box((x, y + 0.015 + 0.03 * k, z), (0.22 - 0.02 * k, 0.028, 0.16), mat.paint(rng, 0.8), yaw=turn + 0.2 * k))
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
        solids.append(box((0, height + 0.01, -0.14), (0.42, 0.018, 0.14), Material("plain", (linear(40, 40, 44),))))
    return solids + _small_thing(rng, 0.42 * width * np.sign(-x), height, rng.uniform(-0.15, 0.1))


def screen(rng: Rng) -> list[Solid]:
    """A computer screen on its foot, standing on y = 0."""
    black = Material("plain", (linear(24, 24, 26),), gloss=0.3)
    dark = ((0.02, 0.025, 0.04), (0.35, 0.4, 0.5), (0.1, 0.2, 0.5))
    light = ((0.6, 0.62, 0.66), (0.12, 0.13, 0.16), (0.15, 0.3, 0.6))
    face = Material("screen", pick(rng, (dark, light)), glow=pick(rng, (0.0, 0.8, 1.2)), gloss=0.3, seed=int(rng.integers(1, 99)))
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
        solids.append(box((0, 0.05 + k * gap, -0.002), (width - 2 * thick + 0.002, thick, depth - 0.01), body))
    for k in range(count):
        y, x = 0.05 + k * gap + thick / 2, -width / 2 + thick
        while x < width / 2 - 0.12:
            wide = min(rng.uniform(0.12, 0.35), width / 2 - thick - x)
            kind, tall = rng.random(), (gap - thick) * rng.uniform(0.62, 0.92)
            if kind < 0.6:
                solids.append(box((x + wide / 2, y + tall / 2, -0.01), (wide, tall, depth * 0.66), mat.books(rng)))
            elif kind < 0.75:
                side = min(wide, 0.26)
                solids.append(box((x + side / 2, y + tall * 0.35, -0.01), (side * 0.95, tall * 0.7, depth * 0.75), mat.cardboard(rng, 0.1)))
            elif kind < 0.85:
                solids += _small_thing(rng, x + wide / 2, y, -0.02) if gap > 0.3 and wide > 0.2 else []
            x += wide + 0.01
    return solids


def cabinet(rng: Rng, height: float | None = None) -> list[Solid]:
    """A sideboard, chest of drawers or wardrobe: a body on short feet with divided fronts and handles."""
    body = mat.wood_or_paint(rng)
    height = float(rng.choice([0.55, 0.75, 0.9, 1.2])) if height is None else height
    width, depth, foot = rng.uniform(0.8, 1.6) if height < 1.5 else rng.uniform(0.9, 1.5), rng.uniform(0.38, 0.5), rng.uniform(0.04, 0.14)
    fronts = pick(rng, (body, body, mat.paint(rng)))
    split = 0.25 if height < 1 and rng.random() < 0.5 else 0.48
    face = Material("front", fronts.colors, scale=split, gloss=fronts.gloss, seed=fronts.seed)
    solids = legs(width / 2 - 0.06, depth / 2 - 0.06, foot, 0.045, mat.metal(rng) if rng.random() < 0.3 else body)
    tall = height - foot
    solids.append(box((0, foot + tall / 2, 0.01), (width, tall, depth - 0.02), body))
    solids.append(box((0, foot + tall / 2, -depth / 2 + 0.01), (width - 0.03, tall - 0.04, 0.022), face))
    columns, rows = max(1, round((width - 0.03) / split)), max(1, round((tall - 0.04) / split))
    knob = mat.metal(rng)
    for i in range(columns):
        for j in range(rows):
            x = ((i + 0.5) / columns - 0.5) * (width - 0.03)
            y = foot + 0.02 + (j + 0.5) / rows * (tall - 0.04)
            solids.append(capsule((x - 0.05, y, -depth / 2 - 0.015), (x + 0.05, y, -depth / 2 - 0.015), 0.008, knob))
    for _ in range(int(rng.integers(0, 4)) if height < 1.4 else 0):
        solids += _small_thing(rng, rng.uniform(-0.42, 0.42) * width, height, rng.uniform(-0.05, 0.05))
    return solids


def bed(rng: Rng) -> list[Solid]:
    """A bed with a mattress, blanket and pillows; its head towards +z."""
    frame, width, length = mat.wood_or_paint(rng), float(rng.choice([0.95, 1.45, 1.65])), 2.05
    sheet, cover = Material("cloth", (linear(232, 230, 224),), soft=0.06), mat.fabric(rng, 0.4, soft=0.07)
    high = rng.uniform(0.75, 1.1)
    solids = legs(width / 2 - 0.04, length / 2 - 0.05, 0.2, 0.06, frame)
    solids.append(box((0, 0.24, 0), (width, 0.16, length), frame))
    solids.append(box((0, high / 2, length / 2), (width, high, 0.05), frame))
    solids.append(box((0, 0.39, -0.01), (width - 0.06, 0.2, length - 0.08), sheet))
    solids.append(box((0, 0.4, -0.3), (width + 0.02, 0.22, length - 0.7), cover))
    count = 1 if width < 1.2 else 2
    for k in range(count):
        x = (k - (count - 1) / 2) * width * 0.47
        solids.append(ball((x, 0.54, length / 2 - 0.32), (0.33, 0.1, 0.2), sheet, tilt=0.3))
    return solids
