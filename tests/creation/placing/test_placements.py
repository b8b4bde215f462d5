"""Placements: inside the picture, on the floor, never twice, drawn again from their seeds."""

import numpy as np
import pytest

from mdlib.creation.placing.candidates import Rules, place
from mdlib.creation.placing.outline import Ground, Outline
from mdlib.creation.placing.placements import place_all, with_others


def drawn_once(seed, ground, outline, flip, rules):
    """x, y, height, z of a single placement."""
    return tuple(
        column.item() for column in place(np.array([seed]), ground, outline, np.array([flip]), rules)
    )


@pytest.mark.parametrize("kind", ["photograph", "room"])
def test_no_two_placements_of_a_pair_are_alike_and_each_can_be_drawn_again(request, kind, cutout):
    ground, outlines = Ground(request.getfixturevalue(kind)()), [Outline(cutout(i)) for i in range(3)]
    placed = place_all(7, 2, ground, outlines, [False, True], 40, Rules())
    assert placed.sample.tolist() == list(range(2 * 240, 3 * 240))
    assert (placed.bg == 2).all()
    height = placed.height_px(ground.size[0])
    for fg in range(3):
        pair = placed.fg == fg
        assert pair.sum() == 80 and placed.flip[pair].sum() == 40
        assert len(set(zip(placed.x_px[pair], placed.y_px[pair], height[pair], strict=True))) == 80
    for i in range(0, 240, 7):
        again = drawn_once(int(placed.seed[i]), ground, outlines[placed.fg[i]], bool(placed.flip[i]), Rules())
        assert again[:3] == (placed.x_px[i], placed.y_px[i], height[i])
        np.testing.assert_equal(round(again[3], 3), placed.z_m[i])
    assert placed.seed.max() < 2**53
    other = place_all(8, 2, ground, outlines, [False, True], 40, Rules())
    assert (other.x_px != placed.x_px).mean() > 0.8


def test_ten_thousand_placements_of_one_pair_differ(cutout, photograph):
    """At 224 px, as a full set is made."""
    placed = place_all(
        0, 0, Ground(photograph(224, 224)), [Outline(cutout(5, 120, 60))], [False], 10_000, Rules()
    )
    assert len(set(zip(placed.x_px, placed.y_px, placed.scale, strict=True))) == 10_000


def test_asking_for_more_places_than_there_are_says_so(cutout, photograph):
    with pytest.raises(ValueError, match="fewer than 1000 different placements"):
        place_all(
            0, 0, Ground(photograph(16, 16)), [Outline(cutout(5, 9, 3))], [False], 1000, Rules((0.9, 0.9))
        )


def test_other_objects_join_a_sample_and_change_nothing_of_the_main_one(cutout, room):
    ground, outlines = Ground(room()), [Outline(cutout(i)) for i in range(5)]
    main = place_all(3, 1, ground, outlines, [False, True], 30, Rules())
    placed = with_others(main, 3, ground, outlines, [False, True], Rules())
    first = np.unique(placed.sample, return_index=True)[1]
    assert (np.diff(placed.sample) >= 0).all()
    for name in ("sample", "bg", "fg", "flip", "x_px", "y_px", "scale", "z_m", "seed"):
        np.testing.assert_array_equal(getattr(placed[first], name), getattr(main, name))
    count = np.bincount(placed.sample - placed.sample[0])
    assert np.bincount(count).tolist()[0] == 0 and (np.abs(np.bincount(count)[1:] - 100) < 35).all()
    other = np.setdiff1d(np.arange(len(placed)), first)
    assert (placed.fg[other] != main.fg[placed.sample[other] - main.sample[0]]).all()
    assert np.bincount(placed.fg[other], minlength=5).min() > 30 and 0.4 < placed.flip[other].mean() < 0.6
    height = placed.height_px(ground.size[0])
    for i in other[::23]:
        outline = outlines[placed.fg[i]]
        again = drawn_once(int(placed.seed[i]), ground, outline, bool(placed.flip[i]), Rules())
        assert again[:3] == (placed.x_px[i], placed.y_px[i], height[i])
    assert with_others(main, 1, ground, outlines, [False], Rules()) is main


def test_a_single_cutout_can_stand_beside_itself(cutout, photograph):
    ground, outlines = Ground(photograph()), [Outline(cutout(1))]
    main = place_all(3, 0, ground, outlines, [False], 20, Rules())
    assert len(with_others(main, 4, ground, outlines, [False], Rules())) > 30
