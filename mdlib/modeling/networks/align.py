"""Bring `bg` to the camera and the light of `fg_bg`, without anything learned.

Between two photographs of a place the camera moves by some pixels, turns a little, and chooses another
exposure. An affine warp and a gain and offset per colour explain most of that. They are found by robust least
squares (iteratively reweighted Gauss-Newton steps from coarse to fine, as in Lucas and Kanade 1981 and Baker
and Matthews 2004): pixels that do not fit, such as the added object, get little weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mdlib.modeling.networks.base import quarters

# (how many pixels make one, how many steps): shifts of some pixels are found where they are below one pixel.
# Each level has twice the size of the one before; the last has half the size of the pictures.
LEVELS = ((8, 2), (4, 2), (2, 2))
COLOUR_SCALES = (0.2, 0.1, 0.05, 0.05)  # residuals that count half, per step of the colour fit
MOTION_SCALE = 0.04  # the same for the motion
ACCEPT_SCALE = 0.03  # and for deciding whether the result is better than what came in
DAMPING = 1e-4  # per pixel: keeps pictures without texture where they are
LARGEST_STEP = 0.1  # in halves of the picture


@torch.no_grad()
def align(bg: Tensor, fg_bg: Tensor) -> Tensor:
    """`bg` as if taken with the camera position and exposure of `fg_bg`.

    Both (B, 3, H, W) in [0, 1], H and W multiples of 8; the result too, in float32. Per sample the best
    of three: warped and recoloured, only recoloured, unchanged. No gradient flows.
    """
    with torch.autocast(bg.device.type, enabled=False):
        bg, fg_bg = bg.float(), fg_bg.float()
        pairs = pyramid(torch.stack([bg, fg_bg]))  # (2, B, 3, h, w) each
        first_gain, first_offset = match_colours(*pairs[0])
        gain, offset = first_gain, first_offset
        motion = torch.eye(3, device=bg.device).expand(bg.shape[0], 3, 3)
        for (small, target), (_, steps) in zip(pairs, LEVELS, strict=True):
            # Motion is found in gray, and to turn gray before the warp is cheaper than after it.
            gray, gray_target = (gain * small + offset).mean(1, keepdim=True), target.mean(1, keepdim=True)
            for _ in range(steps):
                motion = motion @ motion_step(warp(gray, motion), gray_target)
            warped = warp(small, motion)
            gain, offset = match_colours(warped, target)
        # The candidates are judged where they were found: finest level, still a fraction of the full size.
        kept = misfit(small, target)
        recoloured = misfit(first_gain * small + first_offset, target)
        moved = misfit(gain * warped + offset, target)
        better = moved < torch.minimum(kept, recoloured)
        # A gain of 1 and an offset of 0 give back what came in, bit for bit.
        gain = torch.where(better, gain, torch.where(recoloured < kept, first_gain, 1.0))
        offset = torch.where(better, offset, torch.where(recoloured < kept, first_offset, 0.0))
        return torch.where(better, warp(bg, motion), bg) * gain + offset


def pyramid(pair: Tensor) -> list[Tensor]:
    """(2, B, C, H, W) at 1/8, 1/4 and 1/2 of the size, as LEVELS wants it: means over blocks of pixels."""
    levels: list[Tensor] = []
    for _ in LEVELS:
        a, b, c, d = quarters(pair)
        pair = 0.25 * (a + b + c + d)  # three times faster than avg_pool2d
        levels.insert(0, pair)
    return levels


def match_colours(bg: Tensor, fg_bg: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset per colour (B, 3, 1, 1) that bring (B, 3, h, w) `bg` closest to `fg_bg`, robustly."""
    # Everything a step needs are sums of products of the two pictures: one matrix product instead of many
    # passes. Colours are counted from their means, which keeps the differences of sums accurate.
    mean, target_mean = (x.mean((2, 3), keepdim=True) for x in (bg, fg_bg))
    x, y = (bg - mean).flatten(2), (fg_bg - target_mean).flatten(2)  # (B, 3, n)
    products = torch.cat([x, y, x * y, x * x, (y * y).sum(1, keepdim=True), torch.ones_like(x[:, :1])], 1)
    weight = products[:, -1:]  # all ones
    for scale in COLOUR_SCALES:
        sums = products @ weight.transpose(1, 2)  # (B, 14, 1)
        mx, my, xy, xx = (sums[:, :12] / sums[:, -1:]).chunk(4, 1)  # weighted means (B, 3, 1)
        gain = (xy - mx * my + 1e-3) / (xx - mx * mx + 1e-3)  # 1 for a picture of one colour
        offset = my - gain * mx
        # The sum over colours of (y - gain x - offset)^2, multiplied out.
        factors = [2 * gain * offset, -2 * offset, -2 * gain, gain * gain, torch.ones_like(gain[:, :1])]
        factors = torch.cat([*factors, (offset * offset).sum(1, keepdim=True)], 1)  # (B, 14, 1)
        error = (factors.transpose(1, 2) @ products).clamp(min=0)  # (B, 1, n)
        weight = 1 / (1 + error / scale**2)
    gain, offset = gain[..., None], offset[..., None]
    return gain, target_mean + offset - gain * mean


