"""Near-duplicates stay together; the four sets are what they say."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mdlib.loading import splits
from mdlib.loading.dataset import open_dataset


def picture(seed, height=90, width=120):
    """A smooth random picture with edges, so that two seeds have nothing in common."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def test_copies_mirrors_crops_and_brightness_are_one_group():
    room = picture(0)
    again = [
        room,
        room[:, ::-1],
        room[:, : int(0.8 * room.shape[1])][:, -(int(0.8 * room.shape[1])) :],
        (room * 0.6).astype(np.uint8),
        np.asarray(Image.fromarray(room).resize((60, 45))),
    ]
    others = [picture(seed) for seed in range(1, 9)]
    groups = splits.group_duplicates(again + others)
    assert groups[0] == groups[1] == groups[3] == groups[4] == 0
    assert len(set(groups[5:])) == 8 and 0 not in groups[5:]


def test_pictures_without_gradient_count_as_one_only_when_equal():
    black, white = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 255, np.uint8)
    assert splits.group_duplicates([black, white, black.copy()]) == [0, 1, 0]
    assert splits.group_duplicates([]) == []


def test_office_duplicates(office):
    """Known pairs of the real data: identical, nearly identical, and other crops of one photograph."""
    paths = sorted((office / "bg").glob("*.jpg"))
    groups = splits.group_duplicates([np.asarray(Image.open(p).convert("RGB")) for p in paths])
    number = dict(zip([p.stem for p in paths], groups, strict=True))
    for a, b in [("033", "072"), ("021", "069"), ("061", "063"), ("059", "062"), ("014", "079")]:
        assert number[f"bg{a}"] == number[f"bg{b}"], (a, b)
    assert len(set(groups)) >= 60, "strangers must stay apart"
    mirrored = [np.asarray(Image.open(p).convert("RGB"))[:, ::-1] for p in paths[:10]]
    both = splits.group_duplicates([np.asarray(Image.open(p).convert("RGB")) for p in paths[:10]] + mirrored)
    assert both[:10] == both[10:]


@settings(deadline=None, max_examples=60)
@given(
    bg_groups=st.lists(st.integers(0, 12), min_size=2, max_size=30).filter(lambda g: len(set(g)) > 1),
    fg_groups=st.lists(st.integers(0, 12), min_size=2, max_size=30).filter(lambda g: len(set(g)) > 1),
    seed=st.integers(0, 99),
)
def test_four_sets_share_no_group(bg_groups, fg_groups, seed):
    bg, fg = (axis.ravel() for axis in np.mgrid[: len(bg_groups), : len(fg_groups)])
    sets = splits.four_sets(bg_groups, fg_groups, bg, fg, seed)
    assert list(sets) == ["train", "new_fg", "new_bg", "new_both"]
    assert sorted(np.concatenate(list(sets.values()))) == list(range(len(bg)))
    seen = defaultdict(set)
    for name, samples in sets.items():
        seen["bg", name in ("new_bg", "new_both")] |= set(np.asarray(bg_groups)[bg[samples]].tolist())
        seen["fg", name in ("new_fg", "new_both")] |= set(np.asarray(fg_groups)[fg[samples]].tolist())
    assert not seen["bg", True] & seen["bg", False] and not seen["fg", True] & seen["fg", False]
    assert len(seen["bg", True]) == max(1, round(0.2 * len(set(bg_groups))))


def test_split_is_the_same_on_every_machine():
    bg, fg = (axis.ravel() for axis in np.mgrid[:10, :10])
    held = splits.four_sets(range(10), range(10), bg, fg, seed=0)["new_both"]
    # the two lowest of `printf "bg 0 $group" | sha256sum`, and the same for fg
    assert sorted(set(bg[held].tolist())) == [0, 2] and sorted(set(fg[held].tolist())) == [2, 5]


def test_one_background_cannot_be_split():
    with pytest.raises(ValueError, match="at least 2 different bg pictures"):
        splits.four_sets([0, 0], [0, 1], np.array([0, 1]), np.array([0, 1]))


def test_samples_with_seen_and_unseen_cutouts_are_in_no_set():
    bg, pairs = np.arange(4), np.array([(a, b) for a in range(5) for b in range(5)])
    bg, fg = np.repeat(bg, len(pairs)), np.tile(pairs, (len(bg), 1))
    sets = splits.four_sets(range(4), range(5), bg, fg, seed=1)
    unseen = set(fg[sets["new_both"]].ravel().tolist())
    assert len(unseen) == 1 and len(sets["new_both"]) == 1  # one background of 4, one cut-out of 5, twice
    assert unseen.isdisjoint(fg[sets["train"]].ravel().tolist())
    assert len(sets["train"]) == 3 * 4 * 4 and len(sets["new_fg"]) == 3 and len(sets["new_bg"]) == 4 * 4


def test_the_random_split_shares_backgrounds_and_cutouts(tiny_dataset):
    data = open_dataset(tiny_dataset)
    sets = splits.random_sets(len(data), seed=0)
    assert list(sets) == ["train", "random"]
    assert len(sets["train"]) == round(0.7 * len(data))
    rows = np.concatenate(list(sets.values()))
    assert np.array_equal(np.sort(rows), np.arange(len(data)))
    assert set(data.subset(sets["train"]).bg) == set(data.subset(sets["random"]).bg)
    assert not np.array_equal(splits.random_sets(len(data), seed=1)["train"], sets["train"])
    with pytest.raises(IndexError):
        data.subset(sets["random"])[len(sets["random"])]
