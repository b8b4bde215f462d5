"""Placements: inside the picture, on the floor, never twice, drawn again from their seeds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.items import COLUMNS, Background, Cutout, Placements
from mdlib.creation.placing.candidates import Rules, place
from mdlib.creation.placing.counted_random import Draws, row_seeds
from mdlib.creation.placing.outline import Ground, Outline
from mdlib.creation.placing.placements import place_all, with_others

FOCAL_PX, CAMERA_M = 90.0, 1.5


def cutout(seed, h=40, w=24, height_m=None):
    """A shape whose area is not spread evenly over its box, and that fills the box."""
    rng = np.random.default_rng(seed)
    alpha = np.zeros((h, w), np.uint8)
    for _ in range(4):
        top, left = rng.integers(0, h), rng.integers(0, w)
        alpha[top : top + rng.integers(2, h), left : left + rng.integers(2, w)] = 255
    alpha[:, w // 2] = 255
    alpha[h // 3] = 255
    rgba = np.dstack([np.full((h, w, 3), 90, np.uint8), alpha])
    return Cutout(f"cutout-{seed}", rgba, None, height_m)


def photograph(h=60, w=80):
    return Background("photograph", np.zeros((h, w, 3), np.uint8))


def room(h=96, w=96, wall_m=8.0):
    """A level camera before a flat floor and a wall: z = focal * height / (row - horizon), in closed form."""
    down = np.arange(h) + 0.5 - h / 2
    with np.errstate(divide="ignore"):
        z = np.where(down > 0, FOCAL_PX * CAMERA_M / np.maximum(down, 1e-9), np.inf)
    floor = np.broadcast_to((z < wall_m)[:, None], (h, w)).copy()
    z = np.broadcast_to(np.minimum(z, wall_m)[:, None], (h, w)).astype(np.float32).copy()
    return Background("room", np.zeros((h, w, 3), np.uint8), z, floor, FOCAL_PX)


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
def test_at_least_half_of_the_object_is_inside(seed, shape, h, w, flip, inside):
    thing, background = cutout(shape, h, w), photograph()
    rules = Rules(min_inside=inside)
    x, y, height, z = drawn_once(seed, Ground(background), Outline(thing), flip, rules)
    mask, _ = shown(background, thing, x, y, height, flip, z)
    assert int(mask.astype(np.int64).sum()) >= inside * whole_area(thing, height, flip)
    assert np.isnan(z)


def test_sizes_and_positions_fill_their_range():
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


def test_wide_objects_are_no_wider_than_tall_ones_are_high():
    ground, outline = Ground(photograph(60, 60)), Outline(cutout(1, 20, 100))
    heights = place(row_seeds(1, np.arange(200)), ground, outline, np.zeros(200, bool), Rules())[2]
    assert outline.width_px(heights).max() <= 0.9 * 60 + 5


@pytest.mark.parametrize("height_m", [None, 0.5, 1.8])
@pytest.mark.parametrize("flip", [False, True])
def test_objects_stand_on_the_floor_as_large_as_their_distance_makes_them(height_m, flip):
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
            assert height == max(1, round(FOCAL_PX * height_m / z))
        by_distance.append((z, height))
    if height_m is not None:
        z, height = np.array(sorted(by_distance)).T
        assert z[-1] > 1.5 * z[0]
        assert (np.diff(height) <= 0).all()  # farther is smaller


def test_a_room_without_floor_is_refused():
    background = room()
    with pytest.raises(ValueError, match="room has depth but shows no floor"):
        Ground(Background("room", background.rgb, background.z, np.zeros_like(background.floor), FOCAL_PX))


@pytest.mark.parametrize("background", [photograph(), room()])
def test_no_two_placements_of_a_pair_are_alike_and_each_can_be_drawn_again(background):
    ground, outlines = Ground(background), [Outline(cutout(i)) for i in range(3)]
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


def test_ten_thousand_placements_of_one_pair_differ():
    """At 224 px, as a full set is made."""
    placed = place_all(
        0, 0, Ground(photograph(224, 224)), [Outline(cutout(5, 120, 60))], [False], 10_000, Rules()
    )
    assert len(set(zip(placed.x_px, placed.y_px, placed.scale, strict=True))) == 10_000


def test_random_numbers_are_those_of_the_published_generator():
    """The first ones of SplitMix64 from state 1234567, as the reference in C prints them."""
    draws = Draws(np.zeros(1))
    draws._states = np.array([1234567], np.uint64)
    reference = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert (draws.random(4)[0] * 2**53).astype(np.int64).tolist() == [number >> 11 for number in reference]


def test_random_numbers_depend_on_seed_and_place_alone():
    many, one = Draws(np.arange(50)), Draws(np.array([17]))
    first, second = many.random(3), many.random(2)
    assert (one.random(5) == np.concatenate([first, second], 1)[17]).all()
    some = Draws(np.arange(50))
    some.random(3)
    assert (some.only(np.arange(50) % 2 == 1).random(2) == second[1::2]).all()
    flat = Draws(np.arange(20_000)).random(50).ravel()
    assert len(np.unique(flat)) == flat.size
    counts = np.histogram(flat, 1000, (0, 1))[0]
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert abs(chi_square - 999) < 5 * np.sqrt(2 * 999)


def test_asking_for_more_places_than_there_are_says_so():
    with pytest.raises(ValueError, match="fewer than 1000 different placements"):
        place_all(
            0, 0, Ground(photograph(16, 16)), [Outline(cutout(5, 9, 3))], [False], 1000, Rules((0.9, 0.9))
        )


def test_the_table_has_ids_of_fixed_width_and_keeps_every_value():
    placed = place_all(
        3, 1, Ground(room()), [Outline(cutout(i)) for i in range(2)], [False, True], 3, Rules()
    )
    head, *lines, end = placed.to_csv(7, 4, 5).decode().split("\n")
    assert head == COLUMNS == "sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"
    assert end == "" and len(lines) == 12
    first = lines[0].split(",")
    assert first[:4] == ["0000012", "0001", "00000", "0"]
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    for column, name in enumerate(COLUMNS.split(",")):
        if name != "z_m":
            assert (table[:, column] == getattr(placed, name)).all()
    np.testing.assert_allclose(table[:, 7], placed.z_m, atol=0.0005)
    unknown = place_all(3, 1, Ground(photograph()), [Outline(cutout(1))], [False], 2, Rules())
    assert unknown.to_csv(6, 4, 4).decode().split("\n")[1].split(",")[7] == ""


def test_other_objects_join_a_sample_and_change_nothing_of_the_main_one():
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


def test_a_single_cutout_can_stand_beside_itself():
    ground, outlines = Ground(photograph()), [Outline(cutout(1))]
    main = place_all(3, 0, ground, outlines, [False], 20, Rules())
    assert len(with_others(main, 4, ground, outlines, [False], Rules())) > 30
