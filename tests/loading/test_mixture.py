import numpy as np
import pytest
import torch

from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader
from mdlib.loading.mixture import Mixture


@pytest.fixture(scope="module")
def folders(tmp_path_factory, make_dataset):
    """A data set with metric depth (60 samples) and one without (30)."""
    root = tmp_path_factory.mktemp("mixed")
    make_dataset(root / "metric", copies=5)
    make_dataset(root / "plain", backgrounds=5, cutouts=3, copies=2, depth="none", seed=1)
    return root / "metric", root / "plain"


@pytest.fixture
def mixture(folders):
    return Mixture([open_dataset(folder) for folder in folders])


def floats(loader, epoch=0, start=0) -> list[dict[str, torch.Tensor]]:
    loader.set_epoch(epoch, start)
    return [{**loader.to_float(batch), "index": batch["index"]} for batch in loader]


def equal(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name].nan_to_num(-1), other[name].nan_to_num(-1)) for name in one | other)


def test_every_sample_is_that_of_its_part(mixture):
    (batch,) = floats(make_loader(mixture, 90, shuffle=True))
    assert len(mixture) == 90
    singles = [floats(make_loader(part, len(part)))[0] for part in mixture.parts]
    expected = {name: torch.cat([part[name] for part in singles]) for name in singles[0]}
    for name in ("bg", "fg_bg", "mask", "depth"):
        assert torch.equal(batch[name].nan_to_num(-1), expected[name][batch["index"]].nan_to_num(-1))
    assert batch["depth"][batch["index"] < 60].isfinite().any()
    assert batch["depth"][batch["index"] >= 60].isnan().all()


def test_batches_are_mixed_and_hold_each_sample_once(mixture):
    batches = floats(make_loader(mixture, 9, shuffle=True, seed=3), epoch=1)
    assert sorted(torch.cat([batch["index"] for batch in batches]).tolist()) == list(range(90))
    assert all(0 < (batch["index"] >= 60).sum() < 9 for batch in batches)


def test_it_goes_on_in_the_middle_of_an_epoch(mixture):
    whole = floats(make_loader(mixture, 8, shuffle=True, seed=1), epoch=2)
    rest = floats(make_loader(mixture, 8, shuffle=True, seed=1), epoch=2, start=5)
    assert len(rest) == len(whole) - 5
    assert all(equal(one, other) for one, other in zip(whole[5:], rest, strict=True))


def test_a_smaller_size(mixture):
    (batch,) = floats(make_loader(mixture, 90, size=12))
    assert batch["fg_bg"].shape == (90, 3, 12, 16)
    (alone,) = floats(make_loader(mixture.parts[0], 60, size=(12, 16)))
    assert torch.equal(batch["depth"][:60].nan_to_num(-1), alone["depth"].nan_to_num(-1))


def test_a_batch_of_one_part_alone(mixture):
    batch = mixture.batch([70, 65])
    assert list(batch["parts"]) == [1]
    mask = mixture.to_device(batch, "cpu")["mask"]
    assert torch.equal(mask[0], mixture.parts[1][10]["mask"])
    assert torch.equal(mask[1], mixture.parts[1][5]["mask"])


def test_the_four_sets_are_those_of_the_parts(mixture):
    sets = mixture.split()
    for name, of_parts in sets.items():
        expected = [part.split()[name] for part in mixture.parts]
        for found, known in zip(of_parts.parts, expected, strict=True):
            assert np.array_equal(found.rows, known.rows)


def test_a_background_on_both_sides_is_an_error(folders, tmp_path, make_dataset):
    # The first two of its three backgrounds: one of them is held out now, instead of the third.
    make_dataset(tmp_path / "shorter", backgrounds=2)
    with pytest.raises(ValueError, match="held out in another.*mix data sets of different backgrounds"):
        Mixture([open_dataset(folders[0]), open_dataset(tmp_path / "shorter")]).split()


def test_parts_of_different_sizes_are_an_error(folders, tmp_path, make_dataset):
    make_dataset(tmp_path / "larger", size=(48, 64))
    with pytest.raises(ValueError, match=r"metric of 24 x 32 px, .*larger of 48 x 64 px"):
        Mixture([open_dataset(folders[0]), open_dataset(tmp_path / "larger")])
