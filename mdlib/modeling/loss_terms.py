"""The formulas of the loss terms, each for a prediction and its truth.

Both are (B, 1, H, W); `known` is a bool tensor of the same shape. Unknown depth is nan in the truth; it adds
nothing to a loss and nothing to a gradient. A term that looks at several pixels at once (a difference, a
window) counts only where all of them are known. Means are taken over the known pixels of the batch; without
any they are exactly 0, still connected to the graph. `whole` is the `known` of a batch of which this is a
part: then the result is the part's share of the whole batch's mean, and the shares of all parts add up to it,
however unevenly the known pixels are spread.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for values in [0, 1]
LOG_FLOOR = 1e-3  # closeness below this (farther than 500 m) has no useful logarithm
FAR = 0.02  # nor, where sky or relative depth may be trained on, below this (25 m)
GOLDEN_RATIO = 0.5 * (1 + 5**0.5)  # its multiples, modulo 1, fill [0, 1) evenly
PAIRS = 1024  # of pixels, in each picture
CLOSE = 0.1  # in log closeness: else nothing but pairs at the same distance would count


def known_mean(values: Tensor, known: Tensor, whole: Tensor | None = None) -> Tensor:
    """Mean of `values` where `known`; 0 where nothing is known. Values elsewhere may be anything finite."""
    return (values * known).sum() / (known if whole is None else whole).sum().clamp(min=1)


def error(pred: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """`pred - true` where known, 0 elsewhere: nan never enters the graph."""
    return torch.where(known, pred - torch.nan_to_num(true), 0)


def erode(known: Tensor | None, size: int) -> Tensor | None:
    """True where all pixels of the `size` x `size` window inside the picture are True; None stays None."""
    if known is None:
        return None
    return F.max_pool2d((~known).float(), size, stride=1, padding=size // 2) == 0


def dice(pred: Tensor, true: Tensor) -> Tensor:
    """1 - 2 sum(p t) / (sum(p^2) + sum(t^2)), per image, averaged (Milletari et al. 2016, "V-Net").

    The squares make the truth itself the optimum for soft masks too. One pixel is added above and below, so
    that an empty prediction of an empty mask is perfect.
    """
    both = (pred * true).sum((1, 2, 3))
    each = (pred.square() + true.square()).sum((1, 2, 3))
    return (1 - (2 * both + 1) / (each + 1)).mean()


def l1(pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None) -> Tensor:
    """Mean absolute error."""
    return known_mean(error(pred, true, known).abs(), known, whole)


def log_l1(pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None) -> Tensor:
    """Mean |log p - log t|: errors count in proportion, so those of far things as much as those of near ones.

    Closeness is near / z, so the value is the same for distances; all below FAR counts as FAR.
    """
    return known_mean(log_error(pred, true, known, FAR).abs(), known, whole)


def log_error(pred: Tensor, true: Tensor, known: Tensor, floor: float) -> Tensor:
    """`log pred - log true` where known, 0 elsewhere; what is less than `floor` counts as `floor`."""
    safe_true = torch.where(known, true, 1.0).clamp(min=floor)
    return torch.where(known, pred.clamp(min=floor).log() - safe_true.log(), 0)


def mse(pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None) -> Tensor:
    """Mean squared error."""
    return known_mean(error(pred, true, known).square(), known, whole)


def smooth_l1(
    pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None, beta: float = 0.1
) -> Tensor:
    """Mean of e^2 / (2 beta) for errors below `beta`, |e| - beta / 2 above (values lie in [0, 1])."""
    e = error(pred, true, known)
    return known_mean(F.smooth_l1_loss(e, torch.zeros_like(e), reduction="none", beta=beta), known, whole)


def gradient(pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None) -> Tensor:
    """Mean absolute error of the Sobel gradients, horizontal and vertical (weights / 8, edges repeated)."""
    e = error(pred, true, known)
    across = torch.arange(-1, 2, dtype=e.dtype, device=e.device)  # made there: a copy would wait for the GPU
    dx = (2 - across.abs())[:, None] * across / 8  # -1 0 1, -2 0 2, -1 0 1
    sobel = torch.stack([dx, dx.T])[:, None]  # (2, 1, 3, 3)
    # Sobel is linear: the gradient of the error is the error of the gradients.
    gradients = F.conv2d(F.pad(e, (1, 1, 1, 1), mode="replicate"), sobel)  # (B, 2, H, W)
    return known_mean(gradients.abs().mean(1, keepdim=True), erode(known, 3), erode(whole, 3))


def gradient_matching(
    pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None, scales: int = 4
) -> Tensor:
    """Sum over scales of the mean |difference of neighbouring errors| (Li and Snavely 2018, equation 5).

    Scale k keeps every 2^k-th pixel. Works on closeness rather than log depth.
    """
    e = error(pred, true, known)
    total = e.new_zeros(())
    for k in range(scales):
        e_k, known_k, whole_k = (x if x is None else x[..., :: 2**k, :: 2**k] for x in (e, known, whole))
        for dim in (2, 3):
            if e_k.shape[dim] > 1:
                both = known_mean(
                    e_k.diff(dim=dim).abs(), _neighbours(known_k, dim), _neighbours(whole_k, dim)
                )
                total = total + both
    return total


def _neighbours(known: Tensor | None, dim: int) -> Tensor | None:
    """Where two neighbours along `dim` are both known."""
    if known is None:
        return None
    pairs = known.shape[dim] - 1
    return known.narrow(dim, 0, pairs) & known.narrow(dim, 1, pairs)


def silog(
    pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None, weight: float = 0.5
) -> Tensor:
    """Scale-invariant log error mean(d^2) - weight * mean(d)^2 per image, d = log p - log t.

    From Eigen et al. 2014. Closeness is near / z, so d only changes its sign against metres and the value is
    the same. Images without known depth are left out of the mean.
    """
    d = log_error(pred, true, known, LOG_FLOOR).flatten(1)
    count = known.flatten(1).sum(1)
    mean, mean_square = d.sum(1) / count.clamp(min=1), d.square().sum(1) / count.clamp(min=1)
    images = None if whole is None else whole.flatten(1).any(1)
    return known_mean(mean_square - weight * mean.square(), count > 0, images)


def pairs(
    pred: Tensor, true: Tensor, on_object: Tensor, off_object: Tensor, whole: Tensor | None = None
) -> Tensor:
    """Mean of |d_p - d_t| / (CLOSE + |d_t|), d = log c - log c' of a pixel on an object and one off it.

    What is nearer, and by how much, as Chen et al. 2016 ("Single-Image Depth Perception in the Wild") ask of
    pairs, but with the true difference. `on_object` and `off_object` are known pixels; PAIRS pairs of each
    image are spread evenly over both. Images without one of the two are left out of the mean; `whole` (B,) is
    True for those of the whole batch that have both.
    """
    rank = (torch.arange(PAIRS, device=pred.device) + 0.5) / PAIRS
    on = pixels_at(on_object, rank)
    off = pixels_at(off_object, rank * PAIRS * GOLDEN_RATIO % 1)
    pred, true, known = (
        values.flatten(1).gather(1, torch.cat([on, off], 1))
        for values in (pred, true, on_object | off_object)
    )
    log_true = torch.where(known, true, 1.0).clamp(min=FAR).log()
    wrong, true_difference = (
        values[:, :PAIRS] - values[:, PAIRS:] for values in (log_error(pred, true, known, FAR), log_true)
    )
    per_image = (wrong.abs() / (CLOSE + true_difference.abs())).mean(1)
    return known_mean(per_image, has_both(on_object, off_object), whole)


def has_both(on_object: Tensor, off_object: Tensor) -> Tensor:
    """(B,) True for images in which either (B, 1, H, W) is True somewhere."""
    return on_object.flatten(1).any(1) & off_object.flatten(1).any(1)


def pixels_at(chosen: Tensor, ranks: Tensor) -> Tensor:
    """(B, N) numbers of pixels, in reading order, at the `ranks` (N,) from 0 to 1 among the `chosen` of each
    image, (B, 1, H, W) bool; any pixel where none is chosen.
    """
    running = chosen.flatten(1).cumsum(1)  # (B, H*W): chosen pixels so far
    count = running[:, -1:]
    wanted = torch.minimum((ranks * count).long(), count - 1) + 1  # which of the chosen, from 1
    return torch.searchsorted(running, wanted).clamp(max=running.shape[1] - 1)


def ssim(pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None) -> Tensor:
    """Mean of clamp((1 - SSIM) / 2, 0, 1), Gaussian window of 11 px and sigma 1.5 (Wang et al. 2004).

    Equals `kornia.losses.SSIMLoss(11)`.
    """
    x = torch.arange(-5, 6, dtype=pred.dtype, device=pred.device)
    kernel = torch.exp(-(x**2) / (2 * 1.5**2))
    kernel = kernel / kernel.sum()

    def blur(maps: Tensor) -> Tensor:
        maps = F.pad(maps, (5, 5, 5, 5), mode="reflect")
        return F.conv2d(F.conv2d(maps, kernel.view(1, 1, 11, 1)), kernel.view(1, 1, 1, 11))

    return _ssim_loss(pred, true, known, whole, blur, 11)


def ssim3(pred: Tensor, true: Tensor, known: Tensor, whole: Tensor | None = None) -> Tensor:
    """As `ssim` with a plain 3 x 3 average as the window (Godard et al. 2017): several times faster."""

    def blur(maps: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="reflect"), 3, stride=1)

    return _ssim_loss(pred, true, known, whole, blur, 3)


def _ssim_loss(
    pred: Tensor,
    true: Tensor,
    known: Tensor,
    whole: Tensor | None,
    blur: Callable[[Tensor], Tensor],
    window: int,
) -> Tensor:
    x, y = torch.where(known, pred, 0), torch.where(known, true, 0)
    mean_x, mean_y, xx, yy, xy = blur(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    var_x, var_y, cov = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    above = (2 * mean_x * mean_y + SSIM_C1) * (2 * cov + SSIM_C2)
    below = (mean_x**2 + mean_y**2 + SSIM_C1) * (var_x + var_y + SSIM_C2)
    return known_mean(((1 - above / below) / 2).clamp(0, 1), erode(known, window), erode(whole, window))
