"""Procedural colours of floors, walls and cloth: planks, tiles, brick, plaster, carpet, stripes ..."""

import torch

from mdlib.rooms.materials.texture import Material, Patch, Texture, cell, grain, lines, mix, times, within
from mdlib.rooms.raycasting.solids import Vec


def _plain(p: Patch, m: Material) -> Vec:
    return times(m.colors[0], 1 + 0.05 * p.grain(0.3, 0.3, m.seed))


def _boards(u, v, wu, wv, width: float, length: float, m: Material) -> Vec:
    """Boards that run along u, staggered; colours[0] and [1] are the two ends of their range."""
    row = (v / width).floor()
    moved_u = u + cell(row, 3, m.seed) * length
    board = (moved_u / length).floor()
    tone = cell(row, board, m.seed)
    vein = grain(u, v, wu, wv, 0.5, 0.012, m.seed + 1) + 0.7 * grain(u, v, wu, wv, 0.9, 0.05, m.seed + 2)
    far = (1.5 - wv / width).clamp(0, 1)  # boards narrower than the footprint melt into their mean
    color = times(mix(m.colors[0], m.colors[1], 0.5 + (tone - 0.5) * far), 1 + 0.09 * vein)
    gap = torch.maximum(lines(v, width, 0.004, wv), lines(moved_u, length, 0.004, wu))
    return times(color, 1 - 0.65 * gap)


def _planks(p: Patch, m: Material) -> Vec:
    if m.seed % 2:
        return _boards(p.v, p.u, p.wv, p.wu, m.scale, 1.1, m)
    return _boards(p.u, p.v, p.wu, p.wv, m.scale, 1.1, m)


def _parquet(p: Patch, m: Material) -> Vec:
    side = 4 * m.scale  # squares of four short boards, laid crosswise
    odd = (((p.u / side).floor() + (p.v / side).floor()) % 2) > 0.5
    u, v = torch.where(odd, p.v, p.u), torch.where(odd, p.u, p.v)
    wu, wv = torch.where(odd, p.wv, p.wu), torch.where(odd, p.wu, p.wv)
    row, square = (v / m.scale).floor(), (u / side).floor()
    tone = cell(row, square, m.seed) * (1.5 - wv / m.scale).clamp(0, 1)
    color = mix(m.colors[0], m.colors[1], 0.25 + 0.4 * tone + 0.25 * odd)
    vein = grain(u, v, wu, wv, 0.3, 0.01, m.seed)
    gap = torch.maximum(lines(v, m.scale, 0.003, wv), lines(u, side, 0.003, wu))
    return times(color, (1 + 0.08 * vein) * (1 - 0.5 * gap))


def _tiles(p: Patch, m: Material) -> Vec:
    """colours: tile, joint, and the second tile of a chequered floor if there is a third."""
    i, j = (p.u / m.scale).floor(), (p.v / m.scale).floor()
    far = (1.5 - torch.maximum(p.wu, p.wv) / m.scale).clamp(0, 1)
    cloud = p.grain(0.4, 0.4, m.seed) + 0.6 * p.grain(0.07, 0.09, m.seed)
    color = m.colors[0]
    if len(m.colors) > 2:
        a, b = lines(p.u, 2 * m.scale, m.scale, p.wu), lines(p.v, 2 * m.scale, m.scale, p.wv)
        color = mix(color, m.colors[2], a * (1 - b) + b * (1 - a))
    color = times(color, 1 + 0.1 * (cell(i, j, m.seed) - 0.5) * far + 0.05 * cloud)
    joint = min(0.006, m.scale / 12)
    gap = torch.maximum(lines(p.u, m.scale, joint, p.wu), lines(p.v, m.scale, joint, p.wv))
    return mix(color, m.colors[1], gap)


def _carpet(p: Patch, m: Material) -> Vec:
    pile = p.grain(0.008, 0.008, m.seed) + 0.6 * p.grain(0.03, 0.03, m.seed)
    worn = p.grain(0.7, 0.5, m.seed)
    i, j = (p.u / m.scale).floor(), (p.v / m.scale).floor()
    laid = cell(i, j, m.seed) * (1.5 - torch.maximum(p.wu, p.wv) / m.scale).clamp(0, 1)
    return times(mix(m.colors[0], m.colors[-1], laid), 1 + 0.2 * pile + 0.06 * worn)


def _concrete(p: Patch, m: Material) -> Vec:
    cloud = sum(p.grain(s, s, m.seed + k) * 0.6**k for k, s in enumerate((0.9, 0.3, 0.1, 0.03)))
    return times(m.colors[0], 1 + 0.12 * cloud)


def _terrazzo(p: Patch, m: Material) -> Vec:
    chips = p.grain(0.025, 0.025, m.seed)
    color = mix(_concrete(p, m), m.colors[1], ((chips - 0.45) * 4).clamp(0, 0.6))
    return mix(color, m.colors[2], ((-chips - 0.55) * 4).clamp(0, 0.6))


