"""One cut-out put where a person wants it."""

import numpy as np
import pytest

from mdlib.creation.items import Background, Cutout
from mdlib.creation.place_by_hand import Placer
from mdlib.creation.sources.pictures import prop_cutout, room_background

SIZE = (64, 80)


@pytest.fixture(scope="module")
def stage() -> Placer:
    return Placer(room_background(0, SIZE, 0), prop_cutout(1, 0))


def box(value: int = 255) -> Cutout:
    return Cutout("box", np.full((20, 10, 4), value, np.uint8))


def test_where_it_stands_without_depth():
    plain = Placer(Background("wall", np.zeros((*SIZE, 3), np.uint8)), box())
    placed = plain.place(0.5, 0.75, scale=0.5)
    rows, columns = np.nonzero(placed.mask > 0.5)
    assert (rows.min(), rows.max()) == (16, 47)  # 32 px high, the lowest row at 3/4 of 64
    assert (columns.min(), columns.max()) == (32, 47)
    assert placed.depth is None and np.isnan(placed.z_m) and not plain.is_metric
    assert plain.place(0.5, 0.75).height_px == 32  # nothing known: half of the picture


def test_distance_is_that_of_the_floor_and_size_follows(stage):
    near, far = stage.place(0.5, 0.95), stage.place(0.5, 0.8)
    assert 0.5 < near.z_m < far.z_m < 10
    assert near.height_px > far.height_px
    expected = stage.outline.height_m * stage.background.focal_px / near.z_m
    assert near.height_px == round(expected)
    inside = near.mask > 0.5
    assert inside.any()
    # The object is about as near as the floor it stands on.
    assert np.median(near.depth[inside]) == pytest.approx(min(1, 0.5 / near.z_m), rel=0.3)
    assert stage.is_metric and stage.knows_floor


def test_mirrored_and_moved(stage):
    left, right = stage.place(0.3, 0.9, 0.4), stage.place(0.7, 0.9, 0.4)
    centre = [np.nonzero(placed.mask > 0.5)[1].mean() for placed in (left, right)]
    assert centre[1] - centre[0] == pytest.approx(0.4 * SIZE[1], abs=4)
    cut = np.zeros((20, 10, 4), np.uint8)
    cut[:, :5] = 255
    half = Placer(Background("wall", np.zeros((*SIZE, 3), np.uint8)), Cutout("half", cut))
    one, other = (half.place(0.5, 0.75, 0.5, flip=flip).mask for flip in (False, True))
    assert one.sum() == pytest.approx(other.sum())


def test_a_shadow_darkens_the_floor_alone(stage):
    with_shadow, without = stage.place(0.5, 0.9, 0.4, shadow=True), stage.place(0.5, 0.9, 0.4)
    np.testing.assert_array_equal(with_shadow.mask, without.mask)
    outside = without.mask == 0
    change = with_shadow.fg_bg_img.astype(int)[outside] - without.fg_bg_img[outside]
    assert change.min() < -5 and change.max() <= 0


def test_above_the_horizon_it_is_no_nearer_than_the_floor_goes(stage):
    assert np.isfinite(stage.place(0.5, 0.3).z_m)
