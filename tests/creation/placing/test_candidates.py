"""Single objects keep the rules of placing, and fill what these allow."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.items import Background, Placements
from mdlib.creation.placing.candidates import Rules, place
from mdlib.creation.placing.counted_random import row_seeds
from mdlib.creation.placing.outline import Ground, Outline


def shown(background, thing, x, y, height, flip, z_m):
    """The sample's mask and depth, as composed."""
    h, w = background.rgb.shape[:2]
    one, zero = np.ones(1, np.int64), np.zeros(1, np.int64)
    row = Placements(zero, zero, zero, one * flip > 0, one * x, one * y, one * height / h, one * z_m, zero)
    bg = torch.zeros(1, 3, h, w, dtype=torch.uint8)
    depth = floor = None
    if background.z is not None:
        depth, floor = (
            torch.from_numpy(background.z)[None, None],
            torch.from_numpy(background.floor)[None, None],
        )
    out = compose(bg, [make_sprite(thing.rgba)], row, depth, floor)
    return out["mask"][0, 0].numpy(), out["z"][0, 0].numpy()


def drawn_once(seed, ground, outline, flip, rules):
    """x, y, height, z of a single placement."""
    return tuple(
        column.item() for column in place(np.array([seed]), ground, outline, np.array([flip]), rules)
    )


def whole_area(thing, height, flip):
    """Mask area of the object at this size, nothing cropped."""
    wide = Background("wide", np.zeros((3 * height + 300, 3 * height + 600, 3), np.uint8))
    return int(shown(wide, thing, 100, 100, height, flip, np.nan)[0].astype(np.int64).sum())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**53 - 1),
    shape=st.integers(0, 40),
    h=st.integers(8, 90),
    w=st.integers(8, 90),
    flip=st.booleans(),
    inside=st.sampled_from([0.5, 0.9]),
)
def test_at_least_half_of_the_object_is_inside(seed, shape, h, w, flip, inside, cutout, photograph):
    thing, background = cutout(shape, h, w), photograph()
    rules = Rules(min_inside=inside)
    x, y, height, z = drawn_once(seed, Ground(background), Outline(thing), flip, rules)
    mask, _ = shown(background, thing, x, y, height, flip, z)
    assert int(mask.astype(np.int64).sum()) >= inside * whole_area(thing, height, flip)
    assert np.isnan(z)


def test_sizes_and_positions_fill_their_range(cutout, photograph):
    """Heights from 0.25 to 0.9 of the picture; cropped on every side now and then; never outside of it."""
    ground, outline = Ground(photograph()), Outline(cutout(1))
    x, y, height, _ = place(row_seeds(0, np.arange(600)), ground, outline, np.zeros(600, bool), Rules())
    assert height.min() == round(0.25 * 60) and height.max() == round(0.9 * 60)
    assert np.histogram(height, 5)[0].min() > 80
    width = outline.width_px(height)
    for cropped in (x < 0, y < 0, x + width > 80, y + height > 60):
        assert cropped.mean() > 0.05
    centre = (x + width / 2) / 80
    assert abs(centre.mean() - 0.5) < 0.03


def test_wide_objects_are_no_wider_than_tall_ones_are_high(cutout, photograph):
    ground, outline = Ground(photograph(60, 60)), Outline(cutout(1, 20, 100))
    heights = place(row_seeds(1, np.arange(200)), ground, outline, np.zeros(200, bool), Rules())[2]
    assert outline.width_px(heights).max() <= 0.9 * 60 + 5


@pytest.mark.parametrize("height_m", [None, 0.5, 1.8])
@pytest.mark.parametrize("flip", [False, True])
def test_objects_stand_on_the_floor_as_large_as_their_distance_makes_them(height_m, flip, cutout, room):
    background, thing = room(), cutout(3, 50, 30, height_m)
    ground, outline = Ground(background), Outline(thing)
    by_distance = []
    for i in range(60):
        x, y, height, z = drawn_once(row_seeds(2, i).item(), ground, outline, flip, Rules())
        mask, depth = shown(background, thing, x, y, height, flip, z)
        foot = np.flatnonzero((mask >= 128).any(1))[-1]
        assert background.floor[foot].all()
        assert background.z[foot, 0] == np.float32(z)  # the bottom row is at the floor's own distance
        columns = np.flatnonzero(mask[foot] >= 128)
        assert (depth[foot, columns] == np.float32(z)).all()
        if height_m is not None:
            assert height == max(1, round(background.focal_px * height_m / z))
        by_distance.append((z, height))
    if height_m is not None:
        z, height = np.array(sorted(by_distance)).T
        assert z[-1] > 1.5 * z[0]
        assert (np.diff(height) <= 0).all()  # farther is smaller