def _brick(p: Patch, m: Material) -> Vec:
    """colours: two ends of the bricks' range, mortar; scale is the height of a course."""
    row = (p.v / m.scale).floor()
    u = p.u + (row % 2) * m.scale * 1.6
    brick = (u / (3.2 * m.scale)).floor()
    far = (1.5 - p.wv / m.scale).clamp(0, 1)
    tone = 0.5 + (cell(row, brick, m.seed) - 0.5) * far
    rough = p.grain(0.02, 0.02, m.seed) + p.grain(0.3, 0.2, m.seed + 1)
    color = times(mix(m.colors[0], m.colors[1], tone), 1 + 0.13 * rough)
    gap = torch.maximum(lines(p.v, m.scale, 0.012, p.wv), lines(u, 3.2 * m.scale, 0.012, p.wu))
    return mix(color, times(m.colors[2], 1 + 0.1 * rough), gap)


def _plaster(p: Patch, m: Material) -> Vec:
    cloud = p.grain(1.3, 1.1, m.seed) + 0.5 * p.grain(0.03, 0.03, m.seed)
    return times(m.colors[0], 1 + 0.025 * cloud)


def _stripes(p: Patch, m: Material) -> Vec:
    if m.seed % 3 == 0:
        thin = lines(p.u, m.scale, m.scale * 0.12, p.wu)
        return _cloth(p, m, mix(m.colors[0], m.colors[1], thin))
    return _cloth(p, m, mix(m.colors[0], m.colors[1], lines(p.u, m.scale, m.scale / 2, p.wu)))


def _hoops(p: Patch, m: Material) -> Vec:
    return _cloth(p, m, mix(m.colors[0], m.colors[1], lines(p.v, m.scale, m.scale / 2, p.wv)))


def _checks(p: Patch, m: Material) -> Vec:
    a, b = lines(p.u, m.scale, m.scale / 2, p.wu), lines(p.v, m.scale, m.scale / 2, p.wv)
    return _cloth(p, m, mix(m.colors[0], m.colors[1], (a + b) / 2))


def _dots(p: Patch, m: Material) -> Vec:
    """Diamonds or dots of colours[1] in a staggered grid."""
    v = p.v / m.scale
    u = p.u / m.scale + 0.5 * (v.floor() % 2)
    x, y = (u - u.floor() - 0.5).abs(), (v - v.floor() - 0.5).abs()
    far = x + y if m.seed % 2 else (x * x + y * y).sqrt() * 1.2
    w = torch.maximum(p.wu, p.wv) / m.scale
    dot = ((0.3 - far) / w.clamp_min(0.02) + 0.5).clamp(0, 1)
    fade = (1.5 - 1.5 * w).clamp(0, 1)
    return _cloth(p, m, mix(m.colors[0], m.colors[1], 0.18 + (dot - 0.18) * fade))


def _cloth(p: Patch, m: Material, color: Vec | None = None) -> Vec:
    thread = p.grain(0.006, 0.006, m.seed) + 0.5 * p.grain(0.1, 0.14, m.seed)
    return times(m.colors[0] if color is None else color, 1 + 0.08 * thread)


def _ribs(p: Patch, m: Material) -> Vec:
    """Upright grooves every `scale` metres: panelling, radiators."""
    groove = lines(p.u, m.scale, m.scale * 0.14, p.wu)
    edge = lines(p.u - m.scale * 0.14, m.scale, m.scale * 0.08, p.wu)
    return times(m.colors[0], (1 - 0.42 * groove) * (1 + 0.12 * edge))


def _wainscot(p: Patch, m: Material) -> Vec:
    """Panelling up to `scale` metres in colours[1], plaster above it."""
    up = p.v + p.hv
    grooves = lines(p.u, 0.12, 0.012, p.wu)
    rail = within(up, m.scale, m.scale + 0.05, p.wv)
    edge = within(up, m.scale - 0.012, m.scale, p.wv)
    panel = times(m.colors[1], 1 - 0.4 * torch.maximum(grooves * (1 - rail), edge))
    return mix(_plaster(p, m), panel, within(up, -1.0, m.scale + 0.05, p.wv))


def _ceiling_grid(p: Patch, m: Material) -> Vec:
    holes = p.grain(0.012, 0.012, m.seed)
    bars = torch.maximum(lines(p.u, m.scale, 0.02, p.wu), lines(p.v, m.scale, 0.02, p.wv))
    return mix(times(m.colors[0], 1 + 0.05 * holes), m.colors[1], bars)


COVERINGS: dict[str, Texture] = {
    "plain": _plain, "planks": _planks, "parquet": _parquet, "tiles": _tiles, "carpet": _carpet,
    "ribs": _ribs, "concrete": _concrete, "terrazzo": _terrazzo, "brick": _brick, "plaster": _plaster,
    "stripes": _stripes, "hoops": _hoops, "checks": _checks, "dots": _dots, "cloth": _cloth,
    "wainscot": _wainscot, "ceiling_grid": _ceiling_grid,
}  # fmt: skip
