"""Loss terms against hand-computed values, kornia and numpy."""

import kornia
import numpy as np
import pytest
import torch

from mdlib.modeling import loss_terms

NAN = float("nan")


def picture(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def all_known(x):
    return torch.ones_like(x, dtype=torch.bool)


@pytest.fixture
def pair():
    pred, true = picture(2, 1, 24, 28, seed=1), picture(2, 1, 24, 28, seed=2)
    return pred, true, all_known(true)


def row(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


@pytest.mark.parametrize(
    "term, expected",
    [
        (loss_terms.l1, (0.5 + 0.05 + 0) / 3),
        (loss_terms.mse, (0.25 + 0.0025 + 0) / 3),
        # beta 0.1: 0.5 - 0.05, then 0.05^2 / 0.2
        (loss_terms.smooth_l1, (0.45 + 0.0125 + 0) / 3),
        (loss_terms.log_l1, (np.log(0.7 / 0.2) + np.log(0.3 / 0.25) + 0) / 3),
    ],
)
def test_pixel_terms_by_hand_ignore_the_unknown_pixel(term, expected):
    pred, true = row(0.7, 0.25, 0.4, 0.9), row(0.2, 0.3, 0.4, NAN)
    assert term(pred, true, true.isfinite()).item() == pytest.approx(expected, abs=1e-6)


def test_dice_by_hand_and_perfect_for_a_soft_mask():
    pred, true = row(1.0, 0.5, 0.0), row(1.0, 0.0, 1.0)
    assert loss_terms.dice(pred, true).item() == pytest.approx(1 - (2 * 1 + 1) / (1.25 + 2 + 1))
    soft = picture(2, 1, 8, 8)
    assert loss_terms.dice(soft, soft).item() == pytest.approx(0, abs=1e-6)
    empty = torch.zeros(1, 1, 8, 8)
    assert loss_terms.dice(empty, empty).item() == 0


def test_gradient_of_a_step_by_hand():
    pred, true = torch.zeros(1, 1, 3, 4), torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 3, 4)
    # Sobel / 8 on a vertical step of 1: 0.5 in the two columns beside it, nothing vertically.
    expected = (0.5 * 2 / 4 + 0) / 2
    assert loss_terms.gradient(pred, true, all_known(true)).item() == pytest.approx(expected)


def test_gradient_equals_kornia(pair):
    pred, true, known = pair
    difference = kornia.filters.spatial_gradient(pred) - kornia.filters.spatial_gradient(true)
    torch.testing.assert_close(loss_terms.gradient(pred, true, known), difference.abs().mean())


def test_ssim_equals_kornia(pair):
    pred, true, known = pair
    near = (0.8 * true + 0.2 * pred).clamp(0, 1)
    for x in (pred, near, true):
        torch.testing.assert_close(
            loss_terms.ssim(x, true, known), kornia.losses.SSIMLoss(11)(x, true), atol=1e-6, rtol=1e-5
        )


def test_ssim3_equals_numpy(pair):
    pred, true, known = pair
    x, y = (np.pad(t[0, 0].double().numpy(), 1, mode="reflect") for t in (pred, true))
    height, width = pred.shape[-2:]
    values = []
    for i in range(height):
        for j in range(width):
            a, b = x[i : i + 3, j : j + 3], y[i : i + 3, j : j + 3]
            cov = (a * b).mean() - a.mean() * b.mean()
            similarity = (2 * a.mean() * b.mean() + 0.01**2) * (2 * cov + 0.03**2)
            similarity /= (a.mean() ** 2 + b.mean() ** 2 + 0.01**2) * (a.var() + b.var() + 0.03**2)
            values.append(np.clip((1 - similarity) / 2, 0, 1))
    got = loss_terms.ssim3(pred[:1], true[:1], known[:1])
    assert got.item() == pytest.approx(np.mean(values), abs=1e-5)


def test_silog_equals_numpy_and_forgives_half_of_a_common_scale(pair):
    pred, true, known = pair
    pred, true = pred.clamp(min=0.01), true.clamp(min=0.01)
    d = np.log(pred.numpy()) - np.log(true.numpy())
    expected = [(image**2).mean() - 0.5 * image.mean() ** 2 for image in d]
    assert loss_terms.silog(pred, true, known).item() == pytest.approx(np.mean(expected), rel=1e-5)
    half = loss_terms.silog(true / 2, true.clamp(min=0.1), true >= 0.1)
    assert half.item() == pytest.approx(0.5 * np.log(2) ** 2, rel=1e-4)


def test_log_l1_is_the_same_near_and_far(pair):
    true = 0.1 + 0.4 * pair[1]
    expected = pytest.approx(np.log(1.25), rel=1e-4)
    assert loss_terms.log_l1(1.25 * true, true, all_known(true)).item() == expected
    assert loss_terms.log_l1(true / 4, true / 5, all_known(true)).item() == expected
    beyond = row(0.0, 0.01, 0.02)  # sky is as far as it gets
    assert loss_terms.log_l1(
        torch.full_like(beyond, 0.04), beyond, all_known(beyond)
    ).item() == pytest.approx(np.log(2))
    assert loss_terms.log_l1(beyond, beyond.flip(-1), all_known(beyond)) == 0


def test_pixels_at_ranks_among_the_chosen():
    chosen = torch.tensor([[0, 1, 1, 0, 1, 1], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]).view(3, 1, 2, 3)
    found = loss_terms.pixels_at(chosen > 0, torch.tensor([0.0, 0.26, 0.99]))
    assert found[:2].tolist() == [[1, 2, 5], [0, 0, 0]]
    assert found.shape == (3, 3) and found.max() < 6


def test_gradient_matching_by_hand():
    pred = row(0.0, 0.25, 0.25, 1.0)
    true = torch.zeros_like(pred)
    # scale 1: steps 0.25, 0, 0.75; scale 2: pixels 0 and 2, one step of 0.25; no vertical neighbours
    got = loss_terms.gradient_matching(pred, true, all_known(true))
    assert got.item() == pytest.approx(1.0 / 3 + 0.25)


def test_gradient_matching_needs_both_pixels():
    pred, true = row(0.0, 0.5, 0.9), row(0.0, NAN, 0.0)
    # neighbours are never both known at scale 1; at scale 2 pixels 0 and 2 are
    assert loss_terms.gradient_matching(pred, true, true.isfinite()).item() == pytest.approx(0.9)
