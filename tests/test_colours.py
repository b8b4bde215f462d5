"""Colours of depth: nearer is brighter, and unknown is gray."""

import numpy as np
import pytest

from mdlib.colours import UNKNOWN_RGB, depth_colours, depth_range


def brightness(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(float) @ [0.299, 0.587, 0.114]


def test_nearer_is_brighter_and_unknown_is_gray():
    depth = np.linspace(0, 1, 11, dtype=np.float32)[None]
    colours = depth_colours(depth, (0.0, 1.0))
    assert colours.shape == (1, 11, 3)
    assert colours.dtype == np.uint8
    assert (np.diff(brightness(colours)[0]) > 0).all()
    depth[0, 3] = np.nan
    np.testing.assert_array_equal(
        depth_colours(depth, (0.0, 1.0))[0, 3], np.rint(255 * np.array(UNKNOWN_RGB)).astype(int)
    )
    np.testing.assert_array_equal(np.delete(depth_colours(depth, (0.0, 1.0)), 3, 1), np.delete(colours, 3, 1))


def test_range_of_depths():
    known = np.linspace(0.2, 0.4, 101)
    assert depth_range(known, None) == pytest.approx((0.202, 0.398))
    assert depth_range(known, np.array([0.0, np.nan] * 500))[0] == 0
    assert depth_range(np.full((4, 4), 0.5)) == pytest.approx((0.49, 0.51))
    assert depth_range(None) == depth_range(np.full(3, np.nan)) == (0, 1)
