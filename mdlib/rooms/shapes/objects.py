"""Smaller things that stand on a floor: plants, lamps, bins, cardboard boxes, bags; built like furniture."""

import numpy as np

from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material, linear
from mdlib.rooms.raycasting.solids import Solid, ball, box, capsule, cone

Rng = np.random.Generator


def plant(rng: Rng) -> list[Solid]:
    """A pot plant: broad leaves on stems, upright blades, a small tree or a cactus."""
    size = rng.uniform(0.7, 1.15)
    pot_r, pot_h = 0.17 * size, rng.uniform(0.24, 0.38) * size
    clay = mat.plain(176, 98, 66, gloss=0.05)
    pot = pick(rng, (mat.paint(rng, 0.3), mat.paint(rng, 0.3), clay, mat.wood(rng)))
    soil = Material("concrete", (linear(58, 44, 34),))
    solids = [cone((0, 0, 0), (0, pot_h, 0), pot_r * 0.75, pot, pot_r)]
    solids.append(cone((0, pot_h, 0), (0, pot_h + 0.004, 0), pot_r * 0.88, soil))
    solids.append(cone((0, pot_h - 0.03, 0), (0, pot_h + 0.002, 0), pot_r * 1.06, pot, pot_r * 1.06))
    green = [mat.leaves(rng) for _ in range(2)]
    stalk = mat.plain(82, 100, 52)
    bark = Material("wood", (linear(92, 70, 52), linear(120, 96, 70)))
    kind = rng.integers(4)
    if kind == 0:
        for _ in range(int(rng.integers(16, 26))):  # arching stems, each with one broad leaf
            turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.42) * size
            tip = np.array([out * np.cos(turn), pot_h + rng.uniform(0.25, 0.8) * size, out * np.sin(turn)])
            solids.append(capsule((0.2 * tip[0], pot_h, 0.2 * tip[2]), tip, 0.007, stalk))
            leaf = (rng.uniform(0.06, 0.1) * size, 0.006, rng.uniform(0.13, 0.2) * size)
            color, tilt = pick(rng, green), rng.uniform(0.2, 0.9)
            solids.append(ball(tip + (0, -0.02, 0), leaf, color, yaw=np.pi / 2 - turn, tilt=tilt))
    elif kind == 1:
        for _ in range(int(rng.integers(12, 20))):  # upright blades
            turn, tall = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.95) * size
            x, z = (rng.uniform(0, 0.6) * pot_r * f for f in (np.cos(turn), np.sin(turn)))
            center, radii = (1.5 * x, pot_h + tall * 0.46, 1.5 * z), (0.035 * size, tall / 2, 0.008)
            turn, tilt = rng.uniform(0, np.pi), rng.uniform(-0.25, 0.25)
            solids.append(ball(center, radii, pick(rng, green), yaw=turn, tilt=tilt))
    elif kind == 2:
        trunk, crown = rng.uniform(0.4, 0.8) * size, rng.uniform(0.26, 0.38) * size
        solids.append(cone((0, pot_h, 0), (0.03, pot_h + trunk, 0), 0.025, bark, 0.017))
        for _ in range(int(rng.integers(34, 48))):  # a crown of small leaves
            way = rng.normal(size=3)
            place = way / np.linalg.norm(way) * crown * rng.uniform(0.45, 1.0) * (1, 1.15, 1)
            center = place + (0.03, pot_h + trunk + crown * 0.65, 0)
            leaf, color = (0.05 * size, 0.006, 0.1 * size), pick(rng, green)
            turn, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(-0.9, 0.9)
            solids.append(ball(center, leaf, color, yaw=turn, tilt=tilt))
    else:
        ribs = Material("ribs", green[0].colors, scale=0.03, seed=3)
        tall = rng.uniform(0.4, 0.9) * size
        solids.append(capsule((0, pot_h, 0), (0, pot_h + tall, 0), 0.075 * size, ribs))
        for s in (-1, 1):
            y = pot_h + tall * rng.uniform(0.3, 0.6)
            bend, end = (
                (s * 0.19 * size, y + 0.03, 0),
                (s * 0.19 * size, y + rng.uniform(0.12, 0.3) * size, 0),
            )
            solids.append(capsule((0, y, 0), bend, 0.042 * size, ribs))
            solids.append(capsule(bend, end, 0.042 * size, ribs))
    return solids


def floor_lamp(rng: Rng) -> list[Solid]:
    """A standing lamp with a cloth shade, a globe or a bent arm."""
    metal, tall = mat.metal(rng), rng.uniform(1.35, 1.7)
    lit = rng.choice([0.0, 1.6, 2.6])
    shade = pick(rng, ((240, 226, 196), (226, 214, 200), (214, 176, 128), (120, 60, 50)))
    warm = Material("cloth", (linear(*shade),), glow=float(lit))
    solids = [cone((0, 0, 0), (0, 0.025, 0), rng.uniform(0.13, 0.17), metal)]
    kind = rng.integers(4)
    if kind == 0:
        solids += [capsule((0, 0, 0), (0, tall, 0), 0.012, metal), ball((0, tall + 0.1, 0), 0.14, warm)]
    elif kind == 1:
        reach = rng.uniform(0.2, 0.4)
        solids.append(capsule((0, 0, 0), (0, tall, 0), 0.012, metal))
        solids.append(capsule((0, tall, 0), (reach, tall + 0.12, 0), 0.011, metal))
        solids.append(cone((reach, tall - 0.02, 0), (reach, tall + 0.14, 0), 0.13, metal, 0.05))
        solids.append(ball((reach, tall - 0.02, 0), (0.07, 0.05, 0.07), mat.plain(255, 226, 180, glow=3.0)))
    else:
        r = rng.uniform(0.16, 0.23)
        solids.append(cone((0, tall - 0.15, 0), (0, tall + 0.14, 0), r, warm, r * rng.uniform(0.6, 0.95)))
        if kind == 2:
            solids.append(capsule((0, 0, 0), (0, tall, 0), 0.013, metal))
        else:  # a tripod
            wood = mat.wood(rng)
            solids = solids[1:]
            for k in range(3):
                a = k * 2 * np.pi / 3 + 0.4
                foot = 0.28 * np.cos(a), 0, 0.28 * np.sin(a)
                solids.append(cone(foot, (0, tall - 0.1, 0), 0.017, wood, 0.014))
    return solids


