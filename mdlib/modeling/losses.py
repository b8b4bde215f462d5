"""Losses: named terms on mask and depth, combined by a dict of weights.

Words: a prediction and its truth are (B, 1, H, W); `known` is a bool tensor of the same shape. Unknown depth
is nan in the truth; it adds nothing to a loss and nothing to a gradient. A term that looks at several pixels
at once (a difference, a window) counts only where all of them are known. Means are taken over the known
pixels of the batch; without any they are exactly 0, still connected to the graph. `whole` is the `known` of a
batch of which this is a part: then the result is the part's share of the whole batch's mean, and the shares
of all parts add up to it, however unevenly the known pixels are spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mdlib.modeling.networks.base import MaskDepth

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for values in [0, 1]
LOG_FLOOR = 1e-3  # closeness below this (farther than 500 m) has no useful logarithm
FAR = 0.02  # nor, where sky or relative depth may be trained on, below this (25 m)

# Named after what they reproduce. A network without depth skips the depth terms.
PRESETS: dict[str, dict[str, float]] = {
    "mdnet": {
        "mask_bce": 1.0,
        "mask_dice": 1.0,
        "depth_l1": 1.0,
        "depth_log_l1": 0.2,
        "depth_gradient": 1.0,
    },
    "BCE + Dice and L1 + gradient": {
        "mask_bce": 1.0,
        "mask_dice": 1.0,
        "depth_l1": 1.0,
        "depth_gradient": 1.0,
    },
    "BCE + L1": {"mask_bce": 1.0, "depth_l1": 1.0},
    "BCE + Dice": {"mask_bce": 1.0, "mask_dice": 1.0},
    "BCE + MSE": {"mask_bce": 1.0, "depth_mse": 1.0},
    "BCE + smooth L1": {"mask_bce": 1.0, "depth_smooth_l1": 1.0},
    "BCE + SSIM": {"mask_bce": 1.0, "depth_ssim": 1.0},
    # Depth as in Alhashim and Wonka 2018 ("DenseDepth"): SSIM + gradient + 0.1 L1.
    "L1 + gradient + SSIM": {"mask_bce": 1.0, "depth_l1": 0.1, "depth_gradient": 1.0, "depth_ssim": 1.0},
    # The same three terms, unweighted, and SSIM for the fine structures of the mask.
    "BCE + SSIM and L1 + gradient + SSIM": {
        "mask_bce": 1.0,
        "mask_ssim": 1.0,
        "depth_l1": 1.0,
        "depth_gradient": 1.0,
        "depth_ssim": 1.0,
    },
    "BCE + SILog": {"mask_bce": 1.0, "depth_silog": 1.0},
    # The second half of the loss of Li and Snavely 2018 ("MegaDepth"), beside a plain L1.
    "L1 + gradient matching": {"mask_bce": 1.0, "depth_l1": 1.0, "depth_matching": 0.5},
}


class Losses:
    """A weighted sum of named terms.

    `weights` maps a name "mask_<kind>" or "depth_<kind>" to its factor; see `term_names()`. Calling it with a
    network's output and a float batch (a dict with `mask` and `depth`) returns a dict of the terms before
    weighting plus "total", all scalars on the device. Everything is computed in float32. Where the batch is a
    part of the batch `whole`, these are its shares: the sums over all parts are those of `whole`.
    Raises ValueError for unknown names, negative or infinite weights, or when nothing is left to add up.
    """

    def __init__(self, weights: Mapping[str, float] = PRESETS["mdnet"]) -> None:
        for name, weight in weights.items():
            if name not in term_names():
                raise ValueError(f"unknown loss term {name!r}; known terms: {', '.join(term_names())}")
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"weight of {name} is {weight}; expected a finite number >= 0")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight > 0}
        if not self.weights:
            raise ValueError("no loss term has a weight above 0; give at least one, such as {'mask_bce': 1}")

    def __call__(
        self, pred: MaskDepth, batch: Mapping[str, Tensor], whole: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        logits = pred.mask_logits
        # Autocast would run the convolutions of SSIM and gradients in half precision.
        with torch.autocast(logits.device.type, enabled=False):
            terms = {}
            for name in self.weights:
                target, kind = name.split("_", 1)
                if target == "depth" and pred.depth is None:
                    continue
                value = pred.depth if target == "depth" else logits
                of = None if whole is None or whole is batch else whole[target]
                terms[name] = _TERMS[target][kind](value.float(), batch[target].float(), of)
            if not terms:
                raise ValueError(
                    f"a network without depth has no use for {', '.join(self.weights)}; add a mask term"
                )
            terms["total"] = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return terms


def term_names() -> list[str]:
    """All names that `Losses` understands."""
    return [f"{target}_{kind}" for target, kinds in _TERMS.items() for kind in kinds]


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
                both = known_mean(e_k.diff(dim=dim).abs(), _pairs(known_k, dim), _pairs(whole_k, dim))
                total = total + both
    return total


def _pairs(known: Tensor | None, dim: int) -> Tensor | None:
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


# Terms as `Losses` calls them: prediction, truth, and the truth of the whole batch or None.
Term = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _per_image(term: Callable[[Tensor, Tensor], Tensor]) -> Term:
    return lambda pred, true, of=None: term(pred, true) * (1.0 if of is None else len(true) / len(of))


def _of_mask(term: Callable[..., Tensor]) -> Term:
    def known(mask: Tensor | None) -> Tensor | None:
        return None if mask is None else torch.ones_like(mask, dtype=torch.bool)

    return lambda logits, mask, of=None: term(logits.sigmoid(), mask, known(mask), known(of))


def _of_depth(term: Callable[..., Tensor]) -> Term:
    return lambda depth, true, of=None: term(
        depth, true, true.isfinite(), None if of is None else of.isfinite()
    )


_BOTH = {"l1": l1, "smooth_l1": smooth_l1, "mse": mse, "ssim": ssim, "ssim3": ssim3, "gradient": gradient}
_TERMS: dict[str, dict[str, Term]] = {
    "mask": {
        "bce": _per_image(F.binary_cross_entropy_with_logits),
        "dice": _per_image(lambda logits, mask: dice(logits.sigmoid(), mask)),
        **{kind: _of_mask(term) for kind, term in _BOTH.items()},
    },
    "depth": {
        **{kind: _of_depth(term) for kind, term in _BOTH.items()},
        "log_l1": _of_depth(log_l1),
        "silog": _of_depth(silog),
        "matching": _of_depth(gradient_matching),
    },
}
