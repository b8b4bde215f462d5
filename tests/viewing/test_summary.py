"""torchsummary's table with the right numbers."""

import re

import pytest
import torch
from torch import nn

from mdlib.modeling.registry import create_model, model_names
from mdlib.viewing.network.summary import summary


def numbers(text: str) -> list[int]:
    """The last column of the rows of the table."""
    rows = text.split("=" * 64)[1].strip("\n=").splitlines()
    return [int(row.split()[-1].replace(",", "")) for row in rows]


@pytest.mark.parametrize("name", model_names())
def test_rows_add_up_to_the_parameters_of_every_network(name):
    model = create_model(name)
    parameters = sum(p.numel() for p in model.parameters())
    text = summary(model, (32, 48))
    assert sum(numbers(text)) == parameters
    assert f"Total params: {parameters:,}\n" in text
    assert "Input size (MB): 0.04 (two pictures, 3 x 32 x 48)" in text  # 2 x 3 x 32 x 48 x 4 bytes


@pytest.mark.parametrize("training", [True, False])
def test_the_network_and_the_random_numbers_stay_as_they_are(training):
    model = create_model("mdnet").train(training)
    next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).train(not training)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    modes, state = [m.training for m in model.modules()], torch.random.get_rng_state()
    summary(model, (32, 32))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_hooks for m in model.modules())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_layer_that_is_called_twice_counts_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Conv2d(3, 3, 1)

        def forward(self, bg, fg_bg):
            return self.shared(bg), self.shared(fg_bg)

    assert numbers(summary(Twice(), (16, 16))) == [12, 0]


def test_frozen_parameters_are_told_apart():
    model = create_model("conv2-mask")
    model.encoder.requires_grad_(False)
    frozen = sum(p.numel() for p in model.encoder.parameters())
    assert re.search(rf"Non-trainable params: {frozen:,}$", summary(model, (16, 16)), re.M)
