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
# Where a pixel is solved at full size: of its 3 x 3 neighbours so much is object, and so much is none.
OUTLINE = 0.8
CERTAIN = 32  # the power of the mask by which its pixels tell the object's colour: only those all of it do
ALIKE = 0.01  # squared distance in light of object and background at which a solution counts half,
BESIDE = 40.0  # and so many times the squared distance of the pixel from the line between the two


@torch.no_grad()
def matte(bg: Tensor, fg_bg: Tensor, coarse: Tensor) -> Tensor:
    """Alpha, and how well it can be told, of each pixel in 2 x 2 blocks -> (B, 8, H/2, W/2).

    bg, fg_bg: (B, 3, 4, H/2, W/2) in [0, 1], the four pixels of each block. coarse: (B, 1, H/2, W/2), the
    mask of half the size in [0, 1]. The first four channels are alpha, -0.5 to 1.5 (less or more is cut off),
    the last four how far the colours of object and background are apart in linear light. No gradient flows.
    """
    behind, seen = light(bg), light(fg_bg)
    colour = object_colour(seen.mean(2), coarse.to(seen).square())  # in 3 x 3 blocks around each
    whole = colour[:, :, None] - behind  # what the object would change if it filled the pixel
    alpha, size = projected(seen - behind, whole)
    return torch.cat([alpha.clamp(-0.5, 1.5), size.sqrt()], 1)


def sharpen(logits: Tensor, bg: Tensor, fg_bg: Tensor) -> Tensor:
    """Mask logits (B, 1, H, W), at the object's outline corrected by the compositing equation, in float32.

    bg, fg_bg: (B, 3, H, W) in [0, 1]. What is wrong with a good mask are the pixels that the outline crosses,
    and there the pixels beside them tell the object's colour. How much of the correction is taken, the trust,
    grows with the distance of object and background, and falls with what no mixture of the two explains.
    Gradients pass straight to `logits`, by 1 - trust: those of the correction itself would be large or none
    where a logit is far from its solution.
    """
    logits = logits.float()
    with torch.no_grad():
        mask = logits.sigmoid()
        behind, seen = light(bg.float()), light(fg_bg.float())
        whole = object_colour(seen, mask**CERTAIN) - behind
        change = seen - behind
        alpha, size = (x[:, None] for x in projected(change, whole))
        alpha = alpha.clamp(0, 1)
        beside = (change - alpha * whole).square().sum(1, keepdim=True)
        trust = size / (size + ALIKE + BESIDE * beside)
        solved = mask + trust * (alpha - mask)
        outline = (sums_of_3x3(mask) > OUTLINE) & (sums_of_3x3(1 - mask) > OUTLINE)
        found = torch.where(outline, solved.clamp(1e-3, 1 - 1e-3).logit(), logits)
        share = torch.where(outline, 1 - trust, 1.0)
    return found + share * (logits - logits.detach())


def light(picture: Tensor) -> Tensor:
    """Linear light of values in [0, 1]; squares are close enough (sRGB: about to the power 2.2), and fast."""
    return picture.square()


def object_colour(seen: Tensor, certain: Tensor) -> Tensor:
    """The object's mean colour in 3 x 3 places: (B, 3, h, w), from `seen` and weights (B, 1, h, w)."""
    around = sums_of_3x3(torch.cat([seen * certain, certain], 1))
    return around[:, :3] / (around[:, 3:] + 1e-5)


def projected(change: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
    """Which share of `whole` (B, 3, ...) is `change`, by projection, and the squared length of `whole`."""
    size = whole.square().sum(1)
    return (change * whole).sum(1) / (size + NOISE), size


def sums_of_3x3(x: Tensor) -> Tensor:
    """The sum over each place of (B, C, h, w) and its 8 neighbours; five times faster than avg_pool2d."""
    x = F.pad(x, (1, 1, 1, 1))
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return x[..., :-2] + x[..., 1:-1] + x[..., 2:]
