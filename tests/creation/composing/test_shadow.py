"""Shadows: where geometry says, darker but never of another kind of pixel, and no part of mask or depth."""

import numpy as np
import pytest
import torch

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.shadow import _FOCAL, _SQUEEZE, Light, cast, lights
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.items import Placements

SIZE, EYE_M = 200, 1.5  # a level camera


def floor_z():
    """(1,H,W) of an endless floor; nan above the horizon."""
    down = (torch.arange(SIZE) + 0.5 - SIZE / 2) / (_FOCAL * SIZE)
    z = torch.where(down > 0, EYE_M / down.clamp_min(1e-9), torch.nan)
    return z[:, None].expand(SIZE, SIZE)[None].clone()


def seen_at(x_m, y_m, z_m):
    """Row and column where the camera sees a point; y_m is its height over the floor."""
    focal = _FOCAL * SIZE
    return SIZE / 2 + focal * (EYE_M - y_m) / z_m, SIZE / 2 + focal * x_m / z_m


def gray():
    return torch.full((3, SIZE, SIZE), 160, dtype=torch.uint8)


@pytest.mark.parametrize("light", [Light(0.5, 0.8, 0.5, 0.015), Light(-0.6, -0.5, 0.4, 0.015)])
def test_the_shadow_of_a_board_lies_where_the_light_puts_it(light):
    """A board of 0.6 x 1 m at 4 m: its shadow on the floor is the parallelogram of its shifted corners."""
    z_m, top, left = 4.0, *(round(v) for v in seen_at(-0.3, 1.0, 4.0))
    foot, right = (round(v) for v in seen_at(0.3, 0.0, 4.0))
    picture, alpha = gray(), torch.full((1, foot - top, right - left), 255.0)
    box = cast(picture, floor_z(), alpha, left, top, z_m, light)
    dark = (picture[0] < 160).numpy()
    full = (picture == picture.min()).all(0).numpy()
    rows, columns = np.nonzero(np.isfinite(floor_z()[0].numpy()))
    focal, inside = _FOCAL * SIZE, np.zeros((SIZE, SIZE), bool)
    far = EYE_M * focal / (rows + 0.5 - SIZE / 2)
    height = (far - z_m) / light.behind  # of the point of the board that shades this point of the floor
    x_m = (columns + 0.5 - SIZE / 2) * far / focal - light.aside * height
    deep = 0.08  # metres: wider than the blur
    inside[rows, columns] = (height > deep) & (height < 1 - deep) & (np.abs(x_m) < 0.3 - deep)
    near = np.zeros((SIZE, SIZE), bool)
    near[rows, columns] = (height > -deep) & (height < 1 + deep) & (np.abs(x_m) < 0.3 + deep)
    assert inside.sum() > 100
    assert full[inside].all()
    assert not dark[~near].any()
    outside = np.ones((SIZE, SIZE), bool)
    outside[box[0] : box[1], box[2] : box[3]] = False
    assert not dark[outside].any()
    linear = ((160 / 255 + 0.055) / 1.055) ** 2.4 * (1 - light.dark)
    assert abs(int(picture.min()) - 255 * (1.055 * linear ** (1 / 2.4) - 0.055)) <= 1


def test_without_depth_it_is_the_mask_sheared_and_squeezed_about_its_foot():
    light = Light(0.5, 1.0, 0.5, 0.015)
    picture = gray()
    cast(picture, None, torch.full((1, 60, 20), 255.0), 80, 60, np.nan, light)
    full = (picture == picture.min()).all(0).numpy()
    v, u = np.nonzero(np.ones((SIZE, SIZE), bool))
    up = (120 - (v + 0.5)) / _SQUEEZE
    across = u + 0.5 - up * light.aside
    inside = ((up > 6) & (up < 54) & (across > 84) & (across < 96)).reshape(SIZE, SIZE)
    near = ((up > -6) & (up < 66) & (across > 76) & (across < 104)).reshape(SIZE, SIZE)
    assert full[inside].all() and not (picture[0] < 160).numpy()[~near].any()


def rows(samples, seeds):
    n = len(samples)
    zero = np.zeros(n, np.int64)
    x, y = 60 + 9 * np.arange(n), zero + round(seen_at(0, 0, 3.0)[0]) - 50  # they stand on the floor
    return Placements(np.array(samples), zero, zero, zero > 0, x, y, zero + 0.25, zero + 3.0, np.array(seeds))


def test_mask_depth_and_object_are_those_without_a_shadow():
    img = np.full((40, 20, 4), 255, np.uint8)
    img[..., :3] = np.random.default_rng(0).integers(0, 256, (40, 20, 3))
    bg = torch.randint(
        0, 256, (4, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    z = floor_z().expand(4, 1, SIZE, SIZE)
    placed = rows([0, 1, 2, 3], [11, 12, 13, 14])
    bare = compose(bg, [make_sprite(img)], placed, z)
    shaded = compose(bg, [make_sprite(img)], placed, z, shadow=True)
    assert torch.equal(bare["mask"], shaded["mask"])
    torch.testing.assert_close(bare["z"], shaded["z"], rtol=0, atol=0, equal_nan=True)
    opaque = (bare["mask"] == 255).expand(-1, 3, -1, -1)
    assert torch.equal(bare["fg_bg"][opaque], shaded["fg_bg"][opaque])
    assert (shaded["fg_bg"] <= bare["fg_bg"]).all()
    for k in range(4):
        assert (shaded["fg_bg"][k] < bare["fg_bg"][k]).sum() > 100
        top, bottom, left, right = shaded["box"][k].tolist()
        shaded["fg_bg"][k, :, top:bottom, left:right] = bg[k, :, top:bottom, left:right]
    assert torch.equal(shaded["fg_bg"], bg)


def test_the_light_is_drawn_from_the_seed_of_the_first_object_alone():
    img, bg = np.full((40, 20, 4), 255, np.uint8), gray()[None]
    z = floor_z()[None]
    together = compose(bg.expand(3, -1, -1, -1), [make_sprite(img)], rows([4, 7, 9], [21, 22, 23]),
                       z.expand(3, -1, -1, -1), shadow=True)["fg_bg"]  # fmt: skip
    for k in range(3):
        alone = compose(
            bg, [make_sprite(img)], rows([4, 7, 9], [21, 22, 23])[slice(k, k + 1)], z, shadow=True
        )
        assert torch.equal(alone["fg_bg"][0], together[k])
    assert not torch.equal(together[0], together[1])
    both = compose(bg, [make_sprite(img)], rows([0, 0], [21, 5]), z, shadow=True)["fg_bg"]
    assert torch.equal(both, compose(bg, [make_sprite(img)], rows([0, 0], [21, 6]), z, shadow=True)["fg_bg"])
    assert len({light.aside for light in lights(np.arange(50))}) == 50


def test_an_empty_object_casts_none():
    picture = gray()
    assert cast(picture, None, torch.zeros(1, 9, 9), 3, 3, np.nan, Light(0.5, 1, 0.5, 0.02)) == (0, 0, 0, 0)
    assert (picture == 160).all()
