"""Bring `bg` to the camera and the light of `fg_bg`, without anything learned.

Between two photographs of a place the camera moves by some pixels, turns a little, chooses another exposure
and white balance, and light falls off otherwise towards a side or the corners. An affine warp and a light
(see `recolour`) explain most of that. They are found by robust least squares (iteratively reweighted
Gauss-Newton steps from coarse to fine, as in Lucas and Kanade 1981 and Baker and Matthews 2004): pixels that
do not fit, such as the added object, get little weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mdlib.modeling.networks.base import quarters

# (how many pixels make one, how many steps): shifts of some pixels are found where they are below one pixel.
# Each level has twice the size of the one before; the last has half the size of the pictures.
LEVELS = ((8, 2), (4, 2), (2, 2))
COLOUR_SCALES = (0.2, 0.1, 0.05, 0.05)  # residuals that count half, per step of the colour fit
LIGHT_SCALES = (math.inf, 0.2, 0.1, 0.05)  # the same for the whole light; at first all count alike
MOTION_SCALE = 0.04  # the same for the motion
ACCEPT_SCALE = 0.03  # and for deciding whether the result is better than what came in
WORTH = 0.97  # what the whole light must leave of the misfit of a plain gain and offset, to be preferred
RIDGE = 1e-4  # per pixel: keeps what the pictures do not tell about the light as it is
DAMPING = 1e-4  # per pixel: keeps pictures without texture where they are
LARGEST_STEP = 0.1  # in halves of the picture


@torch.no_grad()
def align(bg: Tensor, fg_bg: Tensor) -> Tensor:
    """`bg` as if taken with the camera position and in the light of `fg_bg`.

    Both (B, 3, H, W) in [0, 1], H and W multiples of 8; the result too, in float32. Per sample the best
    of three: warped and recoloured, only recoloured, unchanged. No gradient flows.
    """
    with torch.autocast(bg.device.type, enabled=False):
        bg, fg_bg = bg.float(), fg_bg.float()
        pairs = pyramid(torch.stack([bg, fg_bg]))  # (2, B, 3, h, w) each
        first_light = match_light(*pairs[0])
        motion = torch.eye(3, device=bg.device).expand(bg.shape[0], 3, 3)
        for (small, target), (_, steps) in zip(pairs, LEVELS, strict=True):
            # Motion is found in gray, and to turn gray before the warp is cheaper than after it.
            gray, gray_target = recolour(small, first_light).mean(1, True), target.mean(1, True)
            for _ in range(steps):
                motion = motion @ motion_step(warp(gray, motion), gray_target)
        warped = warp(small, motion)
        # Made smaller after the warp, not before: its blur would be taken for a weaker contrast.
        light = match_light(halved(warped), halved(target), first_light)
        # The candidates are judged at the finest level, still a fraction of the full size.
        kept = misfit(small, target)
        recoloured = misfit(recolour(small, first_light), target)
        moved = misfit(recolour(warped, light), target)
        better = moved < torch.minimum(kept, recoloured)
        # The light that changes nothing gives back what came in, bit for bit.
        zero = torch.zeros_like(light[..., :1])
        same = torch.where((recoloured < kept)[..., 0], first_light, plain_light(zero + 1, zero))
        light = torch.where(better[..., 0], light, same)
        return recolour(torch.where(better, warp(bg, motion), bg), light)


def pyramid(pair: Tensor) -> list[Tensor]:
    """(2, B, C, H, W) at 1/8, 1/4 and 1/2 of the size, as LEVELS wants it: means over blocks of pixels."""
    levels: list[Tensor] = []
    for _ in LEVELS:
        pair = halved(pair)
        levels.insert(0, pair)
    return levels


def halved(picture: Tensor) -> Tensor:
    """(..., H, W) -> (..., H/2, W/2), means over 2 x 2 pixels."""
    a, b, c, d = quarters(picture)
    return 0.25 * (a + b + c + d)  # three times faster than avg_pool2d


def recolour(picture: Tensor, light: Tensor) -> Tensor:
    """(B, 3, h, w) in another light (B, 3, 8).

    For each colour c of the result the light holds: the share of red, green and blue in it; how much its gain
    changes along x, along y and with x^2 + y^2 (both from -1 to 1 over the picture: lamps at a side, lens
    shading); what is added of c^2 (contrast, gamma); and what is added everywhere.
    """
    flat = picture.flatten(2)
    mixed = light[..., :3] @ flat + light[..., 7:]
    gain = torch.addcmul(light[..., 3:6] @ parabola(picture), light[..., 6:7], flat)
    return torch.addcmul(mixed, gain, flat).unflatten(2, picture.shape[-2:])


def parabola(like: Tensor) -> Tensor:
    """x, y and x^2 + y^2 of each pixel, (3, h w)."""
    height, width = like.shape[-2:]
    x, y = (
        coordinates(width, like).expand(height, width),
        coordinates(height, like)[:, None].expand(-1, width),
    )
    return torch.stack([x, y, x * x + y * y]).flatten(1)


def plain_light(gain: Tensor, offset: Tensor) -> Tensor:
    """The light (B, 3, 8) that is a gain and an offset per colour, (B, 3, 1) each."""
    return torch.cat([torch.diag_embed(gain[..., 0]), torch.zeros_like(gain).expand(-1, -1, 4), offset], 2)


def match_light(bg: Tensor, fg_bg: Tensor, guess: Tensor | None = None) -> Tensor:
    """The light (B, 3, 8) that brings (B, 3, h, w) `bg` closest to `fg_bg`, robustly; sooner with a guess.

    A gain and an offset per colour; or all that a light can be, where that is worth it.
    """
    plain = plain_light(*match_colours(bg, fg_bg))
    scales = LIGHT_SCALES if guess is None else LIGHT_SCALES[2:]
    whole = match_whole(bg, fg_bg, plain if guess is None else guess, scales)
    worth = misfit(recolour(bg, whole), fg_bg) < WORTH * misfit(recolour(bg, plain), fg_bg)
    return torch.where(worth[..., 0], whole, plain)


def match_whole(bg: Tensor, fg_bg: Tensor, light: Tensor, scales: Sequence[float]) -> Tensor:
    """As `match_light`, from a light (B, 3, 8), by a step for each of the scales."""
    x, y = bg.flatten(2), fg_bg.flatten(2)  # (B, 3, n)
    own, everywhere = x[:, :, None], torch.ones_like(x[:, :, None])
    terms = torch.cat([x[:, None].expand(-1, 3, -1, -1), own * parabola(bg), own * own, everywhere], 2)
    equations = torch.cat([terms, y[:, :, None]], 2).transpose(2, 3)  # (B, 3, n, 9), right side included
    # So many pixels' worth of evidence that each colour is best left as it is.
    same = torch.eye(8, 9, device=bg.device) + F.pad(torch.eye(3, device=bg.device)[:, :, None], (8, 0, 0, 5))
    ridge = RIDGE * x.shape[-1] * same
    for scale in scales:
        weight = cauchy(y - (light[:, :, None] @ terms)[:, :, 0], scale)[:, None]  # (B, 1, 1, n)
        light = solve(((terms * weight) @ equations + ridge).flatten(0, 1)).unflatten(0, (-1, 3))
    return light


def match_colours(bg: Tensor, fg_bg: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset per colour (B, 3, 1) that bring (B, 3, h, w) `bg` closest to `fg_bg`, robustly."""
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
    return gain, target_mean[..., 0] + offset - gain * mean[..., 0]


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
