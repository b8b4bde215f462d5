"""From linear light to a photograph."""

import numpy as np
import pytest
import torch

from mdlib.rooms.raycasting.sensor import Shot, blurred, develop, tone


def test_blur_keeps_the_mean_and_flat_pictures():
    x = torch.full((3, 20, 20), 0.3)
    torch.testing.assert_close(blurred(x, 0.6), x)
    x[0, 10, 10] = 5.0
    assert blurred(x, 0.6)[0].sum().item() == pytest.approx(x[0].sum().item(), rel=1e-5)


def test_the_tone_curve_rises_from_black_to_white():
    y = tone(torch.linspace(0, 9, 3000))
    assert y[0] == 0 and y[-1] == pytest.approx(255, abs=0.5)
    assert (y[1:] >= y[:-1]).all()


def test_development_is_repeatable():
    rgb = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    shot = Shot((1.0, 0.9, 1.1), 0.5, 1.0, 0.1, 0.02)
    a, b, c = (develop(rgb, shot, np.random.default_rng(k)) for k in (1, 1, 2))
    assert a.dtype == np.uint8 and a.shape == (32, 32, 3)
    assert (a == b).all() and (a != c).any() and np.abs(a.astype(int) - c).max() < 20