def bin_(rng: Rng) -> list[Solid]:
    """A waste bin: round or square, open or with a lid."""
    body, tall, r = mat.paint(rng, 0.4), rng.uniform(0.3, 0.62), rng.uniform(0.13, 0.19)
    dark = mat.plain(22, 22, 24)
    if rng.random() < 0.65:
        rim = cone((0, tall - 0.02, 0), (0, tall + 0.004, 0), r * 1.04, body)
        solids = [cone((0, 0, 0), (0, tall, 0), r * 0.82, body, r), rim]
        inside = cone((0, tall, 0), (0, tall + 0.007, 0), r * 0.92, dark)
        lid = ball((0, tall, 0), (r * 1.02, 0.06, r * 1.02), mat.paint(rng, 0.2))
    else:
        rim = box((0, tall - 0.03, 0), (2 * r + 0.02, 0.035, 2 * r + 0.02), body)
        solids = [box((0, tall / 2, 0), (2 * r, tall, 2 * r), body), rim]
        inside = box((0, tall, 0), (2 * r - 0.02, 0.006, 2 * r - 0.02), dark)
        lid = box((0, tall + 0.01, 0), (2 * r + 0.01, 0.05, 2 * r + 0.01), mat.paint(rng, 0.3), tilt=0.05)
    solids.append(inside if rng.random() < 0.6 else lid)
    if solids[-1] is inside and rng.random() < 0.7:
        paper = Material("cloth", (linear(232, 232, 228),))
        for _ in range(3):
            place = rng.uniform(-0.4, 0.4) * r, tall, rng.uniform(-0.4, 0.4) * r
            solids.append(ball(place, 0.05, paper))
    return solids


def boxes(rng: Rng) -> list[Solid]:
    """One to four cardboard boxes, piled and put beside each other."""
    solids, level, x = [], 0.0, 0.0
    wide, deep = rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.5)
    for k in range(int(rng.integers(1, 5))):
        tall = rng.uniform(0.22, 0.45)
        if k and rng.random() < 0.3:
            level, x = 0.0, x + wide * 0.5 + 0.36
            wide, deep = rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.45)
        board = mat.cardboard(rng, min(wide, deep) / 2 + 0.01)
        center = x + rng.uniform(-0.03, 0.03), level + tall / 2, 0
        solids.append(box(center, (wide, tall, deep), board, yaw=rng.uniform(-0.2, 0.2)))
        level += tall
        wide, deep = wide * rng.uniform(0.75, 0.98), deep * rng.uniform(0.75, 0.98)
    return solids


def suitcase(rng: Rng) -> list[Solid]:
    """A trolley case on wheels with its handle out."""
    shell = mat.paint(rng, 0.7)._replace(kind="ribs", scale=0.055, soft=0.04)
    dark, tall, wide = mat.plain(40, 40, 42), rng.uniform(0.5, 0.72), rng.uniform(0.36, 0.48)
    solids = [box((0, 0.06 + tall / 2, 0), (wide, tall, 0.24), shell)]
    wheels = [(sx * (wide / 2 - 0.05), 0.032, sz * 0.08) for sx in (-1, 1) for sz in (-1, 1)]
    solids += [ball(center, 0.032, dark) for center in wheels]
    top = 0.06 + tall
    high = top + rng.choice([0.03, 0.3, 0.38])
    solids += [capsule((s, top, 0.08), (s, high, 0.08), 0.009, dark) for s in (-0.09, 0.09)]
    solids.append(capsule((-0.1, high, 0.08), (0.1, high, 0.08), 0.016, dark))
    return solids


def bag(rng: Rng) -> list[Solid]:
    """A rucksack."""
    cloth, trim = mat.fabric(rng, 0.1), Material("cloth", (linear(44, 44, 48),))
    straps = [capsule((x, 0.44, 0.1), (1.2 * x, 0.12, 0.13), 0.018, trim) for x in (-0.1, 0.1)]
    return [
        ball((0, 0.25, 0), (0.17, 0.25, 0.12), cloth),
        box((0, 0.12, 0), (0.29, 0.24, 0.2), cloth._replace(soft=0.06)),
        box((0, 0.15, -0.12), (0.21, 0.17, 0.07), cloth._replace(soft=0.03)),
        box((0, 0.23, -0.157), (0.21, 0.012, 0.008), trim),
        capsule((-0.04, 0.51, 0), (0.04, 0.51, 0), 0.014, trim),
        *straps,
    ]


def toy_ball(rng: Rng) -> list[Solid]:
    """A ball, from football to exercise ball."""
    r = float(rng.choice([0.11, 0.12, 0.3, 0.34]))
    color = pick(rng, ((206, 60, 50), (60, 110, 180), (236, 190, 60), (230, 230, 226), (120, 90, 160)))
    colors = mat.shade(rng, color), mat.shade(rng, (240, 238, 230))
    return [ball((0, r, 0), r, Material("hoops", colors, scale=r * pick(rng, (0.66, 3.0)), gloss=0.3))]
