"""Chance materials of things, floors, ceilings and walls, from palettes that people furnish with.

Colours are sRGB, as colour pickers show them.
"""

import numpy as np

from mdlib.rooms.materials.texture import Material, linear

WOODS = (
    ((205, 170, 125), (226, 196, 152)), ((176, 128, 82), (205, 160, 110)), ((120, 74, 44), (158, 104, 66)),
    ((84, 54, 38), (116, 78, 54)), ((66, 42, 32), (88, 60, 46)), ((186, 172, 152), (212, 200, 182)),
    ((150, 92, 60), (186, 122, 80)),
)  # fmt: skip
CLOTHS = (
    (70, 82, 100), (120, 125, 130), (58, 60, 64), (168, 152, 130), (196, 186, 170), (134, 62, 52),
    (52, 88, 84), (94, 108, 74), (190, 150, 72), (62, 72, 120), (156, 96, 88), (38, 44, 58), (110, 84, 66),
    (176, 116, 70), (140, 150, 164), (98, 58, 84),
)  # fmt: skip
BRIGHT = (
    (200, 52, 44), (232, 170, 40), (46, 104, 176), (50, 140, 90), (232, 112, 44), (240, 240, 236),
    (36, 38, 42), (120, 190, 200), (206, 92, 128), (150, 160, 60), (244, 214, 120), (88, 60, 130),
)  # fmt: skip
_CLOTHES = (  # nothing near the colours of skin
    (200, 46, 42), (226, 190, 60), (46, 104, 176), (60, 130, 84), (240, 240, 238), (36, 38, 42),
    (110, 170, 190), (190, 60, 110), (92, 66, 140), (70, 82, 100), (120, 126, 134), (134, 40, 48),
    (52, 88, 84), (40, 52, 92), (150, 176, 210), (98, 58, 84), (84, 104, 72),
)  # fmt: skip
_SUITS = ((38, 42, 54), (58, 60, 66), (84, 84, 88), (30, 30, 32), (96, 86, 74), (44, 56, 84))
_TROUSERS = ((52, 66, 96), (38, 46, 66), (88, 104, 134), (34, 34, 38), (150, 132, 104), (92, 92, 92))
_SKINS = ((236, 196, 172), (224, 176, 146), (198, 146, 112), (156, 106, 78), (112, 74, 54), (80, 54, 42))
_HAIRS = ((26, 22, 20), (44, 32, 26), (82, 56, 38), (176, 140, 88), (126, 66, 38), (160, 158, 154))
_CARDBOARDS = ((176, 134, 92), (196, 154, 110), (160, 118, 78), (208, 172, 128))
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


def pick(rng: np.random.Generator, options):
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def shade(rng: np.random.Generator, color, spread: float = 0.06) -> tuple[float, float, float]:
    """An sRGB colour, made a little lighter, darker or tinted -> linear."""
    factor = rng.normal(1, spread) + rng.normal(0, spread / 3, 3)
    return linear(*(np.asarray(color) * factor))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 1000))


def plain(red: float, green: float, blue: float, **more: float) -> Material:
    """One sRGB colour; `more` are fields of `Material`, such as gloss."""
    return Material("plain", (linear(red, green, blue),), **more)


def wood(rng: np.random.Generator, gloss: float | None = None) -> Material:
    """Natural wood, from ash to wenge."""
    dark, light = pick(rng, WOODS)
    gloss = rng.uniform(0.05, 0.35) if gloss is None else gloss
    colors = shade(rng, dark, 0.04), shade(rng, light, 0.04)
    return Material("wood", colors, gloss=float(gloss), seed=_seed(rng))


def paint(rng: np.random.Generator, bright: float = 0.25) -> Material:
    """Lacquer: mostly white, gray or black, a clear colour with probability `bright`."""
    gray = pick(rng, ((238, 237, 232), (225, 222, 214), (150, 152, 154), (70, 72, 76), (36, 37, 40)))
    color = pick(rng, BRIGHT) if rng.random() < bright else gray
    return Material("plain", (shade(rng, color),), gloss=float(rng.uniform(0.1, 0.4)), seed=_seed(rng))


def metal(rng: np.random.Generator) -> Material:
    """Steel, black powder coat or brass."""
    color = pick(rng, ((150, 152, 156), (190, 192, 195), (34, 34, 36), (52, 52, 56), (170, 136, 80)))
    return Material("plain", (shade(rng, color),), gloss=0.55, soft=0.003, seed=_seed(rng))


def wood_or_paint(rng: np.random.Generator) -> Material:
    """What furniture bodies are made of."""
    return wood(rng) if rng.random() < 0.65 else paint(rng)


def fabric(rng: np.random.Generator, patterned: float = 0.2, soft: float = 0.05) -> Material:
    """Upholstery and curtains: muted cloth, sometimes striped, checked or dotted."""
    a, b = shade(rng, pick(rng, CLOTHS)), shade(rng, pick(rng, CLOTHS))
    kind = pick(rng, ("stripes", "checks", "dots")) if rng.random() < patterned else "cloth"
    scale = float(rng.uniform(0.05, 0.12))
    return Material(kind, (a, b), scale=scale, soft=soft, seed=_seed(rng))


