"""The picture of a loss is its gradient, with the sign that a learner expects."""

import pytest
import torch

from mdlib.lessons.loss_maps import loss_map, signed_colours


def test_mean_absolute_error_by_hand():
    true = torch.tensor([[0.2, 0.8], [0.5, 0.5]])
    pred = torch.tensor([[0.6, 0.6], [0.5, 0.5]])
    value, picture = loss_map("depth_l1", pred, true)
    assert value == pytest.approx(0.15)
    assert picture.tolist() == [[-0.25, 0.25], [0.0, 0.0]]


@pytest.mark.parametrize("term", ["mask_bce", "mask_dice", "mask_mse"])
def test_more_is_wanted_where_something_is_missing(term):
    true = torch.zeros(16, 16)
    true[4:12, 4:12] = 1
    _, picture = loss_map(term, torch.full((16, 16), 0.4), true)
    assert (picture[true == 1] > 0).all() and (picture[true == 0] < 0).all()


def test_colours():
    colours = signed_colours(torch.tensor([[-2.0, 0.0, 2.0]]))
    assert colours[0].tolist() == [[0, 96, 192], [255, 255, 255], [224, 112, 0]]
