"""Sums over a data set: exact, and the same in any order and division."""

import json

import numpy as np
import pytest

from mdlib.creation.writing.statistics import (
    AREA_STEPS,
    Coverage,
    Statistics,
    combine,
    combine_coverage,
    depth_histogram,
)


def divided(rng, pictures, masks, depths, parts):
    """Statistics of shards that share the samples in a random order."""
    order = np.array_split(rng.permutation(len(masks)), parts)
    states = []
    for rows in order:
        statistics = Statistics()
        for row in rows:
            statistics.add_picture("fg_bg", pictures[row])
            statistics.add_picture("mask", masks[row])
        for some in np.array_split(rows, 2):
            statistics.add_masks(masks[some])
            statistics.add_depth(depths[some])
        states.append(json.loads(json.dumps(statistics.state())))
    return states


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_agree_with_numpy_in_double_precision_however_divided(dtype):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (24, 20, 30, 3), dtype=np.uint8)
    masks = rng.integers(0, 256, (24, 20, 30), dtype=np.uint8)
    top = np.iinfo(dtype).max
    depths = rng.integers(0, top + 1, (24, 20, 30)).astype(dtype)
    if dtype == np.uint8:
        closeness = depths / 255.0
    else:  # millimetres, 0 unknown, near 500 mm
        closeness = np.where(depths > 0, np.minimum(1.0, 500.0 / np.maximum(depths, 1)), np.nan)
    one = divided(rng, pictures, masks, depths, 1)
    several = divided(rng, pictures, masks, depths, 5)
    for states in (one, several):
        result = combine(states)
        for kind, values in (("fg_bg", pictures / 255.0), ("mask", masks[..., None] / 255.0)):
            np.testing.assert_allclose(result[kind]["mean"], values.mean((0, 1, 2)), rtol=1e-13)
            np.testing.assert_allclose(result[kind]["std"], values.std((0, 1, 2)), rtol=1e-11)
        np.testing.assert_allclose(result["depth"]["mean"], np.nanmean(closeness), rtol=2e-7)  # float32 table
        np.testing.assert_allclose(result["depth"]["std"], np.nanstd(closeness), rtol=2e-7)
    for kind in ("fg_bg", "mask"):
        assert combine(one)[kind] == combine(several)[kind]
    both = [combine_coverage([state["coverage"] for state in states]) for states in (one, several)]
    for key in both[0]:
        np.testing.assert_array_equal(both[0][key], both[1][key])


def test_areas_and_places_of_masks_by_hand():
    masks = np.zeros((3, 10, 100), np.uint8)
    masks[0, :, :1] = 255  # 10 of 1,000 pixels
    masks[1, 0, :2] = 255  # 2 pixels
    masks[2, 0, 0] = 254  # not quite one
    counted = Coverage()
    counted.add(masks[:1]), counted.add(masks[1:])
    result = combine_coverage([counted.state(), Coverage().state()])
    assert np.flatnonzero(result["areas"]).tolist() == [0, 2, 10] and result["areas"].sum() == 3
    assert result["cell"] == 2 and result["map"].shape == (5, 50) and result["size"] == (10, 100)
    np.testing.assert_allclose(result["map"][0, 0] * 3 * 4, 1 + 2 + 254 / 255 + 1)
    np.testing.assert_allclose(result["map"][1:, 0], 2 / 4 / 3)
    assert not result["map"][:, 1:].any()
    assert combine_coverage([]) is None


def test_many_full_masks_and_a_map_whose_last_places_are_smaller():
    counted = Coverage()
    counted.add(np.full((600, 61, 57), 255, np.uint8))
    result = combine_coverage([counted.state()])
    assert result["cell"] == 2 and result["map"].shape == (31, 29)
    np.testing.assert_array_equal(result["map"], 1.0)
    assert result["areas"][AREA_STEPS] == 600


def test_histogram_of_depth_in_metres():
    statistics = Statistics()
    statistics.add_depth(np.array([[0, 99, 100, 2549, 2550, 65535]], np.uint16))
    counts, edges = depth_histogram([statistics.state()], "uint16", metric=True)
    assert {round(edges[i], 1): counts[i] for i in np.flatnonzero(counts)} == {0: 1, 0.1: 1, 2.5: 2, 65.5: 1}
    assert len(edges) == len(counts) + 1


def test_histogram_of_stored_closeness_in_metres_and_as_it_is():
    statistics = Statistics()
    statistics.add_depth(np.array([[255, 255, 128, 1, 0]], np.uint8))
    counts, edges = depth_histogram([statistics.state()], "uint8", metric=False)
    assert np.flatnonzero(counts).tolist() == [0, 1, 128, 255] and edges[0] == 0 and edges[-1] == 1
    counts, edges = depth_histogram([statistics.state()], "uint8", metric=True)
    assert (np.diff(edges) > 0).all() and counts.sum() == 4  # level 0 reaches to infinity
    assert counts[0] == 2 and edges[0] == 0.5
    k = int(np.flatnonzero(counts)[1])
    assert edges[k] < 0.5 * 255 / 128 < edges[k + 1]
    assert depth_histogram([{}], "uint8", metric=True) is None


def test_statistics_of_depth_leave_out_what_is_unknown():
    depth = np.array([[0, 500, 1000], [2000, 65535, 250]], np.uint16)
    one, other = Statistics(), Statistics()
    one.add_depth(depth[:1]), other.add_depth(depth[1:])
    closeness = np.array([1, 0.5, 0.25, 500 / 65535, 1])
    result = combine([one.state(), other.state()])["depth"]
    np.testing.assert_allclose(result["mean"], closeness.mean(), rtol=1e-6)
    np.testing.assert_allclose(result["std"], closeness.std(), rtol=1e-6)
    assert result["unknown"] == 1 / 6
