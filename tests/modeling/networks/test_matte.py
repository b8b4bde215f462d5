"""The matte against composites whose alpha is known."""

import pytest
import torch

from mdlib.modeling.networks.base import quarters
from mdlib.modeling.networks.matte import matte

OBJECT = torch.tensor([0.9, 0.3, 0.1]).view(1, 3, 1, 1)


def blocks(picture):
    """(B, C, H, W) -> (B, C, 4, H/2, W/2)."""
    return torch.stack(quarters(picture), 2)


@pytest.fixture
def pair():
    """An object with a soft edge at the right, mixed with the room in linear light; also its alpha."""
    bg = 0.2 + 0.4 * torch.rand(1, 3, 16, 32, generator=torch.Generator().manual_seed(0))
    alpha = (torch.arange(32.0) - 12).div(8).clamp(0, 1).expand(1, 1, 16, 32)
    fg_bg = (alpha * OBJECT**2 + (1 - alpha) * bg**2).sqrt()
    return bg, fg_bg, alpha


def test_alpha_of_an_object_of_one_colour_is_found(pair):
    bg, fg_bg, alpha = pair
    coarse = torch.nn.functional.avg_pool2d((alpha > 0.99).float(), 2)
    found = matte(blocks(bg), blocks(fg_bg), coarse)
    near = torch.stack(quarters(alpha), 2)[:, 0, ..., 9:]  # where the object is in reach
    torch.testing.assert_close(found[:, :4, :, 9:], near, atol=0.01, rtol=0)


def test_contrast_by_hand(pair):
    bg, fg_bg, alpha = pair
    found = matte(blocks(bg), blocks(fg_bg), torch.ones(1, 1, 8, 16))
    inside = (OBJECT**2 - bg**2).square().sum(1, keepdim=True).sqrt()
    expected = torch.stack(quarters(inside), 2)[:, 0, ..., 12:]
    torch.testing.assert_close(found[:, 4:, :, 12:], expected, atol=1e-4, rtol=0)


def test_equal_pictures_have_no_object():
    picture = blocks(torch.rand(2, 3, 8, 8))
    assert matte(picture, picture, torch.ones(2, 1, 4, 4))[:, :4].abs().max() == 0


@pytest.mark.parametrize("coarse", [0.0, 1e-30, 1.0])
def test_finite_whatever_the_coarse_mask_says(coarse, pair):
    bg, fg_bg, _ = pair
    found = matte(blocks(bg), blocks(fg_bg), torch.full((1, 1, 8, 16), coarse))
    assert found.isfinite().all() and found.shape == (1, 8, 8, 16)
    assert found[:, :4].min() >= -0.5 and found[:, :4].max() <= 1.5
