"""Relative depth, by hand."""

import numpy as np
import pytest
import torch

from mdlib.creation.depth import relative
from mdlib.creation.items import Cutout, Placements
from mdlib.creation.placing.outline import Outline


def test_percentiles_of_a_background_become_fixed_closeness():
    values = np.arange(101.0).reshape(1, 101)
    scale = relative.scale_of(values)
    assert scale == (1.0, 99.0)
    closeness = relative.closeness_of(torch.from_numpy(relative.distance_of(values, scale)))[0].numpy()
    np.testing.assert_allclose(closeness[[1, 50, 99]], [0.05, 0.5, 0.95], atol=5e-4)
    assert closeness.min() >= 0 and closeness.max() <= 1 and (np.diff(closeness) > 0).all()
    same = relative.closeness_of(torch.from_numpy(relative.distance_of(3 * values + 7, (10.0, 304.0))))[0]
    np.testing.assert_allclose(same, closeness, atol=5e-4)  # an unknown scale and shift change nothing


def test_distance_is_turned_into_closeness():
    np.testing.assert_allclose(relative.inverse(np.array([0.5, 2.0, 4.0]), "distance"), [2, 0.5, 0.25])
    values = np.array([0.0, 3.0])
    assert (relative.inverse(values, "closeness") == values).all()
    assert np.isfinite(relative.inverse(values, "distance")).all()


def test_relief_is_zero_at_the_foot_small_and_bounded():
    whole = np.array([[0.0] * 99 + [1.0]])
    own = np.array([[5.0, 0.5], [0.0, 0.25], [0.0, 0.0]])
    solid = np.array([[True, True], [True, True], [False, True]])
    relief = relative.relief_of(np.linspace(0, 1, 100)[None] * 100 / 98 - 1 / 98, own, solid)
    assert np.isnan(relief[2, 0]) and relief[2, 1] == 0
    np.testing.assert_allclose(relief[0], [-0.05, -0.025], atol=1e-3)  # nearer, so less distance
    flat = relative.relief_of(whole, np.full((3, 2), 7.0), solid)
    assert (flat[solid] == 0).all()


def test_objects_get_the_depth_of_their_contact_point():
    rgba = np.zeros((10, 10, 4), np.uint8)
    rgba[:8, 2:6, 3] = 255  # its foot is row 7, columns 2 to 5
    distance = torch.arange(400.0).view(1, 1, 20, 20).expand(3, -1, -1, -1)
    columns = {name: np.zeros(3, np.int64) for name in ("bg", "fg", "seed")}
    placements = Placements(
        **columns, sample=np.arange(3), flip=np.array([False, True, False]),
        x_px=np.array([4, 4, 4]), y_px=np.array([3, 3, 15]),
        scale=np.full(3, 0.5), z_m=np.full(3, np.nan),
    )  # fmt: skip
    found = relative.standing(placements, distance, [Outline(Cutout("a", rgba))])
    middle = [4 + 3.5, 4 + 9 - 3.5, 4 + 3.5]  # of the foot; mirrored: columns 4 to 7 of the cut-out
    assert found.z_m == pytest.approx([10 * 20 + middle[0], 10 * 20 + middle[1], 19 * 20 + middle[2]])
    assert np.isnan(placements.z_m).all()
