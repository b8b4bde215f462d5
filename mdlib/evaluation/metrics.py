"""Metrics of masks and depth maps, one value per image, batched, on the device of their arguments.

A metric of an image never depends on the other images of its batch; MetricSums averages over images. `nan`
means that an image has no value for a metric (say, no known depth) and stays out of its mean. Masks are soft,
(B,1,H,W) in [0, 1], and cut at 0.5 (above is object) where a binary one is needed. Depth maps are (B,1,H,W)
closeness, converted to z = near / closeness in metres; nan in the true map marks unknown pixels.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdlib.evaluation.matting_errors import connectivity_error, gradient_error
from mdlib.loading.codec import FAR_MM, NEAR_M
from mdlib.modeling.loss_terms import has_both, pixels_at

MASK_METRICS = ("iou", "dice", "mad", "mse", "grad")
SLOW_MASK_METRICS = ("boundary_f", "conn")
PIXEL_METRICS = ("abs_rel", "rmse", "rmse_log", "log10", "silog", "delta1", "delta2", "delta3")
DEPTH_METRICS = (*PIXEL_METRICS, "rmse_over_std", "edge_f", "order", *(f"object_{m}" for m in PIXEL_METRICS))

FAR_M = FAR_MM / 1000  # depth is stored up to here; predictions are cut at it
SI_FAR_M = 10.0  # after scale and shift no pixel counts as farther than this (the usual limit for rooms)
EDGE_RATIO = 1.15  # a depth edge: farthest / nearest z among a pixel and its 8 neighbours is above this
TOLERANCE_PX = 2
ORDER_PAIRS = 512


def mask_metrics(pred: Tensor, true: Tensor) -> dict[str, Tensor]:
    """MASK_METRICS of soft masks (B,1,H,W) in [0, 1]: a dict of (B,) tensors.

    iou = |P and T| / |P or T| and dice = 2 |P and T| / (|P| + |T|) of the masks cut at 0.5, 1 where both are
    empty; mad = mean |p - t|, mse = mean (p - t)^2 of the soft masks; grad: see matting.gradient_error.
    """
    _check_pair(pred, true)
    P, T = (pred > 0.5).flatten(1), (true > 0.5).flatten(1)
    both, total = (P & T).sum(1).float(), (P.sum(1) + T.sum(1)).float()
    difference = (pred - true).flatten(1)
    return {
        "iou": _ratio(both, total - both),
        "dice": _ratio(2 * both, total),
        "mad": difference.abs().mean(1),
        "mse": difference.square().mean(1),
        "grad": gradient_error(pred, true),
    }


def slow_mask_metrics(pred: Tensor, true: Tensor) -> dict[str, Tensor]:
    """SLOW_MASK_METRICS of soft masks (B,1,H,W), which the protocol takes on fewer images.

    boundary_f: F1 of boundary pixels (object pixels with a 4-neighbour off the object) within 2 px; conn: see
    matting.connectivity_error.
    """
    _check_pair(pred, true)
    matched = _matched_f(_boundary(pred > 0.5), _boundary(true > 0.5))
    return {"boundary_f": matched, "conn": connectivity_error(pred, true)}


def depth_metrics(pred: Tensor, true: Tensor, mask: Tensor, align: bool = False) -> dict[str, Tensor]:
    """DEPTH_METRICS of closeness maps (B,1,H,W): a dict of (B,) tensors, nan where nothing is known.

    Means run over the pixels with known true depth; the names that start with object_ over those of them
    where mask, the true one, is above 0.5. Formulas of Eigen et al. 2014, z in metres (silog: the root of
    their equation 1); rmse_over_std: rmse over the standard deviation of the image's true z; edge_f: F1
    within 2 px of the pixels in whose 3x3 neighbourhood z varies by more than EDGE_RATIO; order: share of
    ORDER_PAIRS fixed random pixel pairs, one on the object and one off it, whose truly nearer pixel is
    predicted nearer (pairs at the same true depth do not count). With align, pred first takes the scale and
    shift of least squared error in closeness, both maps are cut at SI_FAR_M, and every name starts with si_.
    """
    _check_pair(pred, true)
    valid = torch.isfinite(true)
    order = _order(pred, true, valid, mask > 0.5)
    far = SI_FAR_M if align else FAR_M
    z_pred = NEAR_M / (_aligned(pred, true, valid) if align else pred).clamp(NEAR_M / far, 1)
    z_true = NEAR_M / torch.where(valid, true, 1.0).clamp(NEAR_M / far, 1)
    known, on_object = valid.to(z_pred), (valid & (mask > 0.5)).to(z_pred)
    values = _pixel_metrics(z_pred, z_true, known)
    spread = _mean((z_true - _spatial(_mean(z_true, known))).square(), known).sqrt()
    # A flat map has no spread to compare with: nan, not infinite.
    values["rmse_over_std"] = values["rmse"] / torch.where(spread > 1e-6, spread, torch.nan)
    edge_f = _matched_f(_depth_edges(z_pred, valid), _depth_edges(z_true, valid))
    values["edge_f"] = torch.where(valid.flatten(1).any(1), edge_f, torch.nan)
    values["order"] = order
    values |= {f"object_{name}": value for name, value in _pixel_metrics(z_pred, z_true, on_object).items()}
    return {f"si_{name}" if align else name: value for name, value in values.items()}


def _check_pair(pred: Tensor, true: Tensor) -> None:
    if pred.shape != true.shape or pred.ndim != 4 or pred.shape[1] != 1:
        raise ValueError(
            f"prediction {tuple(pred.shape)} and truth {tuple(true.shape)} do not fit: "
            "expected the same (B,1,H,W) of both"
        )


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 1 where the whole is empty: nothing to find and nothing found."""
    return torch.where(whole > 0, part / whole.clamp(min=1), 1.0)


