"""How much of each pixel belongs to the object, solved from the compositing equation; nothing is learned.

Light adds up linearly: a pixel of `fg_bg` is C = alpha F + (1 - alpha) B (Porter and Duff 1984), where B is
the background behind it and F the object's colour. B is known here, and F is much like the colour of the
object beside the edge, so alpha follows by projection, as in matting with a known background (Smith and Blinn
1996).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE = 1e-4  # squared light that says nothing: alpha is small where object and background look alike


@torch.no_grad()
def matte(bg: Tensor, fg_bg: Tensor, coarse: Tensor) -> Tensor:
    """Alpha, and how well it can be told, of each pixel in 2 x 2 blocks -> (B, 8, H/2, W/2).

    bg, fg_bg: (B, 3, 4, H/2, W/2) in [0, 1], the four pixels of each block. coarse: (B, 1, H/2, W/2), the
    mask of half the size in [0, 1]. The first four channels are alpha, -0.5 to 1.5 (less or more is cut off),
    the last four how far the colours of object and background are apart in linear light. No gradient flows.
    """
    # Squares are close enough to linear light (sRGB has an exponent of about 2.2), and fast.
    behind, seen = bg.square(), fg_bg.square()
    certain = coarse.to(seen).square()
    around = sums_of_3x3(torch.cat([seen.mean(2) * certain, certain], 1))
    colour = around[:, :3] / (around[:, 3:] + 1e-5)  # of the object, in 3 x 3 blocks around each
    whole = colour[:, :, None] - behind  # what the object would change if it filled the pixel
    size = whole.square().sum(1)
    alpha = ((seen - behind) * whole).sum(1) / (size + NOISE)
    return torch.cat([alpha.clamp(-0.5, 1.5), size.sqrt()], 1)


def sums_of_3x3(x: Tensor) -> Tensor:
    """The sum over each place of (B, C, h, w) and its 8 neighbours; five times faster than avg_pool2d."""
    x = F.pad(x, (1, 1, 1, 1))
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return x[..., :-2] + x[..., 1:-1] + x[..., 2:]
