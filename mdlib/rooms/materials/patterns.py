"""Procedural colours of single things: wood, books, cardboard, pictures, the view from a window ..."""

import torch

from mdlib.rooms.materials.coverings import COVERINGS
from mdlib.rooms.materials.texture import (
    Material,
    Patch,
    Texture,
    cell,
    grain,
    lines,
    mix,
    times,
    value_noise,
    within,
)
from mdlib.rooms.raycasting.solids import Vec


def _wood(p: Patch, m: Material) -> Vec:
    """Grain along the longer side of the face, as a joiner cuts it."""
    lengthwise = p.hu >= p.hv
    u, v = torch.where(lengthwise, p.u, p.v), torch.where(lengthwise, p.v, p.u)
    wu, wv = torch.where(lengthwise, p.wu, p.wv), torch.where(lengthwise, p.wv, p.wu)
    bent = v + 0.012 * value_noise(u / 0.35, v / 0.2, m.seed)
    vein = grain(u, bent, wu, wv, 0.6, 0.014, m.seed) + 0.8 * grain(u, bent, wu, wv, 1.0, 0.05, m.seed + 1)
    return mix(m.colors[0], m.colors[-1], (0.5 + 0.33 * vein).clamp(0, 1))


def _front(p: Patch, m: Material) -> Vec:
    """A board front divided into doors or drawers of about `scale` metres; wood if it has two colours."""
    color = _wood(p, m) if len(m.colors) > 1 else _front_paint(p, m)
    gap = 0.0
    for x, w, half in ((p.u, p.wu, p.hu), (p.v, p.wv, p.hv)):
        count = (2 * half / m.scale).round().clamp_min(1)
        period = 2 * half / count
        offset = x + half
        offset = offset - (offset / period).round() * period
        inner = (x.abs() < half - period / 3) | (count > 1)
        gap = torch.maximum(torch.as_tensor(gap), within(offset, -0.003, 0.003, w) * inner)
    return times(color, 1 - 0.7 * gap)


def _front_paint(p: Patch, m: Material) -> Vec:
    return times(m.colors[0], 1 + 0.03 * p.grain(0.3, 0.3, m.seed))


def _door(p: Patch, m: Material) -> Vec:
    """A door leaf with sunken panels: each shows a dark upper edge and a light lower one."""
    color = _wood(p, m) if len(m.colors) > 1 else _front_paint(p, m)
    x = p.u.abs() if m.seed % 2 else p.u
    left, right = (0.06, p.hu - 0.1) if m.seed % 2 else (-p.hu + 0.12, p.hu - 0.12)
    shade = 0.0
    two, three = ((0.08, 0.42), (0.5, 0.93)), ((0.06, 0.32), (0.38, 0.62), (0.68, 0.94))
    for low, high in two if m.seed % 3 else three:
        bottom, top = -p.hv + 2 * p.hv * low, -p.hv + 2 * p.hv * high
        across = within(x, left, right, p.wu)
        inside = across * within(p.v, bottom, top, p.wv)
        core = within(x, left + 0.025, right - 0.025, p.wu) * within(p.v, bottom + 0.025, top - 0.025, p.wv)
        lit = across * within(p.v, bottom, bottom + 0.025, p.wv)
        shade = shade + (inside - core) * 0.3 - lit * 0.42
    return times(color, 1 - shade)


def _books(p: Patch, m: Material) -> Vec:
    """Spines of about `scale` metres in many colours; pale paper on top."""
    i = (p.u / m.scale).floor()
    a, b = cell(i, 1, m.seed), cell(i, 2, m.seed)
    color = mix(mix(m.colors[0], m.colors[1], a), mix(m.colors[2], m.colors[3], a), (b > 0.5).float())
    color = times(color, 0.35 + 0.9 * cell(i, 4, m.seed))
    place = -p.hv + 2 * p.hv * (0.6 + 0.25 * cell(i, 3, m.seed))
    color = mix(color, (0.75, 0.68, 0.5), 0.8 * within(p.v - place, -0.02, 0.02, p.wv) * (a > 0.4))
    color = times(color, 1 - 0.75 * lines(p.u, m.scale, 0.005, p.wu))
    return mix((0.6, 0.56, 0.47), color, p.upright.float())


