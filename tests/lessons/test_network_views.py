"""Shapes are those of the calculation, in its order; a loss asks for more where something is missing."""

import pytest
import torch

from mdlib.lessons.network_views import loss_map, signed_colours, trace_shapes
from mdlib.modeling.registry import create_model


def test_shapes_of_a_small_network():
    model = create_model("conv2-mask").train()
    pictures = torch.rand(2, 2, 3, 32, 48)
    calls = trace_shapes(model, *pictures, depth=1)
    assert calls[-1].shape == (2, 1, 32, 48)
    assert sum(call.parameters for call in calls) == sum(p.numel() for p in model.parameters())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_depth_decides_what_is_told():
    model = create_model("mdnet")
    pictures = torch.rand(2, 1, 3, 64, 64)
    top, more = (trace_shapes(model, *pictures, depth=depth) for depth in (1, 2))
    assert {call.name for call in top} < {call.name for call in more}
    assert not any("." in call.name for call in top)


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
