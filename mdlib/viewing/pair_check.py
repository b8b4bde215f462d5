"""Do two pictures show the same place, and which one is empty? Hints for people, found without a network.

| measure | how | one place | two places |
| --- | --- | --- | --- |
| agreement | share of a picture's textured half found again in the other | 0.46 to 1 | 0 to 0.21 |
| edges | log(edges of the scene / of the empty place) along the rim of what changed | above -0.2 | |

Ranges of 40 photographs of an office and 40 drawn rooms, each with an object, clean and disturbed in six
ways, and of 80 other places (`python -m benchmarks.quality.pair_check DATA ...`). Of swapped pictures 62 to
100 % are noticed where the spot is the same, 20 to 92 % where the camera moved. Camouflaged objects have weak
rims: 8 to 25 % of them are taken for swapped; of all others none is.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE_PX = 96  # longer side at which pictures are compared
REACH_PX = 4  # how far a place may have moved: 4 % of the picture
BLOCK_PX = 12
FOUND_AGAIN = 0.7  # correlation from which a block counts
SAME_PLACE = 0.4  # least agreement of two pictures of one place
SWAPPED = -0.2  # edges below this speak for the other order
RIM_SIDE_PX = 112
UNCHANGED = 0.03  # of full scale: a change that is no more than noise
LUMA = (0.299, 0.587, 0.114)


class PairCheck(NamedTuple):
    """What was measured (see above; edges is nan where nothing changed), and sentences for people."""

    agreement: float
    edges: float
    hints: list[str]


def check_pair(bg_img: np.ndarray, fg_bg_img: np.ndarray) -> PairCheck:
    """Compare two pictures (H,W,3) uint8 of equal size: the same place, in the right order, and different?

    Deterministic, about 50 ms. Hints, no proof: an object that hides most of the picture looks like another
    place, and a thing that was taken away looks like swapped pictures.
    """
    if bg_img.shape != fg_bg_img.shape:
        raise ValueError(f"the pictures are {bg_img.shape} and {fg_bg_img.shape}; give two of one size")
    bg, fg_bg = (torch.from_numpy(np.array(img)).permute(2, 0, 1)[None] / 255 for img in (bg_img, fg_bg_img))
    agreement = _agreement(_shrunk(bg, SIDE_PX), _shrunk(fg_bg, SIDE_PX))
    edges = _edges(_shrunk(bg, RIM_SIDE_PX), _shrunk(fg_bg, RIM_SIDE_PX))
    hints = []
    if agreement < SAME_PLACE:
        hints.append(
            f"These may be two different places: only {agreement:.0%} of the picture looks alike. Both "
            f"pictures must be taken from the same spot, with and without the object."
        )
    elif edges != edges:
        hints.append("The two pictures are nearly the same: there may be nothing to find.")
    elif edges < SWAPPED:
        hints.append(
            "The two pictures may be swapped: the object seems to be in the first one. The first picture "
            "should show the empty place, the second one the scene with the object."
        )
    return PairCheck(agreement, edges, hints)


def _shrunk(picture: Tensor, side: int) -> Tensor:
    scale = side / max(picture.shape[-2:])
    if scale >= 1:
        return picture
    size = [max(16, round(length * scale)) for length in picture.shape[-2:]]
    return F.interpolate(picture, size, mode="bilinear", antialias=True)


def _agreement(bg: Tensor, fg_bg: Tensor) -> float:
    """Gradients of brightness, compared block by block by their correlation at the best of all small shifts.

    Correlation does not see brightness or contrast; gradients do not see slow changes of the light.
    """
    a, b = (_gradient((x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)) for x in (bg, fg_bg))
    block = min(BLOCK_PX, *a.shape[-2:])

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, block, max(1, block // 2)).sum(1)

    height, width = a.shape[-2:]
    texture, moved = mean(a * a), F.pad(b, [REACH_PX] * 4)
    best = torch.full_like(texture, -1.0)
    for y in range(2 * REACH_PX + 1):
        for x in range(2 * REACH_PX + 1):
            at = moved[..., y : y + height, x : x + width]
            correlation = mean(a * at) / (texture * mean(at * at)).clamp(min=1e-12).sqrt()
            best = torch.maximum(best, correlation)
    textured = (texture >= texture.median()) & (texture > 1e-5)
    if not textured.any():  # bare walls: nothing speaks against the same place
        return 1.0
    return float((best[textured] > FOUND_AGAIN).float().mean())


def _gradient(gray: Tensor) -> Tensor:
    return torch.cat(
        [gray[..., 1:-1, 2:] - gray[..., 1:-1, :-2], gray[..., 2:, 1:-1] - gray[..., :-2, 1:-1]], 1
    )


def _edges(bg: Tensor, fg_bg: Tensor) -> float:
    """What changed has a rim in the picture that shows the object; in the empty one the place goes on."""
    change = F.avg_pool2d((_same_light(bg, fg_bg) - fg_bg).abs().amax(1, keepdim=True), 5, 1, 2)
    if float(change.max()) < UNCHANGED:
        return float("nan")
    inside = (change > _otsu(change)).float()
    rim = F.max_pool2d(inside, 5, 1, 2) - (-F.max_pool2d(-inside, 5, 1, 2))
    with_object, without = (float((_steepness(x) * rim).sum()) + 1e-6 for x in (fg_bg, bg))
    return float(np.log(with_object / without))


def _steepness(x: Tensor) -> Tensor:
    across = F.pad((x[..., 2:] - x[..., :-2]).abs(), (1, 1, 0, 0))
    down = F.pad((x[..., 2:, :] - x[..., :-2, :]).abs(), (0, 0, 1, 1))
    return (across + down).amax(1, keepdim=True)


def _same_light(bg: Tensor, fg_bg: Tensor) -> Tensor:
    """bg in the light of fg_bg: gain and offset of each colour, fitted to the 60 % that fit best."""
    a, b = bg[0].flatten(1), fg_bg[0].flatten(1)
    weight = torch.ones_like(a[0])
    for _ in range(4):
        total = weight.sum()
        mean_a, mean_b = (a * weight).sum(1, keepdim=True) / total, (b * weight).sum(1, keepdim=True) / total
        spread = ((a - mean_a).square() * weight).sum(1, keepdim=True) + 1e-4
        gain = ((a - mean_a) * (b - mean_b) * weight).sum(1, keepdim=True) / spread
        fitted = gain * (a - mean_a) + mean_b
        error = (fitted - b).abs().amax(0)
        weight = (error <= error.quantile(0.6)).float()
    return fitted.view_as(bg)


def _otsu(values: Tensor) -> float:
    """The threshold between two groups of values that differ most (Otsu 1979)."""
    ordered = values.flatten().sort().values
    total, count = ordered.cumsum(0), len(ordered)
    below = torch.arange(1, count, device=values.device)
    means = total[:-1] / below, (total[-1] - total[:-1]) / (count - below)
    return float(ordered[:-1][(below * (count - below) * (means[1] - means[0]).square()).argmax()])
