"""Props: cut-outs with soft edges and relief that stand on their lowest point."""

import numpy as np
import pytest
import torch

from mdlib.rooms.prop import KINDS, build_prop, render_prop
from mdlib.rooms.raycasting.solids import silhouette

SEEDS = range(6)


@pytest.fixture(scope="module")
def props():
    return [render_prop(seed, 96) for seed in SEEDS]


def test_props_are_cropped_to_their_alpha(props):
    for prop in props:
        alpha = prop.rgba[..., 3]
        assert prop.rgba.dtype == np.uint8 and prop.rgba.shape[2] == 4
        assert alpha[0].any() and alpha[-1].any() and alpha[:, 0].any() and alpha[:, -1].any()
        assert 80 <= max(alpha.shape) <= 104
        assert alpha.max() == 255 and ((alpha > 0) & (alpha < 255)).any()


def test_relief_is_known_exactly_where_the_prop_is(props):
    for prop in props:
        assert prop.relief.dtype == np.float32 and prop.relief.shape == prop.rgba.shape[:2]
        assert (np.isfinite(prop.relief) == (prop.rgba[..., 3] > 0)).all()
        assert np.nanmin(prop.relief) > -1.5 and np.nanmax(prop.relief) < 3.0


def test_relief_is_zero_at_the_contact_point(props):
    for prop in props:
        solid = np.where(prop.rgba[..., 3] > 127, prop.relief, np.nan)
        lowest = np.flatnonzero(np.isfinite(solid).any(1))[-1]
        assert np.nanmin(np.abs(solid[lowest - 1 : lowest + 1])) < 0.03


def test_heights_are_those_of_furniture_and_people(props):
    for prop in props:
        assert 0.15 < prop.height_m < 2.8


def test_same_seed_same_bytes_whatever_the_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = render_prop(11, 192)
        torch.set_num_threads(3)
        three = render_prop(11, 192)
    finally:
        torch.set_num_threads(before)
    assert one.rgba.tobytes() == three.rgba.tobytes()
    assert one.relief.tobytes() == three.relief.tobytes() and one.height_m == three.height_m


def test_the_global_random_state_is_left_alone():
    np.random.seed(5)
    torch.manual_seed(5)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    render_prop(2, 48)
    assert (np.random.get_state()[1] == numpy_before).all() and torch.equal(
        torch.get_rng_state(), torch_before
    )


def test_seeds_differ(props):
    assert len({prop.rgba.tobytes() for prop in props}) == len(props)


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_every_kind_stands_on_the_ground(number):
    """Its lowest point is at y = 0, within the rounding of shoes and tilted legs."""
    make, _ = KINDS[number]
    for seed in range(12):
        points = np.concatenate([silhouette(s) for s in make(np.random.default_rng(seed))])
        assert -0.03 < points[:, 1].min() < 0.01
        assert points[:, 1].max() < 2.6 and np.abs(points[:, [0, 2]]).max() < 1.8


def test_build_prop_gives_the_solids_that_are_rendered():
    a, b = build_prop(4), build_prop(4)
    assert len(a) == len(b) and all((x.center == y.center).all() for x, y in zip(a, b, strict=True))


def test_a_tiny_size_is_refused():
    with pytest.raises(ValueError, match="at least 16 pixels"):
        render_prop(0, 4)
