"""Textures are filtered over the pixel, stay in range and depend on nothing but their arguments."""

import pytest
import torch

from mdlib.rooms.materials.texture import cell, grain, linear, lines, mix, value_noise, within


def test_lines_are_the_mean_over_the_footprint():
    x = torch.tensor([0.0, 0.013, 0.33, -0.21, 5.07])
    for w in (0.01, 0.05, 0.4):
        inside = torch.linspace(-w / 2, w / 2, 20001).double()
        covered = ((x[:, None].double() + inside) % 0.1) < 0.03
        torch.testing.assert_close(
            lines(x, 0.1, 0.03, torch.full_like(x, w)).double(), covered.double().mean(1), atol=2e-3, rtol=0
        )


def test_within_is_a_filtered_interval():
    x = torch.tensor([-0.2, 0.0, 0.05, 0.1, 0.3])
    assert within(x, 0.0, 0.1, torch.full_like(x, 0.04)).tolist() == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_noise_is_smooth_bounded_and_repeatable():
    u = torch.linspace(-3, 9, 5000)
    a = value_noise(u, 0.7 * u, 5)
    assert a.min() >= -1 and a.max() <= 1 and a.std() > 0.2
    assert (a[1:] - a[:-1]).abs().max() < 0.02
    assert torch.equal(a, value_noise(u, 0.7 * u, 5))
    assert not torch.equal(a, value_noise(u, 0.7 * u, 6))


def test_noise_fades_out_where_pixels_are_coarser_than_it():
    u = torch.linspace(0, 4, 100)
    w = torch.full_like(u, 0.5)
    assert grain(u, u, w, w, 0.1, 0.1, 1).abs().max() == 0


def test_cells_are_uniform():
    i, j = torch.meshgrid(torch.arange(-40.0, 40), torch.arange(-40.0, 40), indexing="ij")
    values = cell(i.flatten(), j.flatten(), 3)
    assert values.min() >= 0 and values.max() < 1
    assert values.mean().item() == pytest.approx(0.5, abs=0.03)


def test_linear_is_the_srgb_curve():
    assert linear(0, 255, 128) == pytest.approx((0, 1, 0.215861), abs=1e-5)


def test_mix_goes_from_one_colour_to_the_other():
    assert mix((0.0, 1.0, 0.5), (1.0, 0.0, 0.5), 0.25) == (0.25, 0.75, 0.5)
