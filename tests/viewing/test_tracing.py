"""Shapes are those of the calculation, in its order."""

import torch

from mdlib.lessons.network_views import trace_shapes
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
