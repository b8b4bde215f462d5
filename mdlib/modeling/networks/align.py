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

# (how many pixels make one, how many steps): shifts of some pixels are found where they are below one pixel.
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
        finest, coarsest = LEVELS[-1][0], LEVELS[0][0] // LEVELS[-1][0]
        fine, fine_target = F.avg_pool2d(bg, finest), F.avg_pool2d(fg_bg, finest)
        first_gain, first_offset = match_colours(
            F.avg_pool2d(fine, coarsest), F.avg_pool2d(fine_target, coarsest)
        )
        gain, offset = first_gain, first_offset
        motion = torch.eye(3, device=bg.device).expand(bg.shape[0], 3, 3)
        for factor, steps in LEVELS:
            small, target = F.avg_pool2d(fine, factor // finest), F.avg_pool2d(fine_target, factor // finest)
            for _ in range(steps):
                moved = warp(gain * small + offset, motion)
                motion = motion @ motion_step(moved.mean(1, keepdim=True), target.mean(1, keepdim=True))
            gain, offset = match_colours(warp(small, motion), target)
        # The candidates are judged where they were found: finest level, still a fraction of the full size.
        kept = misfit(small, target)
        recoloured = misfit(first_gain * small + first_offset, target)
        moved = misfit(gain * warp(small, motion) + offset, target)
        result = torch.where(recoloured < kept, first_gain * bg + first_offset, bg)
        better = moved < torch.minimum(kept, recoloured)
        return torch.where(better, gain * warp(bg, motion) + offset, result)


def match_colours(bg: Tensor, fg_bg: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset per colour (B, 3, 1, 1) that bring (B, 3, h, w) `bg` closest to `fg_bg`, robustly."""
    weight = torch.ones_like(bg[:, :1])
    for scale in COLOUR_SCALES:
        total = weight.sum((2, 3), keepdim=True)
        mean = (weight * bg).sum((2, 3), keepdim=True) / total
        target_mean = (weight * fg_bg).sum((2, 3), keepdim=True) / total
        x, y = bg - mean, fg_bg - target_mean
        covariance = (weight * x * y).sum((2, 3), keepdim=True) / total
        variance = (weight * x * x).sum((2, 3), keepdim=True) / total
        gain = (covariance + 1e-3) / (variance + 1e-3)  # 1 for a picture of one colour
        offset = target_mean - gain * mean
        weight = cauchy(fg_bg - gain * bg - offset, scale)
    return gain, offset


def motion_step(moved: Tensor, target: Tensor) -> Tensor:
    """One Gauss-Newton step (B, 3, 3) of an affine warp from (B, 1, h, w) `moved` towards `target`.

    In coordinates that go from -1 to 1 over the picture, as `warp` uses them.
    """
    height, width = moved.shape[-2:]
    residual = target - moved
    # Change of brightness per unit of a coordinate; a picture is 2 units wide.
    dx = F.pad(moved[..., 2:] - moved[..., :-2], (1, 1)) * (width / 4)
    dy = F.pad(moved[..., 2:, :] - moved[..., :-2, :], (0, 0, 1, 1)) * (height / 4)
    x, y = coordinates(width, moved), coordinates(height, moved)[:, None]
    jacobian = torch.cat([dx * x, dx * y, dx, dy * x, dy * y, dy], 1).flatten(2)  # (B, 6, h w)
    weighted = jacobian * cauchy(residual, MOTION_SCALE).flatten(2)
    normal = weighted @ jacobian.transpose(1, 2)  # (B, 6, 6)
    normal = normal + DAMPING * height * width * torch.eye(6, device=moved.device)
    step = solve(normal, (weighted @ residual.flatten(2).transpose(1, 2))[..., 0])
    step = step.clamp(-LARGEST_STEP, LARGEST_STEP).unflatten(1, (2, 3))
    return torch.eye(3, device=moved.device) + F.pad(step, (0, 0, 0, 1))


def solve(matrix: Tensor, right: Tensor) -> Tensor:
    """x of `matrix` x = `right` for symmetric positive definite (B, n, n), (B, n).

    By elimination, written out: exporters do not know `torch.linalg.solve`.
    """
    augmented = torch.cat([matrix, right[..., None]], 2)  # (B, n, n + 1)
    for i, unit in enumerate(torch.eye(matrix.shape[1], device=matrix.device)[..., None]):
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
    return (torch.arange(size, dtype=like.dtype, device=like.device) * 2 + 1) / size - 1


def cauchy(residual: Tensor, scale: float) -> Tensor:
    """Weight (B, 1, h, w) of a residual (B, C, h, w): 1 for a perfect fit, 1/2 for an error of `scale`."""
    return 1 / (1 + residual.square().sum(1, keepdim=True) / scale**2)


def misfit(picture: Tensor, target: Tensor) -> Tensor:
    """Share of (B, C, h, w) that does not fit, (B, 1, 1, 1), counted softly."""
    return 1 - cauchy(target - picture, ACCEPT_SCALE).mean((1, 2, 3), keepdim=True)
