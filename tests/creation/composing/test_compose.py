"""Compositing: values worked out by hand, mirror images, edges, depth."""

import numpy as np
import pytest
import torch

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.items import Placements


def to_linear(stored):
    c = np.asarray(stored, np.float64) / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_stored(linear):
    c = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return c * 255.0


def rows(*placed, height):
    """Placements from (sample, fg, flip, x, y, height in pixels, z)."""
    sample, fg, flip, x, y, h, z = (np.array(column) for column in zip(*placed, strict=True))
    zero = np.zeros(len(sample), np.int64)
    return Placements(sample, zero, fg, flip.astype(bool), x, y, h / height, z.astype(float), zero)


def plain(colour, h, w, batch=1):
    return torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(batch, 3, h, w).contiguous()


def rgba(colour, alpha):
    img = np.empty((*np.shape(alpha), 4), np.uint8)
    img[..., :3], img[..., 3] = colour, alpha
    return img


def scene(seed, h=40, w=50):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (1, 3, h, w), dtype=np.uint8))


def blob(seed, h=30, w=24):
    """A cut-out with every kind of pixel in it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    distance = np.hypot((y - h / 2) / h, (x - w / 2.5) / w)
    alpha = np.clip((0.45 - distance) * 12, 0, 1) * 255
    return rgba(rng.integers(0, 256, (h, w, 3)), alpha.astype(np.uint8))


def test_blends_colour_and_alpha_in_linear_light():
    sprite = make_sprite(rgba((200, 40, 255), np.full((8, 6), 128)))
    out = compose(plain((100, 220, 0), 20, 20), [sprite], rows((0, 0, 0, 5, 7, 8, np.nan), height=20))
    alpha = 128 / 255
    expected = to_stored(alpha * to_linear((200, 40, 255)) + (1 - alpha) * to_linear((100, 220, 0)))
    inside = out["fg_bg"][0, :, 7:15, 5:11].numpy().reshape(3, -1)
    assert np.abs(inside - expected[:, None]).max() <= 0.5 + 1e-3
    assert (out["mask"][0, 0, 7:15, 5:11] == 128).all()


def test_half_black_half_white_is_mid_light_not_mid_value():
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = 255
    out = compose(
        plain((0, 0, 0), 8, 8), [make_sprite(rgba(stripes, np.full((16, 16), 255)))],
        rows((0, 0, 0, 0, 0, 8, np.nan), height=8),
    )  # fmt: skip
    assert out["fg_bg"][0, :, 2:6, 2:6].unique().tolist() == [188]  # 255 * sRGB(0.5) = 187.5
    assert (out["mask"] == 255).all()


def test_touches_only_the_box_and_keeps_every_value_outside():
    bg = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    clear = rgba((9, 9, 9), np.zeros((16, 16)))
    clear[5:9, 5:9, 3] = 255
    out = compose(bg, [make_sprite(clear)], rows((0, 0, 0, 0, 0, 16, np.nan), height=16))
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[5:9, 5:9] = False
    assert torch.equal(out["fg_bg"][0, :, outside], bg[0, :, outside])
    assert not out["mask"][0, 0, outside].any()
    assert (out["fg_bg"][0, :, ~outside] == 9).all()
    assert torch.equal(
        bg[0, 0], torch.arange(256, dtype=torch.uint8).view(16, 16)
    )  # the input is not written to


@pytest.mark.parametrize("height", [11, 30, 45])
def test_a_mirrored_cutout_gives_the_mirrored_picture_bit_for_bit(height):
    bg, sprite = scene(1), make_sprite(blob(2))
    width = round(24 * height / 30)
    one = compose(bg, [sprite], rows((0, 0, 0, 7, -4, height, np.nan), height=40))
    other = compose(bg.flip(-1), [sprite], rows((0, 0, 1, 50 - 7 - width, -4, height, np.nan), height=40))
    assert torch.equal(one["fg_bg"], other["fg_bg"].flip(-1))
    assert torch.equal(one["mask"], other["mask"].flip(-1))


@pytest.mark.parametrize("x", [-9, 0, 38])
@pytest.mark.parametrize("y", [-13, 5, 29])
def test_a_cropped_object_is_the_whole_object_cropped(x, y):
    large = scene(3, 120, 130)
    window = (slice(40, 80), slice(40, 90))
    sprite = make_sprite(blob(4))
    whole = compose(large, [sprite], rows((0, 0, 0, 40 + x, 40 + y, 22, np.nan), height=120))
    part = compose(large[(..., *window)], [sprite], rows((0, 0, 0, x, y, 22, np.nan), height=40))
    for kind in ("fg_bg", "mask"):
        assert torch.equal(part[kind], whole[kind][(..., *window)])


def test_nothing_happens_outside_the_picture():
    bg = scene(5)
    out = compose(bg, [make_sprite(blob(4))], rows((0, 0, 0, 50, 0, 20, np.nan), height=40))
    assert torch.equal(out["fg_bg"], bg)
    assert not out["mask"].any()


@pytest.mark.parametrize("feather", [0.0, 1.3])
def test_a_sample_does_not_depend_on_its_batch(feather):
    bg = torch.cat([scene(seed) for seed in range(5)])
    z = torch.rand(5, 1, 40, 50, generator=torch.Generator().manual_seed(0)) * 4 + 1
    sprites = [make_sprite(blob(6)), make_sprite(blob(7, 17, 31), np.full((17, 31), 0.2))]
    placed = [(10 + i, i % 2, i % 3 == 0, 3 * i - 5, 2 * i, 15 + 3 * i, 2.0 + i / 2) for i in range(5)]
    together = compose(bg, sprites, rows(*placed, height=40), z, feather_px=feather)
    for i in range(5):
        alone = compose(bg[i : i + 1], sprites, rows(placed[i], height=40), z[i : i + 1], feather_px=feather)
        for kind, value in alone.items():
            assert torch.equal(value[0], together[kind][i])


def test_feather_softens_the_edge_and_keeps_the_colour():
    img = rgba((250, 20, 20), np.full((20, 20), 255))
    placed = rows((0, 0, 0, 10, 10, 20, np.nan), height=40)
    sharp = compose(plain((0, 0, 200), 40, 40), [make_sprite(img)], placed)
    soft = compose(plain((0, 0, 200), 40, 40), [make_sprite(img)], placed, feather_px=1.5)
    assert set(sharp["mask"].unique().tolist()) == {0, 255}
    assert len(soft["mask"].unique()) > 10
    assert abs(int(soft["mask"].sum()) - int(sharp["mask"].sum())) / int(sharp["mask"].sum()) < 0.01
    alpha = soft["mask"][0].permute(1, 2, 0).numpy() / 255
    exact = to_stored(alpha * to_linear((250, 20, 20)) + (1 - alpha) * to_linear((0, 0, 200)))
    # an alpha rounded to 1 / 255 may stand for 6 levels of a dark value, which rise steeply
    assert np.abs(soft["fg_bg"][0].permute(1, 2, 0).numpy() - exact).max() <= 7
    assert np.abs(soft["fg_bg"][0].permute(1, 2, 0).numpy() - exact).mean() <= 0.3


def test_depth_is_the_objects_where_the_mask_is_at_least_half():
    bg, z = scene(8), torch.full((1, 1, 40, 50), 5.0)
    out = compose(bg, [make_sprite(blob(9))], rows((0, 0, 0, 6, 5, 25, 3.25), height=40), z)
    solid = out["mask"] >= 128
    assert solid.any()
    assert (out["z"][solid] == 3.25).all()
    assert (out["z"][~solid] == 5.0).all()


def test_relief_is_added_to_the_contact_depth_and_mirrored_with_the_object():
    relief = np.tile(np.linspace(0, 0.7, 8, dtype=np.float32), (10, 1))
    sprite = make_sprite(rgba((9, 9, 9), np.full((10, 8), 255)), relief)
    z = torch.full((1, 1, 20, 20), 9.0)
    out = compose(plain((0, 0, 0), 20, 20), [sprite], rows((0, 0, 0, 2, 3, 10, 2.0), height=20), z)
    assert torch.allclose(out["z"][0, 0, 3:13, 2:10], 2.0 + torch.from_numpy(relief), atol=1e-6)
    out = compose(plain((0, 0, 0), 20, 20), [sprite], rows((0, 0, 1, 2, 3, 10, 2.0), height=20), z)
    assert torch.allclose(
        out["z"][0, 0, 3:13, 2:10], 2.0 + torch.from_numpy(relief[:, ::-1].copy()), atol=1e-6
    )


def test_nearer_things_of_the_room_hide_the_object_but_the_floor_does_not():
    bg, z = plain((10, 200, 10), 20, 20), torch.full((1, 1, 20, 20), 6.0)
    z[..., :10] = 2.0
    floor = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    floor[:, :, 15:] = True
    sprite = make_sprite(rgba((250, 0, 0), np.full((20, 20), 255)))
    out = compose(bg, [sprite], rows((0, 0, 0, 0, 0, 20, 4.0), height=20), z, floor)
    assert not out["mask"][0, 0, :15, :10].any()
    assert (out["fg_bg"][0, :, :15, :10] == bg[0, :, :15, :10]).all()
    assert (out["z"][0, 0, :15, :10] == 2.0).all()
    assert (out["mask"][0, 0, :, 10:] == 255).all() and (out["z"][0, 0, :, 10:] == 4.0).all()
    assert (out["mask"][0, 0, 15:, :10] == 255).all()
    assert (out["z"][0, 0, 15:, :10] == 2.0).all()  # what is seen lies in front of the floor it covers


def test_several_objects_of_one_sample_hide_each_other_by_depth():
    sprites = [
        make_sprite(rgba((250, 0, 0), np.full((10, 10), 255))),
        make_sprite(rgba((0, 0, 250), np.full((10, 10), 255))),
    ]
    z = torch.full((2, 1, 20, 20), 9.0)
    placed = [(0, 0, 0, 2, 2, 10, 3.0), (0, 1, 0, 7, 7, 10, 5.0), (1, 1, 0, 7, 7, 10, 2.0)]
    out = compose(plain((0, 99, 0), 20, 20, 2), sprites, rows(*placed, height=20), z)
    assert (out["fg_bg"][0, 0, 7:12, 7:12] == 250).all() and (out["z"][0, 0, 7:12, 7:12] == 3.0).all()
    assert (out["fg_bg"][0, 2, 12:17, 7:17] == 250).all() and (out["z"][0, 0, 12:17, 7:17] == 5.0).all()
    assert (out["mask"][0] == 255).sum() == 100 + 100 - 25
    assert (out["mask"][1] == 255).sum() == 100


def test_the_order_of_the_rows_of_a_sample_does_not_matter():
    sprites = [make_sprite(blob(seed)) for seed in range(3)]
    placed = [(0, 0, 0, 2, 2, 22, 3.0), (0, 1, 0, 7, 7, 25, 5.0), (0, 2, 1, 12, 1, 30, 4.0)]
    z = torch.full((1, 1, 40, 50), 9.0)
    one = compose(scene(1), sprites, rows(*placed, height=40), z)
    for order in ((2, 1, 0), (1, 2, 0)):
        other = compose(scene(1), sprites, rows(*(placed[i] for i in order), height=40), z)
        assert all(torch.equal(one[kind], other[kind]) for kind in one)


def test_without_distances_what_reaches_lower_is_in_front():
    sprites = [
        make_sprite(rgba((250, 0, 0), np.full((10, 10), 255))),
        make_sprite(rgba((0, 0, 250), np.full((10, 10), 255))),
    ]
    placed = rows((0, 0, 0, 2, 7, 10, np.nan), (0, 1, 0, 7, 2, 10, np.nan), height=20)
    out = compose(plain((0, 99, 0), 20, 20), sprites, placed)
    assert (out["fg_bg"][0, 0, 7:12, 7:12] == 250).all()
    assert (out["mask"] == 255).sum() == 175


def test_a_farther_object_with_a_front_that_reaches_past_cuts_no_hole():
    img = np.full((10, 10), 255)
    sprites = [
        make_sprite(rgba((250, 0, 0), img), np.full((10, 10), -1.0)),
        make_sprite(rgba((0, 0, 250), img)),
    ]
    placed = rows((0, 0, 0, 2, 2, 10, 3.5), (0, 1, 0, 7, 7, 10, 3.0), height=20)
    out = compose(plain((0, 99, 0), 20, 20), sprites, placed, torch.full((1, 1, 20, 20), 9.0))
    assert (out["fg_bg"][0, 2, 7:17, 7:17] == 250).all()
    assert (out["z"][0, 0, 7:12, 7:12] == 2.5).all() and (out["z"][0, 0, 12:17, 12:17] == 3.0).all()


def test_without_depth_z_is_unknown():
    out = compose(scene(1), [make_sprite(blob(1))], rows((0, 0, 0, 6, 5, 25, np.nan), height=40))
    assert out["z"].isnan().all() and out["z"].shape == (1, 1, 40, 50)


@pytest.mark.parametrize(
    ("bg", "feather", "message"),
    [
        (torch.zeros(1, 3, 8, 8), 0, "uint8"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 0, "2 backgrounds, but placements of 1"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 3, "0 to 2 pixels"),
    ],
)
def test_wrong_arguments_are_named(bg, feather, message):
    with pytest.raises(ValueError, match=message):
        compose(bg, [make_sprite(blob(1))], rows((0, 0, 0, 0, 0, 4, 0), height=8), feather_px=feather)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_within_one_level():
    bg = torch.cat([scene(seed) for seed in range(4)])
    sprites = [make_sprite(blob(6)), make_sprite(blob(7, 17, 31), np.full((17, 31), 0.2))]
    placed = rows(*[(i, i % 2, i % 2, 3 * i - 5, 2 * i, 15 + 3 * i, 2.0) for i in range(4)], height=40)
    z = torch.full((4, 1, 40, 50), 3.0)
    here = compose(bg, sprites, placed, z, feather_px=1.0)
    there = compose(bg.cuda(), [sprite.to("cuda") for sprite in sprites], placed, z.cuda(), feather_px=1.0)
    for kind in ("fg_bg", "mask"):
        assert (here[kind].int() - there[kind].cpu().int()).abs().max() <= 1
