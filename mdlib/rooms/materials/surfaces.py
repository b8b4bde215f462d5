"""Chance materials for floors, ceilings and walls."""

import numpy as np

from mdlib.rooms.materials import palette as mat
from mdlib.rooms.materials.palette import pick, shade
from mdlib.rooms.materials.texture import Material

Rng = np.random.Generator
_PALE = (
    (238, 236, 230), (232, 226, 214), (222, 224, 226), (240, 240, 240), (226, 218, 200), (206, 214, 212),
    (214, 206, 196), (198, 208, 218), (234, 222, 206),
)  # fmt: skip
_STRONG = (
    (62, 82, 100), (92, 112, 98), (150, 90, 70), (180, 150, 100), (60, 62, 68), (120, 136, 150),
    (196, 176, 160), (76, 96, 88), (170, 120, 110), (110, 92, 120), (206, 186, 120),
)  # fmt: skip
_TILES = (
    (226, 222, 212), (200, 192, 178), (168, 164, 158), (120, 118, 116), (190, 160, 132), (236, 234, 230),
)  # fmt: skip
_CARPETS = (
    (120, 122, 126), (88, 92, 100), (150, 140, 124), (178, 164, 140), (70, 84, 104), (100, 70, 66),
    (96, 108, 92),
)  # fmt: skip
_BRICKS = (  # two ends of the bricks' range, mortar
    ((150, 84, 62), (184, 114, 86), (196, 190, 180)), ((222, 218, 212), (236, 233, 228), (206, 202, 196)),
    ((120, 92, 80), (156, 128, 110), (170, 165, 158)),
)  # fmt: skip
_ACCENTS = ("paint", "paint", "brick", "boards", "stripes", "dots", "wainscot", "concrete")
_ALL_AROUND = ("wainscot", "stripes", "dots", "paint", "brick", "concrete")


def floor_surface(rng: Rng, office: bool) -> Material:
    """Planks, parquet, tiles, carpet, concrete or terrazzo."""
    kinds = ("planks", "planks", "tiles", "carpet", "carpet", "concrete", "terrazzo") if office else (
        "planks", "planks", "planks", "parquet", "tiles", "carpet")  # fmt: skip
    kind, seed = pick(rng, kinds), int(rng.integers(1, 1000))
    gloss = float(rng.choice([0.06, 0.2, 0.45, 0.75]))
    if kind in ("planks", "parquet"):
        colors = _wood_colors(rng)
        scale = float(rng.uniform(0.09, 0.2)) if kind == "planks" else 0.07
        return Material(kind, colors, scale=scale, gloss=gloss, seed=seed)
    if kind == "tiles":
        tile = pick(rng, _TILES)
        joint = np.asarray(tile) * rng.uniform(0.6, 0.85)
        colors = [shade(rng, tile), shade(rng, joint)]
        if rng.random() < 0.25:
            colors.append(shade(rng, pick(rng, ((60, 60, 62), (120, 60, 50), (90, 100, 110), (40, 60, 70)))))
        scale = float(rng.choice([0.3, 0.4, 0.6, 0.8]))
        return Material(kind, tuple(colors), scale=scale, gloss=gloss, seed=seed)
    if kind == "carpet":
        color = pick(rng, _CARPETS)
        second = np.asarray(color) * rng.choice([1.0, 1.0, 0.85])
        return Material(kind, (shade(rng, color), shade(rng, second, 0.02)), scale=0.5, seed=seed)
    gray = pick(rng, ((150, 148, 144), (120, 118, 116), (176, 170, 162)))
    if kind == "concrete":
        return Material(kind, (shade(rng, gray),), gloss=gloss, seed=seed)
    colors = shade(rng, (206, 200, 190)), shade(rng, (120, 112, 104)), shade(rng, (170, 120, 96))
    return Material(kind, colors, gloss=gloss, seed=seed)


def _wood_colors(rng: Rng) -> tuple:
    dark, light = pick(rng, mat.WOODS)
    return shade(rng, dark), shade(rng, light)


def ceiling_surface(rng: Rng, office: bool) -> Material:
    """White plaster, acoustic tiles, boards or raw concrete."""
    white = shade(rng, pick(rng, ((246, 246, 244), (242, 240, 234), (236, 236, 236))), 0.01)
    if office and rng.random() < 0.6:
        return Material("ceiling_grid", (white, shade(rng, (190, 190, 188))), scale=0.6, seed=5)
    kind = rng.random()
    if kind < 0.08:
        return Material("planks", _wood_colors(rng), scale=0.12, seed=int(rng.integers(1, 1000)))
    if kind < 0.16:
        return Material("concrete", (shade(rng, (176, 174, 170)),), seed=int(rng.integers(1, 1000)))
    return Material("plaster", (white,))


def wall_surface(rng: Rng, accent: bool) -> Material:
    """Mostly painted plaster; an accent wall has a stronger colour, brick, boards, panelling or wallpaper."""
    seed = int(rng.integers(1, 1000))
    pale, strong = shade(rng, pick(rng, _PALE), 0.02), shade(rng, pick(rng, _STRONG))
    if not accent and rng.random() < 0.8:
        return Material("plaster", (pale,), seed=seed)
    kind = pick(rng, _ACCENTS if accent else _ALL_AROUND)
    if kind == "paint":
        return Material("plaster", (strong,), seed=seed)
    if kind == "brick":
        colors = tuple(shade(rng, c, 0.03) for c in pick(rng, _BRICKS))
        return Material("brick", colors, scale=0.075, seed=seed)
    if kind == "boards":
        colors = _wood_colors(rng)
        return Material("planks", colors, scale=float(rng.uniform(0.1, 0.18)), gloss=0.1, seed=seed)
    if kind == "wainscot":
        colors = pick(rng, (strong, pale)), shade(rng, (238, 237, 232), 0.01)
        return Material("wainscot", colors, scale=float(rng.uniform(0.8, 1.1)), seed=seed)
    if kind == "concrete":
        return Material("concrete", (shade(rng, (168, 166, 162)),), seed=seed)
    second = tuple(c * f for c, f in zip(pale, (0.82, 0.84, 0.86), strict=True))
    colors = pick(rng, ((pale, second), (strong, tuple(c * 1.2 for c in strong))))
    return Material(kind, colors, scale=float(rng.uniform(0.09, 0.25)), seed=seed)