def _mean(x: Tensor, weight: Tensor) -> Tensor:
    """(B,) means of finite x (B,1,H,W) over the pixels of weight 1 (others 0); nan where there are none."""
    return (x * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)


def _spatial(values: Tensor) -> Tensor:
    """(B,) -> (B,1,1,1)."""
    return values.view(-1, 1, 1, 1)


def _pixel_metrics(z_pred: Tensor, z_true: Tensor, weight: Tensor) -> dict[str, Tensor]:
    difference, ratio = z_pred - z_true, z_pred / z_true
    log_ratio = ratio.log()
    values = {
        "abs_rel": _mean(difference.abs() / z_true, weight),
        "rmse": _mean(difference.square(), weight).sqrt(),
        "rmse_log": _mean(log_ratio.square(), weight).sqrt(),
        "log10": _mean(log_ratio.abs(), weight) / np.log(10.0),
        # The variance of the log ratio, in the form that does not cancel.
        "silog": _mean((log_ratio - _spatial(_mean(log_ratio, weight))).square(), weight).sqrt(),
    }
    worse = torch.maximum(ratio, 1 / ratio)
    return values | {f"delta{k}": _mean((worse < 1.25**k).float(), weight) for k in (1, 2, 3)}


def _aligned(pred: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """pred with the scale and shift that bring it nearest to the true closeness (Ranftl et al. 2020)."""
    weight, true = valid.to(pred), torch.where(valid, true, 0.0)
    mean_pred, mean_true = _spatial(_mean(pred, weight)), _spatial(_mean(true, weight))
    covariance = _mean((pred - mean_pred) * (true - mean_true), weight)
    variance = _mean((pred - mean_pred).square(), weight)
    scale = torch.where(variance > 1e-12, covariance / variance, 0.0)  # a constant map has only its shift
    return _spatial(scale) * (pred - mean_pred) + mean_true


def _boundary(marked: Tensor) -> Tensor:
    """Marked pixels of (B,1,H,W) bool with a 4-neighbour that is not; beyond the picture nothing changes."""
    inside = marked.clone()
    inside[..., 1:, :] &= marked[..., :-1, :]
    inside[..., :-1, :] &= marked[..., 1:, :]
    inside[..., 1:] &= marked[..., :-1]
    inside[..., :-1] &= marked[..., 1:]
    return marked & ~inside


def _depth_edges(z: Tensor, valid: Tensor) -> Tensor:
    """Known pixels in whose 3x3 neighbourhood the known z differ by more than the factor EDGE_RATIO."""
    farthest = _highest_of_nine(torch.where(valid, z, -torch.inf))
    nearest = -_highest_of_nine(torch.where(valid, -z, -torch.inf))
    return valid & (farthest > EDGE_RATIO * nearest)


def _highest_of_nine(x: Tensor) -> Tensor:
    """The maximum of each pixel and its 8 neighbours; slices take a tenth of max_pool2d's time on a CPU."""
    x = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    x = torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
    return torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])


