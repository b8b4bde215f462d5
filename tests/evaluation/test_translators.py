"""The published formulas, and what they hide."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlib.evaluation.metrics import mask_metrics
from mdlib.evaluation.translators import (
    dice_from_published_mean_iou,
    published_depth_dice,
    published_mean_iou,
    published_rmse,
)

maps = st.lists(st.floats(0, 1, width=32), min_size=12, max_size=12).filter(lambda values: sum(values) > 0.01)


def as_map(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 3, 4)


@given(maps, maps)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_published_mean_iou_never_exceeds_one_half(pred, true):
    assert published_mean_iou(as_map(pred), as_map(true)) <= 0.5 + 1e-6


def test_a_perfect_mask_scores_one_half_and_the_value_is_half_of_dice():
    true = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    assert published_mean_iou(true, true) == 0.5
    pred = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 2, 2)
    assert published_mean_iou(pred, true) == pytest.approx(0.25)
    dice = mask_metrics(pred, true)["dice"].item()
    assert dice_from_published_mean_iou(published_mean_iou(pred, true)) == pytest.approx(dice)
    assert dice_from_published_mean_iou(0.20) == pytest.approx(0.40)


def test_the_published_rmse_is_ten_times_too_large():
    true = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert published_rmse(true + 0.086, true) == pytest.approx(0.86, abs=1e-5)


@given(maps)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_published_dice_of_a_perfect_depth_map_stays_below_one(values):
    true = as_map(values)
    expected = (true**2).sum() / true.sum()
    assert published_depth_dice(true, true) == pytest.approx(expected.item(), abs=1e-5)
    assert published_depth_dice(true, true) <= 1 + 1e-6


def test_a_perfect_depth_map_of_even_closeness_scores_two_thirds():
    true = torch.linspace(0, 1, 1001).view(1, 1, 7, 143)
    assert published_depth_dice(true, true) == pytest.approx(2 / 3, abs=1e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 2\) of torch.float32 and truth \(2, 3\)"):
        published_rmse(torch.zeros(2, 2), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="torch.uint8"):
        published_mean_iou(torch.zeros(2, 2, dtype=torch.uint8), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="0.7 cannot be this formula's value"):
        dice_from_published_mean_iou(0.7)
