"""Standing people: a jointed figure of balls, capsules and cones in clothes, in a chance pose, facing -z."""

import numpy as np

from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick
from mdlib.rooms.materials.texture import Material, linear
from mdlib.rooms.raycasting.solids import Solid, ball, box, capsule, cone

Rng = np.random.Generator


def _limb(a, b, ra: float, rb: float, material: Material) -> list[Solid]:
    """A tapered limb between two joints, round at both."""
    return [cone(a, b, ra, material, rb), ball(a, ra, material), ball(b, rb, material)]


def _trunk(
    h: float, low: float, high: float, half_low: float, half_high: float, deep: float, lean: float,
    cloth: Material,
) -> list[Solid]:  # fmt: skip
    """A stretch of the body between two heights (shares of h): flat in front, round at the sides."""
    a, b = lean * (low - 0.5) / 0.25, lean * (high - 0.5) / 0.25
    solids = []
    for s in (-1, 1):
        start, end = (a + s * half_low * h, low * h, 0), (b + s * half_high * h, high * h, 0)
        solids.append(cone(start, end, deep, cloth))
    size = 2 * min(half_low, half_high) * h, (high - low) * h, 2 * deep
    return [*solids, box(((a + b) / 2, (low + high) / 2 * h, 0), size, cloth._replace(soft=0.0))]


