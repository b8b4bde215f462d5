"""Puts cut-outs into backgrounds: pixels, soft mask and depth. Batched, on any device.

Light adds up linearly, stored pixel values do not: cut-outs are resized and blended in linear light, with the
colour multiplied by alpha first (see `sprite`).
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from mdlib.creation.composing.shadow import cast, lights
from mdlib.creation.composing.sprite import Sprite
from mdlib.creation.composing.srgb import ALPHA, to_linear, to_srgb
from mdlib.creation.items import Placements

Z_TOLERANCE_M = 0.02  # a surface this much nearer than an object's contact point hides the object


def compose(
    bg: torch.Tensor,
    sprites: Sequence[Sprite],
    placements: Placements,
    z: torch.Tensor | None = None,
    floor: torch.Tensor | None = None,
    feather_px: float = 0.0,
    shadow: bool = False,
) -> dict[str, torch.Tensor]:
    """Paint each placed sprite onto its picture.

    bg (B,3,H,W) uint8; placements: one row per object, `fg` indexing `sprites`; rows of the same `sample` go
    onto the same picture, the farthest first, and the b-th smallest sample number belongs to bg[b]. z
    (B,1,H,W) float32 metres, nan unknown; floor (B,1,H,W) bool: surfaces that never hide what stands on them.
    A single picture for all samples is best given expanded, not repeated. feather_px: standard deviation, in
    output pixels, by which edges are softened (0 to 2). shadow: each object also casts one (see `shadow`).

    Returns fg_bg (B,3,H,W) uint8, mask (B,1,H,W) uint8 (255 = object only), z (B,1,H,W) float32, nan unknown,
    and box (B,4) int64, on the CPU: the top, bottom, left and right outside which a picture is its background
    (an empty one is all 0). Where the mask is at least 128, z is the object's, and only there. A sample does
    not depend on the others.
    """
    lamps = lights(placements.seed[np.unique(placements.sample, return_index=True)[1]]) if shadow else None
    if len(placements) > len(bg):
        placements = placements[_farthest_first(placements, bg.shape[2])]
    numbers, heights = _check(bg, placements, feather_px)
    # Of all pictures, while nothing is painted:
    light = to_linear(bg[0]) if bg.stride(0) == 0 and not shadow else None
    fg_bg = bg.clone(memory_format=torch.channels_last)  # as the JPEG encoder takes it
    mask = torch.zeros_like(bg[:, :1], memory_format=torch.contiguous_format)
    tested = z is not None
    if tested:
        z = z.clone(memory_format=torch.contiguous_format)
        floor = torch.zeros_like(mask, dtype=torch.bool) if floor is None else floor
    else:
        z = torch.full((1, 1, 1, 1), torch.nan, device=bg.device).expand_as(mask)
    boxes, pictures, masks = [(0, 0, 0, 0)] * len(bg), fg_bg.unbind(), mask.unbind()
    painted = [False] * len(bg)
    rows = zip(numbers, heights, placements.fg.tolist(), placements.flip.tolist(), placements.x_px.tolist(),
               placements.y_px.tolist(), placements.z_m.tolist(), strict=True)  # fmt: skip
    for b, height, fg, flip, x, y, z_m in rows:
        layers = sprites[fg].resized(height, flip)
        if lamps is not None:
            changed = cast(pictures[b], z[b] if tested else None, layers[3:4], x, y, z_m, lamps[b])
            boxes[b] = _around(boxes[b], changed)
        if feather_px > 0:
            layers, border = _feather(layers, feather_px)
            x, y = x - border, y - border
        top, bottom = max(0, y), min(bg.shape[2], y + layers.shape[1])
        left, right = max(0, x), min(bg.shape[3], x + layers.shape[2])
        if top >= bottom or left >= right:
            continue
        first, painted[b] = not painted[b], True
        boxes[b] = _around(boxes[b], (top, bottom, left, right))
        layers = layers[:, top - y : bottom - y, left - x : right - x]
        box = (slice(None), slice(top, bottom), slice(left, right))
        seen, covered = pictures[b][box], masks[b][box]
        if tested:
            behind, standing = z[b][box], floor[b][box]
            # Nor do objects, which are farther: their fronts may still reach past this one's contact point.
            standing = standing if first else standing | (covered >= 128)
            hidden = (behind < z_m - Z_TOLERANCE_M) & ~standing  # False where unknown
            layers = torch.where(hidden, 0.0, layers)
        under = light[box] if first and light is not None else to_linear(seen)
        colour, alpha = layers[:3], layers[3:4]
        # colour + (1 - alpha) * under; a number as an operand would cost torch as much as all the rest
        blended = torch.add(colour, under).addcmul_(alpha, under, value=-1 / ALPHA)
        seen.copy_(to_srgb(blended))
        if first:
            union = alpha
            solid = union >= ALPHA / 2 if tested else None
        else:
            union = torch.add(alpha, covered).addcmul_(alpha, covered, value=-1 / ALPHA)
            # Thin parts of two objects may cover half of a pixel together: it is the nearer one's.
            solid = (alpha >= ALPHA / 2) | ((union >= ALPHA / 2) & (covered < 128)) if tested else None
        if tested:
            own = layers[4:] + z_m if len(layers) > 4 else torch.full_like(alpha, z_m)
            # What is seen lies in front of what it covers, even where its back would reach into a wall.
            behind.copy_(torch.where(solid, torch.fmin(own, behind), behind))
        covered.copy_(union.round())
    return {"fg_bg": fg_bg, "mask": mask, "z": z, "box": torch.tensor(boxes).view(-1, 4)}


def _around(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The smallest box around two, either of which may be empty."""
    if one[1] == 0 or other[1] == 0:
        return one if other[1] == 0 else other
    return min(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), max(one[3], other[3])


