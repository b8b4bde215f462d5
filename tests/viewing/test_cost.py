"""What a prediction costs."""

import pytest
import torch

from mdlib.modeling.registry import create_model
from mdlib.viewing.cost import count_macs, latency_s, peak_memory_mb, prediction_memory_mb

CPU = torch.device("cpu")


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