def motion_step(moved: Tensor, target: Tensor) -> Tensor:
    """One Gauss-Newton step (B, 3, 3) of an affine warp from (B, 1, h, w) `moved` towards `target`.

    In coordinates that go from -1 to 1 over the picture, as `warp` uses them.
    """
    height, width = moved.shape[-2:]
    residual = (target - moved).flatten(2)
    # Change of brightness per unit of a coordinate; a picture is 2 units wide.
    dx = F.pad(moved[..., 2:] - moved[..., :-2], (1, 1)) * (width / 4)
    dy = F.pad(moved[..., 2:, :] - moved[..., :-2, :], (0, 0, 1, 1)) * (height / 4)
    x, y = coordinates(width, moved), coordinates(height, moved)[:, None]
    jacobian = torch.cat([dx * x, dx * y, dx, dy * x, dy * y, dy], 1).flatten(2)  # (B, 6, h w)
    weighted = jacobian * cauchy(residual, MOTION_SCALE)
    normal = weighted @ torch.cat([jacobian, residual], 1).transpose(1, 2)  # (B, 6, 7), right side included
    damping = DAMPING * height * width * torch.eye(6, 7, device=moved.device)
    step = solve(normal + damping)
    step = step.clamp(-LARGEST_STEP, LARGEST_STEP).unflatten(1, (2, 3))
    return torch.eye(3, device=moved.device) + F.pad(step, (0, 0, 0, 1))


def solve(augmented: Tensor) -> Tensor:
    """x of M x = r for (B, n, n + 1) `augmented` = [M | r], M symmetric positive definite; (B, n).

    By elimination, written out: exporters do not know `torch.linalg.solve`.
    """
    for i, unit in enumerate(torch.eye(augmented.shape[1], device=augmented.device)[..., None]):
        pivot = augmented[:, i : i + 1] / augmented[:, i : i + 1, i : i + 1]
        # Subtracts the pivot from all rows so that column i vanishes; row i itself becomes the pivot.
        augmented = augmented - (augmented[:, :, i : i + 1] - unit) * pivot
    return augmented[..., -1]


def warp(picture: Tensor, motion: Tensor) -> Tensor:
    """(B, C, h, w) sampled bilinearly where `motion` (B, 3, 3) sends each place; edge pixels repeated."""
    height, width = picture.shape[-2:]
    x, y = coordinates(width, picture), coordinates(height, picture)[:, None]
    m = motion[:, :2, :, None, None]  # (B, 2, 3, 1, 1)
    places = m[:, :, 0] * x + m[:, :, 1] * y + m[:, :, 2]  # (B, 2, h, w)
    return F.grid_sample(picture, places.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def coordinates(size: int, like: Tensor) -> Tensor:
    """Centres of `size` pixels between -1 and 1."""
    # Not linspace, which pins the size when the graph is exported.
    return torch.arange(size, dtype=like.dtype, device=like.device) * (2 / size) + (1 / size - 1)


def cauchy(residual: Tensor, scale: float) -> Tensor:
    """Weight (B, 1, ...) of a residual (B, C, ...): 1 for a perfect fit, 1/2 for an error of `scale`."""
    return 1 / (1 + residual.square().sum(1, keepdim=True) / scale**2)


def misfit(picture: Tensor, target: Tensor) -> Tensor:
    """Share of (B, C, h, w) that does not fit, (B, 1, 1, 1), counted softly."""
    return 1 - cauchy(target - picture, ACCEPT_SCALE).mean((1, 2, 3), keepdim=True)