def _cardboard(p: Patch, m: Material) -> Vec:
    """Brown board; tape along the middle of the lid and a little down the sides, a printed label."""
    fibre = p.grain(0.15, 0.01, m.seed) + p.grain(0.4, 0.4, m.seed)
    color = times(m.colors[0], 1 + 0.06 * fibre)
    lid = ~p.upright
    short = within(p.v, p.hv - 0.07, p.hv, p.wv) * p.upright * (p.hu <= m.scale)
    tape = within(p.u if m.seed % 2 else p.v, -0.028, 0.028, p.wu if m.seed % 2 else p.wv) * lid
    tape = torch.maximum(tape, within(p.u, -0.028, 0.028, p.wu) * short)
    slit = within(p.u if m.seed % 2 else p.v, -0.002, 0.002, p.wv) * lid
    color = mix(times(color, 1 - 0.6 * slit), m.colors[1], 0.75 * tape)
    u, v = p.u / p.hu, p.v / p.hv
    label = within(u, 0.25, 0.75, p.wu / p.hu) * within(v, 0.05, 0.55, p.wv / p.hv)
    label = label * p.upright * (m.seed % 3 > 0)
    text = lines(v, 0.12, 0.05, p.wv / p.hv) * within(u, 0.3, 0.65, p.wu / p.hu)
    return mix(color, times((0.8, 0.8, 0.78), 1 - 0.7 * text), label)


def _art(p: Patch, m: Material) -> Vec:
    """A picture in a white mount: hills under a sky, or blocks of colour, or rings."""
    u, v = p.u / p.hu, p.v / p.hv
    w = torch.maximum(p.wu / p.hu, p.wv / p.hv)
    kind = m.seed % 4
    if kind == 0:
        color = mix(m.colors[0], m.colors[1], (0.5 + 0.5 * v).clamp(0, 1))
        for k, level in enumerate((0.25, -0.1, -0.45)):
            hill = level + 0.3 * value_noise(u * (1.2 + k) + 9.3 * k, torch.full_like(u, 0.5 + k), m.seed)
            color = mix(color, times(m.colors[2], (0.9, 0.55, 0.3)[k]), ((hill - v) / w + 0.5).clamp(0, 1))
        sun = (u - 0.35) * (u - 0.35) + (v - 0.6) * (v - 0.6)
        color = mix(color, m.colors[3], ((0.03 - sun) / (0.3 * w) + 0.5).clamp(0, 1))
    elif kind == 1:
        color = m.colors[0]
        for k in range(5):
            x, y, r, s = (float(cell(torch.tensor([float(k)]), j, m.seed)) for j in range(4))
            wide, high = (1.6 * x - 1, 1.6 * x - 0.8 + r), (1.6 * y - 1, 1.6 * y - 0.8 + s)
            block = within(u, *wide, w) * within(v, *high, w)
            color = mix(color, m.colors[1 + k % 3], 0.9 * block)
    elif kind == 2:
        far = (u * u + v * v).sqrt() + 0.12 * value_noise(u * 2, v * 2, m.seed)
        color = mix(m.colors[0], m.colors[1], lines(far, 0.5, 0.25, w))
        color = mix(color, m.colors[2], ((0.22 - far) / w + 0.5).clamp(0, 1))
    else:
        color = mix(m.colors[0], m.colors[1], (0.5 + 0.8 * value_noise(u * 1.3, v * 1.3, m.seed)).clamp(0, 1))
        spots = (value_noise(u * 2.1, v * 1.7, m.seed + 1) - 0.1) / w.clamp_min(0.1)
        color = mix(color, m.colors[2], spots.clamp(0, 1))
    mount = within(u, -m.scale, m.scale, w) * within(v, -m.scale, m.scale, w)
    return mix((0.78, 0.77, 0.74), color, mount)


