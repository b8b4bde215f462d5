import json
import math

import pytest
import torch
from torch import nn

from mdlib.modeling.networks.base import MaskDepth
from mdlib.training.lr_range import LrRangeConfig, all_rates, lr_range, smooth, suggest


class Line(nn.Module):
    """A network that only knows one number for the whole mask."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))

    def forward(self, bg, fg_bg):
        return MaskDepth(self.level * torch.ones_like(bg[:, :1]), None)


@pytest.fixture
def config(tiny_dataset):
    settings = {"batch_size": 4, "size": 16, "loss": "BCE + L1", "optimizer": "sgd", "device": "cpu"}
    return LrRangeConfig(tiny_dataset, steps=60, lowest=1e-3, highest=1e3, clip=0.0, **settings)


def test_rates_grow_by_a_constant_factor(config):
    rates = all_rates(config)
    assert (len(rates), rates[0], rates[-1]) == (60, pytest.approx(1e-3), pytest.approx(1e3))
    assert [b / a for a, b in zip(rates, rates[1:], strict=False)] == pytest.approx([10 ** (6 / 59)] * 59)


def test_smoothing_by_hand():
    assert smooth([2.0, 4.0]) == pytest.approx([2.0, (0.9 * 0.1 * 2 + 0.1 * 4) / (1 - 0.81)])
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_loss():
    assert suggest([1e-3, 1e-2, 1.234e-1, 1.0], [2.0, 1.5, 1.0, 9.0]) == 0.012
    assert suggest([1e-3, 1e-2], [1.0, 1.5]) is None
    assert suggest([], []) is None


def test_the_loss_falls_then_explodes_and_the_network_is_left_alone(config, loaders):
    model = Line()
    found = lr_range(config, model, loaders)
    assert model.level.item() == 0
    assert found.losses[0] == pytest.approx(math.log(2), rel=1e-3)
    assert min(found.smoothed) < 0.8 * found.smoothed[0]
    assert 0.01 < found.suggestion < 10
    assert lr_range(config, model, loaders) == found  # the same each time
    assert len(found.rates) == len(found.losses) == len(found.smoothed) <= 60


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 2.0}, {"highest": math.inf}, {"steps": 5}])
def test_settings_that_make_no_sense(tiny_dataset, wrong):
    with pytest.raises(ValueError, match="0 < lowest < highest and 10 steps or more"):
        LrRangeConfig(tiny_dataset, **wrong)


def test_the_command_writes_a_picture_and_the_numbers(command_line, tiny_dataset, tmp_path):
    few = ("--size", 16, "--steps", 12, "--batch-size", 2, "--recipe", "conv2-mask", "--device", "cpu")
    done = command_line("lr-range", tiny_dataset, "--run", tmp_path / "test", *few)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "test/lr_range.json").read_text())
    assert len(found["rates"]) == 12
    assert found["settings"]["optimizer"] == "sgd"
    assert (tmp_path / "test/lr_range.png").read_bytes().startswith(b"\x89PNG")
    expected = f"take --lr {found['suggestion']:g}" if found["suggestion"] else "the loss never fell"
    assert expected in done.out
