"""The two perceptual errors of the alpha-matting benchmark: gradient and connectivity (Rhemann et al. 2009).

Both are sums over the whole image (no trimap) divided by 1000, as in the benchmark's tables, so they grow
with the number of pixels. Lower is better.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

GRADIENT_SIGMA_PX = 1.4
LEVELS = 10  # thresholds 0.1 to 1.0
SLACK = 0.15  # a distance to the connected level below this does not count


def gradient_error(pred: Tensor, true: Tensor) -> Tensor:
    """(B,) sum of (|grad p| - |grad t|)^2 / 1000 of soft masks (B,1,H,W).

    Gradients by Gaussian derivatives of sigma 1.4, each kernel of unit norm and cut where the Gaussian falls
    below 0.01, edge pixels repeated: the benchmark's own filter.
    """
    difference = _gradient(pred.float()) - _gradient(true.float())
    return difference.square().flatten(1).sum(1) / 1000


def _gradient(alpha: Tensor) -> Tensor:
    sigma = GRADIENT_SIGMA_PX
    reach = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * 0.01)))
    x = torch.arange(-reach, reach + 1, dtype=torch.float64)
    smooth = torch.exp(-(x**2) / (2 * sigma**2))
    slope = x * smooth
    # The norm of a separable kernel is the product of its factors' norms.
    smooth, slope = ((k / k.norm()).tolist() for k in (smooth, slope))
    padded = F.pad(alpha, (reach, reach, reach, reach), mode="replicate")
    along_x = _correlated(_correlated(padded, slope, -1), smooth, -2)
    along_y = _correlated(_correlated(padded, smooth, -1), slope, -2)
    return (along_x.square() + along_y.square()).sqrt()


def _correlated(x: Tensor, kernel: list[float], axis: int) -> Tensor:
    """x with a kernel along one axis, no padding; slices take a third of a one-channel convolution's time."""
    kept = x.shape[axis] - len(kernel) + 1
    total = x.narrow(axis, 0, kept) * kernel[0]
    for k, weight in enumerate(kernel[1:], 1):
        total.add_(x.narrow(axis, k, kept), alpha=weight)
    return total


def connectivity_error(pred: Tensor, true: Tensor) -> Tensor:
    """(B,) sum of |phi(p) - phi(t)| / 1000 of soft masks (B,1,H,W).

    The level l of a pixel is the highest threshold up to which it belongs to the largest 4-connected region
    where both masks reach the threshold; phi(a) = 1 - (a - l) where a - l >= 0.15, else 1.
    """
    thresholds = torch.arange(1, LEVELS + 1, device=pred.device, dtype=torch.float32) / LEVELS
    reached = torch.minimum(pred, true) >= thresholds.view(1, -1, 1, 1)  # (B, levels, H, W)
    connected = largest_region(reached.flatten(0, 1)).view_as(reached)
    level, holds = torch.zeros_like(pred), torch.ones_like(pred, dtype=torch.bool)
    for k in range(LEVELS):  # up to the first threshold that fails: connecting again above it does not count
        holds &= connected[:, k : k + 1]
        level += holds
    level /= LEVELS
    phi = [1 - torch.where(a - level >= SLACK, a - level, 0.0) for a in (pred, true)]
    return (phi[0] - phi[1]).abs().flatten(1).sum(1) / 1000


def largest_region(marked: Tensor) -> Tensor:
    """(N,H,W) bool maps -> (N,H,W) bool, the largest 4-connected region of each; of equals, the upper one.

    Works on runs (unbroken stretches of a row), of which a map of 25,000 pixels has a few hundred. Runs that
    touch are merged by hooking each root to the smallest label that it touches and jumping pointers
    (Shiloach and Vishkin 1982).
    """
    pixels = marked[0].numel()
    first = (marked & ~F.pad(marked[..., :-1], (1, 0))).flatten().nonzero()[:, 0]  # (runs,) of all maps
    last = (marked & ~F.pad(marked[..., 1:], (0, 1))).flatten().nonzero()[:, 0]
    if not len(first):
        return marked
    touch = F.pad(marked[:, 1:] & marked[:, :-1], (0, 0, 0, 1))
    touch = touch & ~F.pad(touch[..., :-1], (1, 0))  # once per stretch that two runs share
    upper = touch.flatten().nonzero()[:, 0]
    run_at = [torch.searchsorted(first, at, right=True) - 1 for at in (upper, upper + marked.shape[-1])]
    label = _merge(*run_at, len(first))

    runs, map_of_run = len(first), first // pixels
    sizes = torch.zeros_like(first).scatter_add_(0, label, last - first + 1)
    # One number that orders regions by size and then by position.
    rank = sizes * runs + (runs - 1 - torch.arange(runs, device=marked.device))
    best = torch.zeros(len(marked), dtype=torch.long, device=marked.device)
    best = best.scatter_reduce(0, map_of_run, rank[label], "amax")
    wins = rank[label] == best[map_of_run]
    steps = torch.zeros(marked.numel() + 1, dtype=torch.int8, device=marked.device)
    steps.index_add_(0, first[wins], torch.ones_like(first[wins], dtype=torch.int8))
    steps.index_add_(0, last[wins] + 1, -torch.ones_like(last[wins], dtype=torch.int8))
    return steps[:-1].cumsum(0, dtype=torch.int8).view_as(marked).bool()


def _merge(a: Tensor, b: Tensor, count: int) -> Tensor:
    """(count,) smallest number reachable from each of `count` things along the pairs (a, b)."""
    label = torch.arange(count, device=a.device)
    while True:
        root_a, root_b = label[a], label[b]
        if torch.equal(root_a, root_b):
            return label
        low, high = torch.minimum(root_a, root_b), torch.maximum(root_a, root_b)
        label = label.scatter_reduce(0, high, low, "amin")
        while True:  # every thing points straight at its root
            jumped = label[label]
            if torch.equal(jumped, label):
                break
            label = jumped
