"""Alignment on made-up rooms where the true motion and exposure are known."""

import math

import pytest
import torch
import torch.nn.functional as F

from mdlib.modeling.networks import align as module
from mdlib.modeling.networks.align import align, match_colours, match_light, recolour, solve, warp

SIZE = 96


def room(seed=0, batch=2):
    """Smooth random texture between 0.2 and 0.7, with a few hard edges."""
    noise = torch.rand(batch, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    picture = F.interpolate(noise, size=(SIZE, SIZE), mode="bicubic", align_corners=False).clamp(0, 1)
    picture[..., 60:, :] *= 0.7
    picture[..., 20:50, 70:80] *= 0.6
    return 0.2 + 0.5 * picture


def moved(picture, dx_px=0.0, dy_px=0.0, degrees=0.0):
    turn = math.radians(degrees)
    motion = torch.tensor(
        [
            [math.cos(turn), -math.sin(turn), 2 * dx_px / SIZE],
            [math.sin(turn), math.cos(turn), 2 * dy_px / SIZE],
            [0, 0, 1],
        ]
    )
    return warp(picture, motion.expand(len(picture), 3, 3))


def inside(x):
    return x[..., 8:-8, 8:-8]


def worst(a, b):
    return (inside(a) - inside(b)).abs().mean().item()


@pytest.mark.parametrize("motion", [{"dx_px": 2.3}, {"dx_px": -1.5, "dy_px": 1.7}, {"degrees": 1.0}])
def test_a_moved_camera_is_moved_back(motion):
    fg_bg = room()
    bg = moved(fg_bg, **motion)
    # Two bilinear samplings blur: no alignment can do better than moving back by exactly what was moved.
    floor = worst(moved(bg, **{name: -value for name, value in motion.items()}), fg_bg)
    assert worst(align(bg, fg_bg), fg_bg) < 1.2 * floor < 0.5 * worst(bg, fg_bg)


def test_another_exposure_is_undone():
    fg_bg = room()
    bg = fg_bg * torch.tensor([0.8, 0.9, 1.2]).view(1, 3, 1, 1) + 0.05
    assert worst(align(bg, fg_bg), fg_bg) < 0.003


# What a light may hold: a turned hue, a lamp at the left and dark corners, a gamma curve, an offset.
LIGHTS = {
    "hue": {(0, 0): 0.8, (0, 1): 0.2, (1, 1): 0.9, (1, 2): 0.1, (2, 0): 0.15, (2, 2): 0.85},
    "shading": {(c, at): value for c in range(3) for at, value in ((3, -0.15), (5, -0.2))},
    "contrast": {(c, at): value for c in range(3) for at, value in ((c, 0.7), (6, 0.3), (7, 0.02))},
}


def light_of(name, batch=2):
    light = torch.eye(3, 8)
    for place, value in LIGHTS[name].items():
        light[place] = value
    return light.expand(batch, -1, -1)


def test_recolour_by_hand():
    picture = torch.tensor([0.2, 0.4, 0.8]).view(1, 3, 1, 1).expand(-1, -1, 2, 2)  # centres at -0.5 and 0.5
    light = torch.zeros(1, 3, 8)
    light[0, 0] = torch.tensor([0.5, 0.25, 0.125, 0.1, 0.2, 0.4, 2.0, 0.05])
    mixed = 0.5 * 0.2 + 0.25 * 0.4 + 0.125 * 0.8 + 0.05 + 2.0 * 0.2**2
    corners = [[-0.05 - 0.1, 0.05 - 0.1], [-0.05 + 0.1, 0.05 + 0.1]]
    expected = mixed + 0.2 * (torch.tensor(corners) + 0.4 * 0.5)
    torch.testing.assert_close(recolour(picture, light)[0, 0], expected)
    assert recolour(picture, light)[0, 1:].abs().max() == 0


@pytest.mark.parametrize("name", LIGHTS)
def test_another_light_is_undone_beside_an_object(name):
    bg = room()
    fg_bg = recolour(bg, light_of(name))
    fg_bg[..., 30:60, 25:50] = torch.tensor([0.9, 0.1, 0.3]).view(3, 1, 1)
    outside = torch.ones_like(fg_bg, dtype=torch.bool)
    outside[..., 30:60, 25:50] = False
    before = ((bg - fg_bg).abs() * outside).mean()
    after = ((align(bg, fg_bg) - fg_bg).abs() * outside).mean()
    assert after < 0.2 * before
    # The object is no part of the light.
    found = recolour(bg, match_light(bg, fg_bg))
    torch.testing.assert_close(found, recolour(bg, light_of(name)), atol=0.02, rtol=0)


def test_motion_and_light_together():
    fg_bg = recolour(room(), light_of("shading"))
    bg = moved(room(), dx_px=2.0, dy_px=-1.0)
    assert worst(align(bg, fg_bg), fg_bg) < 0.25 * worst(bg, fg_bg)


def test_motion_and_exposure_together_beside_a_large_object():
    fg_bg = room()
    bg = moved(fg_bg, dx_px=2.0, dy_px=-1.0) * 0.8
    fg_bg[..., 30:80, 25:60] = torch.tensor([0.9, 0.1, 0.3]).view(3, 1, 1)  # a fifth of the picture
    result = align(bg, fg_bg)
    outside = torch.ones_like(fg_bg, dtype=torch.bool)
    outside[..., 26:84, 21:64] = False
    before = inside((bg - fg_bg).abs() * outside).mean()
    after = inside((result - fg_bg).abs() * outside).mean()
    assert after < 0.2 * before


def test_a_clean_pair_stays_exactly_as_it_is():
    bg = room()
    fg_bg = bg.clone()
    fg_bg[..., 30:80, 25:60] = torch.tensor([0.9, 0.1, 0.3]).view(3, 1, 1)
    assert torch.equal(align(bg, fg_bg), bg)


def test_samples_do_not_see_each_other():
    fg_bg = room(batch=3)
    bg = torch.cat([moved(fg_bg[:1], dx_px=2), fg_bg[1:2], moved(fg_bg[2:], degrees=-1)])
    together = align(bg, fg_bg)
    alone = torch.cat([align(b, f) for b, f in zip(bg.split(1), fg_bg.split(1), strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_pictures_without_texture(value):
    bg, fg_bg = torch.full((1, 3, 32, 32), value), torch.full((1, 3, 32, 32), 0.5)
    result = align(bg, fg_bg)
    assert result.isfinite().all()
    torch.testing.assert_close(result, fg_bg)


def test_colours_by_hand():
    bg = room()
    gain, offset = match_colours(bg, 1.25 * bg - 0.1)
    torch.testing.assert_close(gain, torch.full((2, 3, 1), 1.25), atol=0.05, rtol=0)
    torch.testing.assert_close(gain[..., None] * bg + offset[..., None], 1.25 * bg - 0.1, atol=0.01, rtol=0)


def test_solve_equals_linalg():
    a = torch.rand(4, 6, 9, generator=torch.Generator().manual_seed(0))
    matrix, right = a @ a.transpose(1, 2) + 0.1 * torch.eye(6), torch.rand(4, 6)
    augmented = torch.cat([matrix, right[..., None]], 2)
    torch.testing.assert_close(solve(augmented), torch.linalg.solve(matrix, right), atol=1e-4, rtol=1e-4)


def test_warp_by_whole_pixels():
    picture = room()
    torch.testing.assert_close(moved(picture, 3, -2)[..., 2:, :-3], picture[..., :-2, 3:], atol=1e-4, rtol=0)


def test_levels_are_those_of_the_pyramid_and_divide_the_sizes_that_mdnet_pads_to():
    from mdlib.modeling.networks.mdnet import MDNet

    pictures = torch.stack([room(1), room(2)])
    for pair, (factor, _) in zip(module.pyramid(pictures), module.LEVELS, strict=True):
        expected = F.avg_pool2d(pictures.flatten(0, 1), factor).unflatten(0, (2, -1))
        torch.testing.assert_close(pair, expected)
        assert MDNet.multiple % factor == 0
