"""Disturbances by seed and by strength: what they change, what they leave alone, what decides."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlib.evaluation.disturb import (
    ADJUSTABLE,
    CONDITIONS,
    UNSEEN,
    disturb,
    disturb_by,
    empty,
    uniform,
)

EVERY = (*CONDITIONS, *UNSEEN)
BG_ONLY = ("jitter", "exposure", "shift", "rotate", "blur", "homography")
FG_BG_ONLY = ("shadow", "camouflage", "vignette")


def test_the_ten_conditions_and_the_two_unseen_ones():
    ten = "clean jitter exposure shift rotate noise jpeg blur shadow camouflage"
    assert " ".join(CONDITIONS) == ten
    assert UNSEEN == ("homography", "vignette")


@pytest.mark.parametrize("name", EVERY)
def test_shapes_range_and_untouched_inputs(scene, name):
    bg, fg_bg, mask = scene()
    before = [x.clone() for x in (bg, fg_bg, mask)]
    out = disturb(name, bg, fg_bg, mask, [3, 5, 8])
    for x in out:
        assert x.shape == bg.shape and x.dtype == torch.float32
        assert x.min() >= 0 and x.max() <= 1
    assert all(torch.equal(x, y) for x, y in zip((bg, fg_bg, mask), before, strict=True))
    changed = tuple(not torch.equal(x, y) for x, y in zip(out, (bg, fg_bg), strict=True))
    expected = {"clean": (False, False)} | dict.fromkeys(BG_ONLY, (True, False))
    assert changed == (expected | dict.fromkeys(FG_BG_ONLY, (False, True))).get(name, (True, True))


@pytest.mark.parametrize("name", EVERY)
def test_a_sample_depends_on_its_own_seed_only(scene, name):
    bg, fg_bg, mask = scene(4)
    seeds = [7, 2**64 + 5, 0, 7]
    together = disturb(name, bg, fg_bg, mask, seeds)
    for i in range(4):
        alone = disturb(name, bg[i : i + 1], fg_bg[i : i + 1], mask[i : i + 1], seeds[i : i + 1])
        for x, y in zip(together, alone, strict=True):
            assert torch.allclose(x[i], y[0], atol=1e-5)
    again = disturb(name, bg, fg_bg, mask, seeds)
    assert all(torch.equal(x, y) for x, y in zip(together, again, strict=True))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("clean", "camouflage")])
def test_another_seed_draws_something_else(scene, name):
    bg, fg_bg, mask = (x[:1].expand(2, -1, -1, -1) for x in scene(1))
    out = disturb(name, bg, fg_bg, mask, [1, 2])
    assert any(not torch.equal(x[0], x[1]) for x in out)


@pytest.mark.parametrize("name", EVERY)
def test_memory_layout_does_not_matter(scene, name):
    bg, fg_bg, mask = scene()
    last = [x.contiguous(memory_format=torch.channels_last) for x in (bg, fg_bg)]
    for x, y in zip(
        disturb(name, bg, fg_bg, mask, [1, 2, 3]), disturb(name, *last, mask, [1, 2, 3]), strict=True
    ):
        assert torch.allclose(x, y, atol=1e-5)


def test_draws_are_the_same_on_every_machine():
    """Values written down once; a change would change every published figure."""
    expected = [[0.608589729405, 0.038519809877], [0.484997092414, 0.310053533674]]
    assert np.allclose(uniform("shift", [0, 2**62], 2), expected, rtol=0, atol=1e-11)
    assert np.array_equal(uniform("shift", [5], 2)[0], uniform("shift", [5], 3)[0, :2])
    assert not np.array_equal(uniform("shift", [5], 2), uniform("rotate", [5], 2))


@given(st.integers(0, 2**65))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_draws_lie_in_the_unit_interval(seed):
    draws = uniform("noise", [seed], 50)
    assert (draws >= 0).all() and (draws < 1).all()


def test_empty_is_the_same_place_under_noise_and_jitter(scene):
    bg, _, _ = scene(3)
    one, other = empty(bg, [1, 2, 3])
    assert (other - bg).abs().mean() < 0.03  # fg_bg: noise only
    assert (one - bg).abs().mean() > (other - bg).abs().mean()
    assert all(torch.equal(x, y) for x, y in zip(empty(bg, [1, 2, 3]), (one, other), strict=True))


def test_wrong_arguments_are_named(scene):
    bg, fg_bg, mask = scene()
    with pytest.raises(ValueError, match="unknown condition 'fog': expected one of clean, jitter"):
        disturb("fog", bg, fg_bg, mask, [1, 2, 3])
    with pytest.raises(ValueError, match="2 seeds for 3 samples"):
        disturb("noise", bg, fg_bg, mask, [1, 2])
    with pytest.raises(
        ValueError, match=r"mask is \(3, 3, 48, 64\).*expected float of shape \(3, 1, 48, 64\)"
    ):
        disturb("noise", bg, fg_bg, bg, [1, 2, 3])
    with pytest.raises(ValueError, match="fg_bg is .* of torch.uint8"):
        disturb("noise", bg, (fg_bg * 255).byte(), mask, [1, 2, 3])


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
