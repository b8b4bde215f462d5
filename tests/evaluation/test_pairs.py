"""Frozen pairs: even, repeatable, the same everywhere."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlib.evaluation.pairs import checksum, disturbance_seeds, frozen_pairs
from mdlib.loading.splits import four_sets


def full_set(bgs: int, fgs: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of background and cut-out of every sample, each pair `each` times."""
    bg, fg = np.meshgrid(np.arange(bgs) * 3, np.arange(fgs) * 2 + 1, indexing="ij")
    return bg.ravel().repeat(each), fg.ravel().repeat(each)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(1, 200), st.integers(0, 3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_pairs_are_distinct_and_cover_backgrounds_and_cutouts_evenly(bgs, fgs, each, pairs, seed):
    bg, fg = full_set(bgs, fgs, each)
    chosen = frozen_pairs(bg, fg, "new_both", seed, pairs)
    assert len(chosen) == min(pairs, len(bg)) == len(set(chosen.tolist()))
    for numbers, slack in ((bg, 1), (fg, 2)):
        counts = [int((numbers[chosen] == number).sum()) for number in np.unique(numbers)]
        assert max(counts) - min(counts) <= slack


@given(st.integers(0, 50), st.integers(1, 50))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_fewer_pairs_are_the_first_of_more(fewer, more):
    bg, fg = full_set(5, 4, 3)
    many = frozen_pairs(bg, fg, "train", 0, fewer + more)
    assert np.array_equal(frozen_pairs(bg, fg, "train", 0, fewer), many[:fewer])


def test_pairs_depend_on_set_and_seed_and_nothing_else():
    bg, fg = full_set(6, 5, 4)
    chosen = frozen_pairs(bg, fg, "new_bg", 0, 20)
    assert np.array_equal(chosen, frozen_pairs(bg.copy(), fg.copy(), "new_bg", 0, 20))
    assert not np.array_equal(chosen, frozen_pairs(bg, fg, "new_fg", 0, 20))
    assert not np.array_equal(chosen, frozen_pairs(bg, fg, "new_bg", 1, 20))
    assert chosen[:6].tolist() == [103, 27, 11, 96, 53, 63]  # written down once: the same on every machine


def test_splits_and_frozen_pairs_are_the_same_on_every_machine():
    """Written down once. Another checksum means that figures of before cannot be compared any more."""
    bg, fg = np.meshgrid(np.arange(10), np.arange(10), indexing="ij")
    bg, fg = bg.ravel().repeat(2), fg.ravel().repeat(2)
    groups = [0, 1, 2, 2, 4, 5, 6, 7, 7, 9]
    found = {}
    for name, rows in four_sets(groups, groups[::-1], bg, fg, seed=3).items():
        chosen = rows[frozen_pairs(bg[rows], fg[rows], name, 3, 10)]
        found[name] = (len(rows), checksum([f"{row:07}" for row in chosen]))
    assert found == {
        "train": (112, "ab725d261c6c8585"),
        "new_fg": (48, "f76f4c054a969b33"),
        "new_bg": (28, "246aeae4c76e583e"),
        "new_both": (12, "a662ae6f7a1bf0ce"),
    }


def test_uneven_sets_give_all_they_have():
    bg, fg = np.array([0, 0, 0, 0, 7]), np.array([1, 1, 2, 3, 1])
    chosen = frozen_pairs(bg, fg, "new_both", 0, 3)
    assert 4 in chosen and len(set(fg[chosen].tolist())) == 3
    assert sorted(frozen_pairs(bg, fg, "new_both", 0, 99).tolist()) == [0, 1, 2, 3, 4]
    assert len(frozen_pairs(bg[:0], fg[:0], "new_both", 0, 3)) == 0


def test_checksum_knows_names_and_order():
    assert checksum(["a", "b"]) == checksum(["a", "b"]) != checksum(["b", "a"])
    assert checksum(["a"]) == "ca978112ca1bbdca"  # sha256 of "a"


def test_seeds_of_evaluation_never_meet_those_of_training():
    seeds = disturbance_seeds(np.array([0, 3, 2**40 - 1]), 5)
    assert min(seeds) >= 2**64 and len(set(seeds)) == 3
    assert set(seeds).isdisjoint(disturbance_seeds(np.arange(100), 6))
