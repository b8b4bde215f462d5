"""Chairs, stools, sofas and beds from boxes, cylinders, balls and capsules.

Every builder takes a random generator and returns solids that stand on y = 0 around the origin, their front
towards -z (the viewer), in metres.
"""

import numpy as np

from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material, linear
from mdlib.rooms.raycasting.solids import Solid, ball, box, capsule, cone

Rng = np.random.Generator


def legs(
    half_x: float,
    half_z: float,
    top: float,
    thick: float,
    material: Material,
    splay: float = 0.0,
    square=True,
):
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
        panel = width * 0.95, tall * 0.8, max(padded, 0.03)
        solids.append(box((0, middle + 0.04, back_z), panel, seat_material, tilt=lean))
    posts = () if style == 0 and rng.random() < 0.5 else (-x, x)
    solids += [capsule((s, seat, z), (s, height, z + np.tan(lean) * tall), thick / 2, frame) for s in posts]
    if style == 1:  # cross rails
        for k in range(int(rng.integers(2, 4))):
            y = height - 0.05 - 0.13 * k
            rail = (width - thick, 0.07, 0.022)
            solids.append(box((0, y, z + np.tan(lean) * (y - seat)), rail, frame, tilt=lean))
    elif style >= 2:  # upright slats
        rail = 0, height - 0.03, z + np.tan(lean) * (tall - 0.03)
        solids.append(box(rail, (width, 0.08, 0.03), frame, tilt=lean))
        for s in np.linspace(-0.6, 0.6, int(rng.integers(3, 6))):
            top = s * x, height - 0.04, z + np.tan(lean) * (tall - 0.04)
            solids.append(capsule((s * x, seat, z), top, 0.011, frame))
    if rng.random() < 0.25:
        for s in (-x, x):
            solids.append(box((s, seat + 0.22, 0), (0.045, 0.03, depth), frame))
            solids.append(capsule((s, seat, -z * 0.8), (s, seat + 0.22, -z * 0.8), 0.014, frame))
    return solids


def office_chair(rng: Rng) -> list[Solid]:
    """A swivel chair on five castors."""
    cloth = mat.fabric(rng, 0.05) if rng.random() < 0.6 else mat.leather(rng)
    dark = mat.plain(38, 38, 40, gloss=0.3)
    base = dark if rng.random() < 0.6 else mat.plain(170, 172, 176, gloss=0.5)
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
            solids.append(capsule((s, y, -half), (s, y, half), 0.011, frame))
            solids.append(capsule((-half, y, s), (half, y, s), 0.011, frame))
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
    solids = []
    for sx, sz in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        x, z = sx * (width / 2 - 0.1), sz * (depth / 2 - 0.1)
        solids.append(cone((x + 0.02 * sx, 0, z + 0.02 * sz), (x, ground, z), 0.02, foot, 0.03))
    body, back = (width - 0.02, seat - 0.12 - ground, depth - 0.02), 0.2
    solids.append(box((0, (ground + seat - 0.12) / 2, 0), body, cloth))
    center = 0, (ground + high) / 2, depth / 2 - back / 2
    solids.append(box(center, (width - 0.04, high - ground, back), cloth, tilt=0.06))
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
        x, z = width / 2 - 0.12, depth / 2 - 0.08
        solids.append(capsule((-x, high, z), (x, high, z), 0.09, cloth))
    for k in range(seats):
        x = (k - (seats - 1) / 2) * each
        size, softer = (each - 0.012, 0.15, depth - back), cloth._replace(soft=0.07)
        solids.append(box((x, seat - 0.06, -back / 2), size, cloth._replace(soft=0.06)))
        center = x, seat + 0.19, depth / 2 - back - 0.06
        solids.append(box(center, (each - 0.02, 0.4, 0.15), softer, tilt=0.22))
    for _ in range(int(rng.integers(0, seats + 1))):
        center = rng.uniform(-inner / 2 + 0.2, inner / 2 - 0.2), seat + 0.18, depth / 2 - back - 0.2
        solids.append(ball(center, (0.21, 0.19, 0.08), mat.fabric(rng, 0.7), tilt=0.4))
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
