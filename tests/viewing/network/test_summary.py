"""torchsummary's table with the right numbers, and what a prediction costs."""

import re

import pytest
import torch
from torch import nn

from mdlib.modeling.registry import create_model, model_names
from mdlib.viewing.network.summary import (
    count_macs,
    latency_s,
    peak_memory_mb,
    prediction_memory_mb,
    summary,
)

CPU = torch.device("cpu")


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


def test_macs_by_hand():
    model = create_model("conv2-mask").train()
    # 3x3 convolutions 6-32-32 at 16 x 16, 32-64-64 at 8 x 8; 2x2 transposed convolutions 64-32-16; 1x1 to 1.
    full, half, quarter = 16 * 16, 8 * 8, 4 * 4
    by_hand = full * 9 * 32 * (6 + 32) + half * 9 * 64 * (32 + 64)
    by_hand += quarter * 4 * 64 * 32 + half * 4 * 32 * 16 + full * 16
    assert count_macs(model, (16, 16)) == by_hand
    assert model.training


@pytest.mark.parametrize(
    ("name", "billions"), [("resnet18-upproj", 18.2), ("unet-shared", 38.1), ("unet-twin", 9.7)]
)
def test_macs_of_published_networks(name, billions):
    assert round(count_macs(create_model(name), (64, 64)) * (224 / 64) ** 2 / 1e9, 1) == billions


def test_latency_leaves_the_network_as_it_is():
    model = create_model("conv2-mask").train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert latency_s(model, (32, 32), rounds=1) > 0
    assert model.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_peak_memory_sees_what_is_freed_again():
    peak = peak_memory_mb(lambda: torch.ones(64, 1_000_000).sum(), CPU)
    if peak is None:
        pytest.skip("needs /proc/self/status, which Linux has")
    assert 250 < peak < 300
    assert peak_memory_mb(lambda: None, CPU) < 20
    assert prediction_memory_mb(create_model("conv2-mask"), (32, 32)) < 100


def test_summary_tells_layers_and_costs(command_line):
    done = command_line("summary", "mdnet", "--size", 32, "--rounds", 1)
    assert done.code == 0, done.err
    assert "Conv2d-1 " in done.out and "Total params: 1,496,621" in done.out
    assert re.search(r"^Multiply-adds of a prediction: 0\.13 billion$", done.out, re.M)
    assert re.search(r"^Latency of a prediction: [\d.]+ ms \(CPU, \d+ threads, batch 1", done.out, re.M)
    assert re.search(r"^Memory of a prediction \(MB\): ", done.out, re.M)