def leather(rng: np.random.Generator) -> Material:
    """Smooth dark or tan hide."""
    color = pick(rng, ((34, 32, 32), (86, 52, 36), (140, 88, 54), (205, 198, 186), (60, 40, 36)))
    return Material("plain", (shade(rng, color),), gloss=0.3, soft=0.05, seed=_seed(rng))


def clothing(rng: np.random.Generator, formal: bool = False) -> Material:
    """Cloth for shirts, jackets and dresses."""
    if formal:
        color = pick(rng, _SUITS)
        return Material("cloth", (shade(rng, color),), soft=0.02, seed=_seed(rng))
    a, b = shade(rng, pick(rng, _CLOTHES)), shade(rng, pick(rng, _CLOTHES))
    kind = pick(rng, ("cloth", "cloth", "cloth", "hoops", "checks", "dots"))
    return Material(kind, (a, b), scale=float(rng.uniform(0.05, 0.12)), soft=0.02, seed=_seed(rng))


def trousers(rng: np.random.Generator) -> Material:
    """Jeans, chinos, black."""
    return Material("cloth", (shade(rng, pick(rng, _TROUSERS)),), seed=_seed(rng))


def skin(rng: np.random.Generator) -> Material:
    """Human skin."""
    return Material("plain", (shade(rng, pick(rng, _SKINS), 0.03),), gloss=0.08, seed=_seed(rng))


def hair(rng: np.random.Generator) -> Material:
    """Black, brown, blond, red, gray."""
    color = pick(rng, _HAIRS)
    colors = shade(rng, color), shade(rng, np.asarray(color) * 1.25)
    return Material("wood", colors, gloss=0.2, seed=_seed(rng))


def leaves(rng: np.random.Generator) -> Material:
    """Green, with a lighter vein."""
    color = pick(rng, ((52, 96, 44), (74, 120, 58), (40, 80, 50), (96, 132, 62), (60, 104, 72)))
    vein = np.asarray(color) * 1.35
    return Material("leaf", (shade(rng, color), shade(rng, vein)), gloss=0.2, seed=_seed(rng))


def cardboard(rng: np.random.Generator, side: float) -> Material:
    """Brown board with tape; faces no wider than `side` get tape over their upper edge."""
    color = pick(rng, _CARDBOARDS)
    tape = pick(rng, ((196, 168, 120), (214, 196, 156), (150, 120, 82)))
    colors = shade(rng, color), shade(rng, tape)
    return Material("cardboard", colors, scale=side, soft=0.006, seed=_seed(rng))


def books(rng: np.random.Generator) -> Material:
    """A row of spines."""
    colors = tuple(shade(rng, pick(rng, BRIGHT + CLOTHS)) for _ in range(4))
    return Material("books", colors, scale=float(rng.uniform(0.025, 0.04)), seed=_seed(rng))


def art(rng: np.random.Generator) -> Material:
    """A painting or print for a frame."""
    colors = tuple(shade(rng, pick(rng, BRIGHT + CLOTHS), 0.1) for _ in range(4))
    return Material("art", colors, scale=pick(rng, (0.72, 0.8, 1.1)), gloss=0.1, seed=_seed(rng))


def floor_surface(rng: np.random.Generator, office: bool) -> Material:
    """Planks, parquet, tiles, carpet, concrete or terrazzo."""
    kinds = ("planks", "planks", "tiles", "carpet", "carpet", "concrete", "terrazzo") if office else (
        "planks", "planks", "planks", "parquet", "tiles", "carpet")  # fmt: skip
    kind, seed = pick(rng, kinds), _seed(rng)
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


def _wood_colors(rng: np.random.Generator) -> tuple:
    dark, light = pick(rng, WOODS)
    return shade(rng, dark), shade(rng, light)


def ceiling_surface(rng: np.random.Generator, office: bool) -> Material:
    """White plaster, acoustic tiles, boards or raw concrete."""
    white = shade(rng, pick(rng, ((246, 246, 244), (242, 240, 234), (236, 236, 236))), 0.01)
    if office and rng.random() < 0.6:
        return Material("ceiling_grid", (white, shade(rng, (190, 190, 188))), scale=0.6, seed=5)
    kind = rng.random()
    if kind < 0.08:
        return Material("planks", _wood_colors(rng), scale=0.12, seed=_seed(rng))
    if kind < 0.16:
        return Material("concrete", (shade(rng, (176, 174, 170)),), seed=_seed(rng))
    return Material("plaster", (white,))


def wall_surface(rng: np.random.Generator, accent: bool) -> Material:
    """Mostly painted plaster; an accent wall has a stronger colour, brick, boards, panelling or wallpaper."""
    seed = _seed(rng)
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
