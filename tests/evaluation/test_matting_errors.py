"""Gradient and connectivity error against a plain numpy form of the benchmark's definition."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from skimage.measure import label

from mdlib.evaluation.matting_errors import connectivity_error, gradient_error, largest_region


def soft_masks(count: int, seed: int, size: int = 40) -> torch.Tensor:
    noise = torch.rand(count, 1, 9, 9, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic")
    return ((smooth - 0.5) * 5 + 0.5).clamp(0, 1)


def reference_gradient(alpha: np.ndarray, sigma: float = 1.4) -> np.ndarray:
    reach = int(np.ceil(sigma * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * sigma * 0.01))))
    x = np.arange(-reach, reach + 1)
    gauss = np.exp(-(x**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    kernel = np.outer(gauss, -x * gauss / sigma**2)
    kernel /= np.sqrt((kernel**2).sum())
    along = [correlate(alpha, k, mode="nearest") for k in (kernel, kernel.T)]
    return np.hypot(*along)


def reference_largest(marked: np.ndarray) -> np.ndarray:
    regions = label(marked, connectivity=1)
    sizes = np.bincount(regions.ravel())[1:]
    return regions == 1 + sizes.argmax() if len(sizes) else np.zeros_like(marked)


def reference_connectivity(pred: np.ndarray, true: np.ndarray) -> float:
    level = -np.ones_like(true)
    for i in range(1, 11):
        omega = reference_largest((pred >= i / 10) & (true >= i / 10))
        level[(level == -1) & ~omega] = (i - 1) / 10
    level[level == -1] = 1
    pred_d, true_d = pred - level, true - level
    phi = [1 - d * (d >= 0.15) for d in (pred_d, true_d)]
    return np.abs(phi[0] - phi[1]).sum() / 1000


def test_gradient_error_agrees_with_numpy():
    pred, true = soft_masks(4, 0), soft_masks(4, 1)
    values = gradient_error(pred, true)
    for i in range(4):
        grads = [reference_gradient(x[i, 0].double().numpy()) for x in (pred, true)]
        expected = ((grads[0] - grads[1]) ** 2).sum() / 1000
        assert values[i].item() == pytest.approx(expected, abs=1e-6)


def test_gradient_error_ignores_a_constant_and_sees_a_blur():
    true = torch.zeros(1, 1, 32, 32)
    true[..., 16:] = 0.5
    assert gradient_error(true + 0.25, true).item() == pytest.approx(0, abs=1e-9)
    blurred = torch.nn.functional.avg_pool2d(true, 5, 1, 2, count_include_pad=False)
    assert gradient_error(blurred, true).item() > 0.01


def test_connectivity_error_agrees_with_numpy():
    pred, true = soft_masks(6, 2), soft_masks(6, 3)
    values = connectivity_error(pred, true)
    for i in range(6):
        expected = reference_connectivity(pred[i, 0].double().numpy(), true[i, 0].double().numpy())
        assert values[i].item() == pytest.approx(expected, abs=1e-6)


def test_an_island_costs_connectivity_and_a_perfect_mask_nothing():
    true = torch.zeros(1, 1, 32, 32)
    true[..., 4:20, 4:20] = 1
    island = true.clone()
    island[..., 26:30, 26:30] = 1
    assert connectivity_error(true, true).item() == 0
    assert connectivity_error(island, true).item() == pytest.approx(16 / 1000)


def snake() -> torch.Tensor:
    """One region that winds through every second row, the longest way through a picture."""
    marked = torch.zeros(33, 33, dtype=torch.bool)
    marked[::2] = True
    marked[1::4, -1] = True
    marked[3::4, 0] = True
    return marked


def test_largest_region_agrees_with_scikit_image():
    draws = torch.rand(30, 33, 33, generator=torch.Generator().manual_seed(4))
    maps = draws < torch.linspace(0.2, 0.95, 30).view(-1, 1, 1)
    maps = torch.cat([maps, snake()[None], torch.zeros(1, 33, 33, dtype=torch.bool)])
    found = largest_region(maps)
    for marked, region in zip(maps, found, strict=True):
        assert np.array_equal(region.numpy(), reference_largest(marked.numpy()))
    assert torch.equal(found[30], snake())


def test_no_region_at_all():
    nothing = torch.zeros(2, 5, 5, dtype=torch.bool)
    assert torch.equal(largest_region(nothing), nothing)
