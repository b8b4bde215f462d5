"""Disturbances with a chosen strength."""

import pytest
import torch

from mdlib.evaluation.disturb import CONDITIONS, UNSEEN
from mdlib.evaluation.strength import ADJUSTABLE, disturb_by


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A smooth room and a brighter square in it."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 80), indexing="ij")
    bg = torch.stack([0.3 + 0.3 * x, 0.5 + 0.2 * (9 * y).sin() * x, 0.3 + 0.3 * y])[None]
    mask = torch.zeros(1, 1, 64, 80)
    mask[..., 20:50, 30:55] = 1
    return bg, bg * (1 - mask) + torch.tensor([0.9, 0.2, 0.1]).view(1, 3, 1, 1) * mask, mask


def change(names: dict[str, float], batch) -> float:
    bg, fg_bg, mask = batch
    new = disturb_by(names, bg, fg_bg, mask)
    return sum(float((a - b).abs().mean()) for a, b in zip(new, (bg, fg_bg), strict=True))


def test_every_family_has_a_strength():
    assert set(ADJUSTABLE) == {*CONDITIONS, *UNSEEN} - {"clean"}


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_the_change_grows_from_nothing(name, batch):
    weakest, half, full = (change({name: strength}, batch) for strength in (0.004, 0.5, 1.0))
    assert 2 * weakest < half < full
    assert change({name: 0.0}, batch) == 0


def test_values_stay_in_range_and_inputs_as_they_are(batch):
    before = [x.clone() for x in batch]
    for x in disturb_by(dict.fromkeys(ADJUSTABLE, 1.0), *batch):
        assert x.shape == batch[0].shape
        assert 0 <= float(x.min()) <= float(x.max()) <= 1
    assert all(torch.equal(a, b) for a, b in zip(before, batch, strict=True))


def test_full_exposure_is_the_strongest_of_the_family(batch):
    bg, _ = disturb_by({"exposure": 1.0}, *batch)
    torch.testing.assert_close(bg, (batch[0] * 1.4).pow(0.8).clamp(0, 1))


def test_wrong_names_and_strengths_are_explained(batch):
    with pytest.raises(ValueError, match="'fog' at 0.5: expected 0 to 1 for one of camouflage"):
        disturb_by({"fog": 0.5}, *batch)
    with pytest.raises(ValueError, match="'noise' at 2"):
        disturb_by({"noise": 2}, *batch)