def _within_tolerance(marked: Tensor) -> Tensor:
    """(B,1,H,W) bool, dilated by a Euclidean disk of 2 px: the 13 offsets with dx^2 + dy^2 <= 4."""
    r, (height, width) = TOLERANCE_PX, marked.shape[-2:]
    padded = F.pad(marked, (r, r, r, r))
    offsets = [(dy, dx) for dy in range(-r, r + 1) for dx in range(-r, r + 1) if dx * dx + dy * dy <= r * r]
    near = torch.zeros_like(marked)
    for dy, dx in offsets:
        near |= padded[..., r + dy : r + dy + height, r + dx : r + dx + width]
    return near


def _matched_f(pred: Tensor, true: Tensor) -> Tensor:
    """(B,) F1 of marked pixels, each matched if the other map has one within 2 px; 1 where both are empty."""
    found = (pred & _within_tolerance(true)).flatten(1).sum(1).float()
    recalled = (true & _within_tolerance(pred)).flatten(1).sum(1).float()
    in_pred, in_true = pred.flatten(1).sum(1), true.flatten(1).sum(1)
    precision, recall = found / in_pred.clamp(min=1), recalled / in_true.clamp(min=1)
    f = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    return torch.where((in_pred == 0) & (in_true == 0), 1.0, f)


def _order(pred: Tensor, true: Tensor, valid: Tensor, on_object: Tensor) -> Tensor:
    """(B,) share of the pairs in the right order. The k-th pair takes the same quantiles in every image."""
    raw = np.random.PCG64(np.random.SeedSequence(0)).random_raw(2 * ORDER_PAIRS)
    quantiles = torch.from_numpy((raw >> np.uint64(32)) * 2.0**-32).view(2, -1).float().to(pred.device)
    chosen = valid & on_object, valid & ~on_object
    on, off = (pixels_at(*each) for each in zip(chosen, quantiles, strict=True))
    pred_on, pred_off, true_on, true_off = (
        depth.flatten(1).gather(1, pixel) for depth in (pred, true) for pixel in (on, off)
    )
    ordered = (true_on != true_off) & has_both(*chosen)[:, None]
    right = ordered & (torch.sign(pred_on - pred_off) == torch.sign(true_on - true_off))
    return right.sum(1) / ordered.sum(1)  # 0 / 0 = nan


class MetricSums:
    """Sum and number of images of every metric, for streaming over batches.

    `table` is a (2, metrics) float64 CPU tensor, row 0 sums, row 1 counts, so the batch size changes no mean.
    """

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        self.table = torch.zeros(2, len(self.names), dtype=torch.float64)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add the (B,) values of one batch per metric; nan values are left out, absent metrics untouched."""
        unknown = [name for name in values if name not in self.names]
        if unknown:
            raise ValueError(f"metric {unknown[0]!r} is not among those summed here: {', '.join(self.names)}")
        columns = [self.names.index(name) for name in values]
        batch = torch.stack([value.float() for value in values.values()]).cpu().double()  # (metrics, B)
        self.table[0, columns] += torch.where(batch.isnan(), 0.0, batch).sum(1)
        self.table[1, columns] += (~batch.isnan()).sum(1)

    def means(self) -> dict[str, float]:
        """Mean over the images that have a value; metrics without any are left out."""
        return {name: (s / n).item() for name, (s, n) in self._columns() if n > 0}

    def counts(self) -> dict[str, int]:
        """Number of images that have a value, per metric with any."""
        return {name: int(n) for name, (_, n) in self._columns() if n > 0}

    def _columns(self) -> Iterable[tuple[str, Tensor]]:
        return zip(self.names, self.table.T, strict=True)
