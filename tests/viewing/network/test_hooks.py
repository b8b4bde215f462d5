"""Networks are watched from outside and stay as they are."""

import pytest
import torch
from torch import nn

from mdlib.modeling.registry import create_model
from mdlib.viewing.network.hooks import blocks_of, hooked, recorded


def test_calls_are_told_in_their_order_and_outputs_replaced():
    model = nn.Sequential(nn.Identity(), nn.Identity())
    told = []

    def after(name: str, output: torch.Tensor) -> torch.Tensor | None:
        told.append((name, output.item()))
        return output + 1 if name == "0" else None

    with hooked(model.named_children(), after, before=told.append):
        assert model(torch.tensor(5.0)) == 6
    assert told == ["0", ("0", 5.0), "1", ("1", 6.0)]
    assert model(torch.tensor(5.0)) == 5


def test_hooks_go_where_the_network_fails():
    model = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), hooked([("all", model)], after=print, before=print):
        model(torch.zeros(3))
    assert not model._forward_hooks and not model._forward_pre_hooks


def test_frozen_parameters_are_recorded_and_stay_frozen():
    model = create_model("conv2-mask").train()
    model.encoder.requires_grad_(False)
    with torch.no_grad(), recorded(model):
        assert all(p.requires_grad for p in model.parameters()) and not model.training
        assert model(*torch.rand(2, 1, 3, 16, 16)).mask_logits.requires_grad
    assert model.training and not any(p.requires_grad for p in model.encoder.parameters())


def test_blocks_lie_below_the_parts_and_learn():
    names = [name for name, _ in blocks_of(create_model("unet-shared"))]
    assert names[:2] == ["encoder.steps.0", "encoder.steps.1"] and "mask_decoder.head" in names
