"""The matte against composites whose alpha is known."""

import pytest
import torch

from mdlib.modeling.networks.base import quarters
from mdlib.modeling.networks.matte import matte, sharpen

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


def edge(room=0.2, thing=1.0, half_covered_logit=-1.0):
    """A gray object from column 9 on, which covers half of column 8; and mask logits that miss that."""
    alpha = torch.zeros(1, 1, 16, 16)
    alpha[..., 8], alpha[..., 9:] = 0.5, 1.0
    bg = torch.full((1, 3, 16, 16), room)
    fg_bg = (alpha * thing**2 + (1 - alpha) * room**2).sqrt().expand(1, 3, -1, -1)
    logits = torch.where(alpha == 0, -10.0, 10.0)
    logits[..., 8] = half_covered_logit
    return logits, bg, fg_bg


def test_the_outline_is_solved_by_hand():
    logits, bg, fg_bg = edge()
    before, after = logits.sigmoid(), sharpen(logits, bg, fg_bg).sigmoid()
    # The object's colour is that of column 9, so alpha is 0.5. In light, 1 and 0.04 are apart by 0.96 in each
    # of three colours, which counts 3 x 0.96^2 / (3 x 0.96^2 + 0.01) = 0.9964.
    expected = before[..., 8] + 0.9964 * (0.5 - before[..., 8])
    torch.testing.assert_close(after[..., 8], expected, atol=1e-3, rtol=0)


def test_a_colour_that_no_mixture_explains_counts_less():
    logits, bg, fg_bg = edge()
    fg_bg = fg_bg.clone()
    fg_bg[:, 0, :, 8] = (fg_bg[:, 0, :, 8] ** 2 - 0.3).sqrt()  # in light, less red by 0.3
    before, after = logits.sigmoid(), sharpen(logits, bg, fg_bg).sigmoid()
    # Of the change 0.18, 0.48, 0.48, so much goes along 0.96, 0.96, 0.96: 0.38 each, 0.3958 of it. Beside are
    # -0.2, 0.1 and 0.1, squared 0.06, and 2.7648 / (2.7648 + 0.01 + 40 x 0.06) = 0.5343.
    expected = before[..., 8] + 0.5343 * (0.3958 - before[..., 8])
    torch.testing.assert_close(after[..., 8], expected, atol=1e-3, rtol=0)


def test_away_from_the_outline_nothing_changes():
    logits, bg, fg_bg = edge()
    after = sharpen(logits, bg, fg_bg)
    assert torch.equal(after[..., :7], logits[..., :7]) and torch.equal(after[..., 10:], logits[..., 10:])


def test_an_object_in_the_colour_of_the_room_keeps_its_mask():
    logits, bg, fg_bg = edge(room=0.5, thing=0.5)
    torch.testing.assert_close(sharpen(logits, bg, fg_bg)[..., 8], logits[..., 8], atol=1e-5, rtol=0)


def test_an_object_almost_in_the_colour_of_the_room_is_corrected_less():
    logits, bg, fg_bg = edge(room=0.5, thing=0.55)  # in light apart by 0.0525 in each of three colours
    before, after = logits.sigmoid(), sharpen(logits, bg, fg_bg).sigmoid()
    # 0.00827 / (0.00827 + 0.01) = 0.4526, towards 0.5 x 0.00827 / (0.00827 + 0.0001) = 0.494
    expected = before[..., 8] + 0.4526 * (0.494 - before[..., 8])
    torch.testing.assert_close(after[..., 8], expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("logit", [-100.0, -1.0, 0.0, 100.0])
def test_the_mask_still_learns_where_it_is_solved(logit):
    logits, bg, fg_bg = edge(room=0.2, thing=0.5, half_covered_logit=logit)
    logits.requires_grad_()
    after = sharpen(logits, bg, fg_bg)
    assert after.isfinite().all()
    (slope,) = torch.autograd.grad(after.sum(), logits)
    # In light, the object is 0.25 and the room 0.04; half of each is 0.145. The more column 8 is taken for
    # object, the more its own colour passes for the object's, and the less is trusted.
    weight = torch.tensor(logit).sigmoid().item() ** 32
    apart = 3 * ((0.25 + weight * 0.145) / (1 + weight) - 0.04) ** 2
    torch.testing.assert_close(
        slope[..., 8], torch.full((1, 1, 16), 1 - apart / (apart + 0.01)), atol=1e-3, rtol=0
    )
    assert (slope[..., :7] == 1).all() and (slope[..., 10:] == 1).all()


def test_half_precision_gives_full_precision_back():
    logits, bg, fg_bg = edge()
    assert sharpen(logits.bfloat16(), bg, fg_bg).dtype == torch.float32
