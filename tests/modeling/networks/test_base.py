"""What networks share: checks of the pictures, padding, freezing, evaluation mode."""

import pytest
import torch
from torch import nn

from mdlib.modeling.networks.base import evaluation_mode, freeze, pad_to
from mdlib.modeling.registry import create_model


def test_freezing_keeps_a_network_in_evaluation_mode():
    model = create_model("fcn").eval()
    freeze(model, ["encoder"])
    assert not any(module.training for module in model.modules())


def test_unknown_part():
    with pytest.raises(
        ValueError, match="UNetTwin has no part 'encoder' to freeze; its parts are mask_decoder"
    ):
        freeze(create_model("unet-twin"), ["encoder"])


@pytest.mark.parametrize(
    "bg, fg_bg, words",
    [
        (
            torch.zeros(1, 1, 32, 32),
            torch.zeros(1, 3, 32, 32),
            r"bg has shape \(1, 1, 32, 32\); expected \(B, 3, H, W\)",
        ),
        (
            torch.zeros(1, 3, 32, 32),
            torch.zeros(3, 32, 32),
            r"fg_bg has shape \(3, 32, 32\); expected \(B, 3, H, W\)",
        ),
        (
            torch.zeros(1, 3, 32, 32),
            torch.zeros(1, 3, 32, 40),
            r"bg \(1, 3, 32, 32\) and fg_bg \(1, 3, 32, 40\) differ",
        ),
        (torch.zeros(2, 3, 32, 32), torch.zeros(1, 3, 32, 32), "differ"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8),) * 2 + ("dtype torch.uint8; expected float",),
        (
            torch.zeros(1, 3, 32, 32, dtype=torch.float64),
            torch.zeros(1, 3, 32, 32),
            "bg has dtype torch.float64 and fg_bg torch.float32: convert one",
        ),
        (torch.zeros(1, 3, 32, 32, dtype=torch.float64),) * 2
        + (r"dtype torch.float64, but the network's weights torch.float32: .*bg.to\(torch.float32\)",),
        (torch.zeros(1, 3, 15, 32),) * 2 + ("15 x 32 px are too small; expected at least 16 x 16",),
    ],
)
def test_wrong_pictures(bg, fg_bg, words):
    with pytest.raises(ValueError, match=words):
        create_model("conv2-mask")(bg, fg_bg)


def test_pictures_that_need_no_padding_are_not_copied():
    x = torch.rand(1, 3, 16, 24)
    assert pad_to(x, 8) is x
    padded = pad_to(x[..., :13, :], 8)
    assert padded.shape == x.shape and torch.equal(padded[..., 13:, :], x[..., 12:13, :].expand(1, 3, 3, 24))


@pytest.mark.parametrize("training", [True, False])
def test_every_part_gets_its_own_mode_back(training):
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).train(training)
    model[1].train(not training)
    with pytest.raises(RuntimeError, match="stop"), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError("stop")
    assert [m.training for m in model.modules()] == [training, training, not training]


def test_what_has_no_mode_is_left_alone():
    with evaluation_mode(abs):
        pass