def _farthest_first(placements: Placements, picture_height: int) -> np.ndarray:
    """Order of the rows: by distance, and where that is unknown, what reaches lower comes later."""
    lowest = placements.y_px + placements.height_px(picture_height)
    return np.lexsort((lowest, -np.nan_to_num(placements.z_m, nan=0.0)))


def _check(bg: torch.Tensor, placements: Placements, feather_px: float) -> tuple[list[int], list[int]]:
    """Which picture each row belongs to, and the height of each object in pixels."""
    if bg.dtype != torch.uint8 or bg.ndim != 4 or bg.shape[1] != 3:
        raise ValueError(f"backgrounds are (B,3,H,W) uint8, but these are {tuple(bg.shape)} of {bg.dtype}")
    if not 0.0 <= feather_px <= 2.0:
        raise ValueError(f"feather_px is {feather_px}; edges can be softened by 0 to 2 pixels")
    samples, pictures = np.unique(placements.sample, return_inverse=True)
    if len(samples) != len(bg):
        raise ValueError(f"{len(bg)} backgrounds, but placements of {len(samples)} samples: give one each")
    return pictures.tolist(), placements.height_px(bg.shape[2]).tolist()


def _feather(layers: torch.Tensor, sigma_px: float) -> tuple[torch.Tensor, int]:
    """Soften the alpha by a Gaussian; colour is only blurred where the object itself gave none."""
    border = int(np.ceil(3 * sigma_px))
    padded = F.pad(layers[:4], [border] * 4)
    taps = torch.exp(-0.5 * (torch.arange(-border, border + 1, device=layers.device) / sigma_px) ** 2)
    taps = taps / taps.sum()
    blurred = F.conv2d(padded[:, None], taps[None, None, :, None], padding=(border, 0))
    blurred = F.conv2d(blurred, taps[None, None, None, :], padding=(0, border))[:, 0]
    # Own colour (known up to alpha) is completed by the surrounding colour, then multiplied by the new alpha.
    colour = torch.addcmul(blurred[3:] * padded[:3], ALPHA - padded[3:], blurred[:3]) / ALPHA
    parts = [colour, blurred[3:]]
    if len(layers) > 4:
        parts.append(F.pad(layers[None, 4:], [border] * 4, mode="replicate")[0])
    return torch.cat(parts), border