def _screen(p: Patch, m: Material) -> Vec:
    """A lit computer screen: a bar on top and rows of text."""
    u, v = p.u / p.hu, p.v / p.hv
    wu, wv = p.wu / p.hu, p.wv / p.hv
    row = (v / 0.16).floor()
    text = lines(v, 0.16, 0.07, wv) * within(u, -0.8, -0.5 + 1.2 * cell(row, 1, m.seed), wu)
    color = mix(m.colors[0], m.colors[1], text * within(v, -0.85, 0.7, wv))
    color = mix(color, m.colors[2], within(v, 0.82, 1.1, wv))
    frame = within(u, -0.95, 0.95, wu) * within(v, -0.93, 0.93, wv)
    return mix((0.01, 0.01, 0.012), color, frame)


def _leaf(p: Patch, m: Material) -> Vec:
    vein = within(p.u, -0.004, 0.004, p.wu)
    return mix(times(m.colors[0], 1 + 0.3 * p.grain(0.05, 0.05, m.seed)), m.colors[1], 0.5 * vein)


def _rug(p: Patch, m: Material) -> Vec:
    """A border in colours[1] and a field of diamonds of colours[2]."""
    edge = torch.minimum(p.hu - p.u.abs(), p.hv - p.v.abs())
    w = torch.maximum(p.wu, p.wv)
    x, y = p.u / m.scale, p.v / m.scale
    far = (x - x.round()).abs() + (y - y.round()).abs()
    fade = (1.5 - w / m.scale).clamp(0, 1)
    field = ((0.28 - far) * m.scale / w.clamp_min(1e-4) + 0.5).clamp(0, 1)
    color = mix(m.colors[0], m.colors[2], 0.16 + (field - 0.16) * fade)
    color = mix(color, m.colors[1], torch.maximum(within(edge, 0.1, 0.2, w), within(edge, 0.24, 0.27, w)))
    pile = p.grain(0.012, 0.012, m.seed)
    return times(color, 1 + 0.15 * pile)


def _outside(p: Patch, m: Material) -> Vec:
    """What a window shows, by direction alone as far things look: sky, clouds, trees or houses, ground."""
    x, y, z = p.d
    level = (x * x + z * z).sqrt().clamp_min(1e-3)
    up = y / level + 0.05
    aside, ahead = z / x.abs().clamp_min(1e-3) + 3 * x.sign(), x / z.abs().clamp_min(1e-3)
    turn = torch.where(x.abs() > z.abs(), aside, ahead)
    sky = mix(m.colors[1], m.colors[0], (up * 1.6).clamp(0, 1))
    cloud = value_noise(turn * 2.3, up * 5, m.seed) + 0.5 * value_noise(turn * 6, up * 13, m.seed + 1)
    sky = mix(sky, (1.0, 1.0, 1.0), (cloud * 0.8).clamp(0, 0.85))
    if m.seed % 2:
        edge = 0.16 + 0.1 * value_noise(turn * 5, torch.zeros_like(turn), m.seed)
        edge = edge + 0.03 * value_noise(turn * 31, up * 31, m.seed)
        leaves = (0.75 + 0.45 * value_noise(turn * 37, up * 37, m.seed)).clamp_min(0.1)
        far_things = times(m.colors[2], leaves)
    else:
        house = (turn * 3.1).floor()
        edge = 0.1 + 0.45 * cell(house, 1, m.seed)
        windows = lines(turn, 0.06, 0.03, 0.01 + 0 * up) * lines(up, 0.09, 0.05, 0.01 + 0 * up)
        wall = mix(m.colors[3], (0.55, 0.5, 0.45), cell(house, 2, m.seed))
        wall = times(wall, 0.6 + 0.4 * cell(house, 3, m.seed))
        far_things = times(wall, 1 - 0.5 * windows)
    view = mix(sky, far_things, ((edge - up) * 60 + 0.5).clamp(0, 1))
    ground = times(m.colors[4], 0.8 + 0.3 * value_noise(turn * 3, up * 30, m.seed))
    return mix(view, ground, ((-0.02 - up) * 60 + 0.5).clamp(0, 1))


TEXTURES: dict[str, Texture] = {
    **COVERINGS,
    "wood": _wood, "front": _front, "door": _door, "books": _books, "cardboard": _cardboard, "art": _art,
    "screen": _screen, "leaf": _leaf, "rug": _rug, "outside": _outside,
}  # fmt: skip