def _arm_pose(rng: Rng, side: int, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Elbow and wrist relative to the shoulder, in metres; `side` is -1 or 1."""
    pose = pick(rng, ("down", "down", "down", "hip", "bent", "phone", "wave", "pocket", "point"))
    e, w = {
        "down": ((0.035, -0.175, 0.01), (0.05, -0.33, -0.03)),
        "hip": ((0.11, -0.145, 0.05), (0.0, -0.245, -0.03)),
        "bent": ((0.035, -0.17, 0.02), (0.0, -0.19, -0.15)),
        "phone": ((0.06, -0.16, -0.05), (0.01, -0.01, -0.09)),
        "wave": ((0.15, -0.05, -0.02), (0.19, 0.11, -0.05)),
        "pocket": ((0.06, -0.17, 0.05), (0.01, -0.29, -0.01)),
        "point": ((0.08, -0.1, -0.13), (0.1, -0.04, -0.28)),
    }[pose]
    wiggle = rng.normal(0, 0.008, (2, 3))
    scale = np.array([side, 1, 1]) * h
    return (np.array(e) + wiggle[0]) * scale, (np.array(w) + wiggle[1]) * scale


def _head(rng: Rng, h: float, neck: np.ndarray, woman: bool, skin: Material) -> list[Solid]:
    """Neck, head with eyes and nose, hair or hat; `neck` is the point between the shoulders."""
    turn, hair = rng.uniform(-0.5, 0.5), mat.hair(rng)
    center = neck + (0, 0.118 * h, -0.012 * h)
    ahead = np.array([-np.sin(turn), 0, -np.cos(turn)])
    side = np.array([ahead[2], 0, -ahead[0]])
    solids = [capsule(neck, center, 0.03 * h, skin)]
    solids.append(ball(center, (0.046 * h, 0.063 * h, 0.053 * h), skin, yaw=turn))
    chin, nose = (
        center + ahead * 0.012 * h - (0, 0.032 * h, 0),
        center + ahead * 0.053 * h - (0, 0.012 * h, 0),
    )
    solids.append(ball(chin, (0.036 * h, 0.034 * h, 0.038 * h), skin, yaw=turn))
    solids.append(ball(nose, (0.007 * h, 0.011 * h, 0.01 * h), skin))
    white, dark = mat.plain(225, 222, 218), mat.plain(40, 30, 26)
    for s in (-1, 1):
        eye = center + ahead * 0.045 * h + side * s * 0.018 * h + (0, 0.004 * h, 0)
        solids.append(ball(eye, (0.0085 * h, 0.005 * h, 0.008 * h), white, yaw=turn))
        solids.append(ball(eye + ahead * 0.005 * h, 0.0045 * h, dark))
        solids.append(ball(center + side * s * 0.046 * h, (0.006 * h, 0.016 * h, 0.01 * h), skin, yaw=turn))
        brow = eye + ahead * 0.004 * h + (0, 0.013 * h, 0)
        solids.append(capsule(brow - side * 0.008 * h, brow + side * 0.008 * h, 0.0024 * h, hair))
    lips = Material("plain", (tuple(c * f for c, f in zip(skin.colors[0], (0.75, 0.45, 0.45), strict=True)),))
    mouth = center + ahead * 0.047 * h - (0, 0.036 * h, 0)
    solids.append(capsule(mouth - side * 0.01 * h, mouth + side * 0.01 * h, 0.004 * h, lips))
    womens, mens = ("long", "long", "bun", "short"), ("short", "short", "short", "bald", "cap")
    style = pick(rng, womens if woman else mens)
    if style != "bald":
        top = center - ahead * 0.012 * h + (0, 0.016 * h, 0)
        solids.append(ball(top, (0.053 * h, 0.058 * h, 0.055 * h), hair, yaw=turn, tilt=0.25))
    if style == "long":
        fall = center - ahead * 0.032 * h - (0, 0.05 * h, 0)
        solids.append(ball(fall, (0.055 * h, rng.uniform(0.08, 0.125) * h, 0.033 * h), hair, yaw=turn))
    elif style == "bun":
        solids.append(ball(center - ahead * 0.06 * h + (0, 0.04 * h, 0), 0.028 * h, hair))
    elif style == "cap":
        cloth, crown = mat.clothing(rng), center + (0, 0.035 * h, 0)
        solids.append(ball(crown, (0.056 * h, 0.045 * h, 0.062 * h), cloth, yaw=turn))
        solids.append(ball(crown + ahead * 0.07 * h, (0.045 * h, 0.006 * h, 0.045 * h), cloth, yaw=turn))
    return solids


def person(rng: Rng) -> list[Solid]:
    """One standing person, 1.52 to 1.92 m tall, in a suit, casual clothes, a skirt or a dress."""
    woman = rng.random() < 0.5
    h = rng.uniform(1.52, 1.76) if woman else rng.uniform(1.64, 1.92)
    broad = (0.94 if woman else 1.08) * rng.uniform(0.92, 1.12)
    womens, mens = ("dress", "skirt", "casual", "casual", "suit"), ("suit", "casual", "casual")
    outfit = pick(rng, womens if woman else mens)
    skin = mat.skin(rng)
    top = mat.clothing(rng, formal=outfit == "suit")
    bare = outfit in ("dress", "skirt")
    below = top if outfit in ("suit", "dress") else mat.clothing(rng) if bare else mat.trousers(rng)
    long_sleeves = outfit == "suit" or rng.random() < 0.45
    shoe = mat.leather(rng) if outfit == "suit" or rng.random() < 0.5 else mat.paint(rng, 0.4)
    hips, chest = np.array([0.0, 0.53 * h, 0.0]), np.array([rng.normal(0, 0.008) * h, 0.73 * h, 0.0])
    solids: list[Solid] = []

    stride = rng.choice([0.0, 0.03, 0.09]) * h * rng.choice([-1, 1])
    spread = rng.uniform(0.045, 0.085) * h
    for s in (-1, 1):
        hip = hips + (s * 0.048 * h, 0, 0)
        ankle = np.array([s * spread, 0.045 * h, s * stride])
        knee = (hip + ankle) / 2 + (0, 0.01 * h, -0.012 * h - 0.15 * abs(stride))
        leg = skin if bare else below
        solids += _limb(hip, knee, 0.052 * h * broad, 0.036 * h, leg)
        solids += _limb(knee, ankle, 0.036 * h, 0.026 * h, leg)
        out = s * rng.uniform(0.1, 0.4)
        toe = ankle + np.array([np.sin(out), 0, -np.cos(out)]) * 0.085 * h
        heel, toe = (ankle[0], 0.022 * h, ankle[2] + 0.012 * h), (toe[0], 0.022 * h, toe[2])
        solids.append(capsule(heel, toe, 0.022 * h, shoe))
        solids.append(ball(ankle - (0, 0.008 * h, 0), 0.028 * h, shoe if rng.random() < 0.5 else leg))

    deep, slim = 0.055 * h * broad, 0.85 if woman else 1.0
    for low, high, half_low, half_high, cloth in (
        (0.5, 0.6, 0.047, 0.036 * slim, below), (0.6, 0.66, 0.036 * slim, 0.042 * slim, top),
        (0.66, 0.79, 0.042 * slim, 0.048 * slim, top),
    ):  # fmt: skip
        solids += _trunk(h, low, high, half_low * broad, half_high * broad, deep, chest[0], cloth)
    solids.append(ball((0, 0.51 * h, 0.01 * h), (0.088 * h * broad, 0.06 * h, deep * 1.12), below))
    for s in (-1, 1):
        shoulder = chest + (s * 0.075 * h * broad, 0.058 * h, 0)
        solids.append(capsule(chest + (0, 0.06 * h, 0), shoulder, deep * 0.86, top))
    neck = chest + (0, 0.1 * h, 0.005 * h)
    solids.append(cone(neck - (0, 0.02 * h, 0), neck + (0, 0.012 * h, 0), 0.07 * h * broad, top, 0.034 * h))
    if woman:
        solids.append(ball(chest + (0, -0.008 * h, -0.45 * deep), (0.068 * h, 0.045 * h, 0.8 * deep), top))
    if bare:
        hem, wide = rng.uniform(0.26, 0.4) * h, rng.uniform(0.105, 0.15) * h * max(1.0, broad)
        solids.append(cone((0, hem, 0), (0, 0.57 * h, 0), wide, below, 0.088 * h * broad))
    if outfit == "suit":
        white, tie = Material("cloth", (linear(236, 236, 236),)), mat.clothing(rng)
        front = -deep * 1.02
        shirt, knot = (0.026 * h, 0.075 * h, 0.012 * h), (0.009 * h, 0.085 * h, 0.008 * h)
        solids.append(ball(chest + (0, 0.03 * h, front * 0.93), shirt, white, tilt=0.12))
        if rng.random() < 0.7:
            solids.append(ball(chest + (0, 0.01 * h, front * 1.08), knot, tie, tilt=0.1))
        solids.append(cone((0, 0.47 * h, 0), (0, 0.6 * h, 0), 0.098 * h * broad, top, 0.086 * h * broad))
    elif not bare:
        belt = mat.plain(40, 32, 28, gloss=0.3)
        size = 2 * (0.036 * slim * broad * h + 0.55 * deep), 0.02 * h, 2.06 * deep
        solids.append(box((0, 0.6 * h, 0), size, pick(rng, (belt, top))))

    for s in (-1, 1):
        shoulder = chest + (s * 0.1 * h * broad, 0.062 * h, 0.004 * h)
        elbow, wrist = (shoulder + part for part in _arm_pose(rng, s, h))
        solids += _limb(shoulder, elbow, 0.037 * h * broad, 0.028 * h, top)
        fore = top if long_sleeves else skin
        solids += _limb(elbow, wrist, 0.027 * h, 0.019 * h, fore)
        way = (wrist - elbow) / np.linalg.norm(wrist - elbow)
        solids.append(capsule(wrist, wrist + way * 0.035 * h, 0.021 * h, skin))
        solids.append(capsule(wrist + way * 0.03 * h, wrist + way * 0.065 * h, 0.013 * h, skin))
        if way[1] < -0.8 and rng.random() < 0.2:
            solids += _carried(rng, wrist + way * 0.06 * h)
    return solids + _head(rng, h, neck, woman, skin)


def _carried(rng: Rng, hand: np.ndarray) -> list[Solid]:
    """A briefcase or shopping bag hanging from a hand."""
    cloth = mat.leather(rng) if rng.random() < 0.5 else mat.paint(rng, 0.7)
    low = min(0.3, hand[1] - 0.16)
    tall = min(0.3, hand[1] - 0.2)
    x, z = hand[0], hand[2]
    return [
        box((x, low + tall / 2 - 0.1, z), (0.09, tall, 0.36), cloth),
        capsule((x, low + tall - 0.1, z - 0.07), (x, hand[1], z), 0.008, cloth),
        capsule((x, low + tall - 0.1, z + 0.07), (x, hand[1], z), 0.008, cloth),
    ]
