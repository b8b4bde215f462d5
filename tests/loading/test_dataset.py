"""Reading a data set: every pixel, every column, every complaint."""

import json
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mdlib.loading.dataset import Mixture, open_dataset
from mdlib.loading.loader import make_loader
from mdlib.loading.zip_writer import ShardWriter


def test_every_sample_is_what_was_written(hand_made):
    folder, truth = hand_made
    data = open_dataset(folder)
    assert len(data) == len(truth) == 60 and data.size == (24, 32) and data.depth_kind == "metric"
    for i in range(len(data)):
        sample, expected = data[i], truth[data.sample_name(i)]
        np.testing.assert_array_equal(sample["bg"].permute(1, 2, 0), expected["bg"])
        np.testing.assert_array_equal(sample["fg_bg"].permute(1, 2, 0), expected["fg_bg"])
        np.testing.assert_array_equal(sample["mask"][0], expected["mask"])
        np.testing.assert_array_equal(sample["depth"][0], expected["depth"])
        assert sample["depth"].dtype == torch.uint16 and sample["index"] == i
        assert sample["bg_index"] == data.bg[i] == int(data.sample_name(i)[1:]) // 20
    np.testing.assert_array_equal(data[-1]["mask"], data[59]["mask"])
    with pytest.raises(IndexError, match="sample 60"):
        data[60]


def test_columns_of_the_table(hand_made):
    placements = open_dataset(hand_made[0]).placements
    assert placements["sample"][7] == b"s000007"
    assert placements["x_px"][7] == -2 and placements["flip"][7] == 0
    assert placements["z_m"][7] == 2.5 and placements["scale"].dtype == np.float64


def test_subset_and_split(hand_made):
    data = open_dataset(hand_made[0])
    part = data.subset([5, 59, 0]).subset([1, 2])
    assert [part.sample_name(i) for i in range(2)] == ["s000059", "s000000"]
    np.testing.assert_array_equal(part[0]["mask"], data[59]["mask"])
    assert part[0]["index"] == 0 and part.bg.tolist() == [2, 0]
    sets = data.split(seed=1)
    assert sum(len(s) for s in sets.values()) == 60
    assert not set(sets["train"].bg) & set(sets["new_both"].bg)
    assert not set(sets["train"].fg) & set(sets["new_both"].fg)


def test_plain_dataloader(hand_made):
    data = open_dataset(hand_made[0])
    plain, batch = next(iter(DataLoader(data, batch_size=7))), data.batch(range(7))
    assert plain["fg_bg"].shape == (7, 3, 24, 32)
    torch.testing.assert_close(plain.pop("bg"), data.backgrounds[batch["bg_index"]])
    assert plain.keys() == batch.keys()
    for name in plain:
        torch.testing.assert_close(plain[name], batch[name])


def test_pickled_copy(hand_made):
    data = open_dataset(hand_made[0])
    data.backgrounds  # noqa: B018  the decoded cache must not travel
    copy = pickle.dumps(data)
    assert len(copy) < 100_000
    torch.testing.assert_close(pickle.loads(copy)[3]["fg_bg"], data[3]["fg_bg"])


def test_without_depth(tmp_path, make_dataset):
    make_dataset(tmp_path / "d", depth="none")
    data = open_dataset(tmp_path / "d")
    assert "depth" not in data[0] and data.depth_kind == "none"
    assert np.isnan(data.placements["z_m"]).all()


def test_missing_and_unfinished_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such data set"):
        open_dataset(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="it has no dataset.json"):
        open_dataset(tmp_path)
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="begun but not finished: run the same create command"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"format": 1')
    with pytest.raises(ValueError, match="dataset.json is damaged"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        open_dataset(tmp_path)


def test_missing_or_truncated_shard(tmp_path, make_dataset):
    make_dataset(tmp_path / "d")
    shard = tmp_path / "d" / "shard-00001.zip"
    content = shard.read_bytes()
    shard.write_bytes(content[:-100])
    with pytest.raises(ValueError, match="shard-00001.zip has .* truncated"):
        open_dataset(tmp_path / "d")
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="shard-00001.zip is missing"):
        open_dataset(tmp_path / "d")


def rewrite(folder, name, change):
    """Write the first shard anew with one member changed, and its size in dataset.json."""
    import zipfile

    path = folder / "shard-00000.zip"
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members[name] = change(members[name])
    with ShardWriter(path) as writer:
        for member, data in members.items():
            if data is not None:
                writer.add(member, data)
    info = json.loads((folder / "dataset.json").read_text())
    info["shards"][0]["bytes"] = path.stat().st_size
    (folder / "dataset.json").write_text(json.dumps(info))


def test_a_damaged_picture_is_named(tmp_path, make_dataset):
    make_dataset(tmp_path / "d")
    rewrite(tmp_path / "d", "mask/s000003.png", lambda data: data[:40])
    data = open_dataset(tmp_path / "d")
    data[2]
    with pytest.raises(ValueError, match="sample s000003, member mask/s000003.png: .*truncated"):
        data[3]


def test_a_picture_of_another_size_is_named(tmp_path, make_dataset):
    from mdlib.loading import codec

    make_dataset(tmp_path / "d")
    small = codec.encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    rewrite(tmp_path / "d", "fg_bg/s000004.jpg", lambda data: small)
    with pytest.raises(ValueError, match=r"s000004.*\(8, 8, 3\).*\(24, 32, 3\)"):
        open_dataset(tmp_path / "d")[4]


def test_a_missing_member_is_named(tmp_path, make_dataset):
    make_dataset(tmp_path / "d")
    rewrite(tmp_path / "d", "depth/s000009.png", lambda data: None)
    with pytest.raises(ValueError, match="depth/s000009.png"):
        open_dataset(tmp_path / "d")


def test_several_objects_in_one_sample(tmp_path, make_dataset):
    """The table has a row per object; a sample is counted once, under its first object."""
    make_dataset(tmp_path / "d")
    second = b"s000002,b000,f003,0,1,1,0.25,,9\n"

    def add_row(table):
        lines = table.splitlines(keepends=True)
        return b"".join(lines[:4] + [second] + lines[4:])

    rewrite(tmp_path / "d", "placements.csv", add_row)
    data = open_dataset(tmp_path / "d")
    assert len(data) == 60 and data.fg[2] == 0 and data.sample_name(3) == "s000003"


# Several data sets mixed


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


def test_a_mask_selects_and_other_things_are_refused(hand_made):
    """Of 60 samples; a mask taken for numbers would give samples 0 and 1 over and over."""
    data = open_dataset(hand_made[0])
    mask = data.fg == 2  # 3 backgrounds x 5 copies
    for chosen in (mask, mask.tolist(), torch.from_numpy(mask)):
        part = data.subset(chosen)
        assert len(part) == 15 and set(part.fg) == {2}
        assert part.sample_name(14) == "s000054"
    assert len(data.subset(np.zeros(60, bool))) == len(data.subset([])) == 0
    assert data.batch(mask)["index"].tolist() == np.flatnonzero(mask).tolist()
    assert data.subset(range(58, 60)).sample_name(1) == "s000059"
    with pytest.raises(ValueError, match=r"a mask of shape \(59,\) cannot choose among 60 samples"):
        data.subset(mask[1:])
    for wrong in ([1.5], ["a"], slice(3), [[0, 1]]):
        with pytest.raises(TypeError, match="chosen by a list of whole numbers or a mask"):
            data.subset(wrong)
    with pytest.raises(IndexError, match="sample 60 of a data set of 60 samples"):
        data.subset([0, 60])
    for wrong in (1.5, [1, 2], slice(3), np.array([1, 2]), None, "3"):
        with pytest.raises(TypeError, match=r"no number of one sample; several are chosen by subset"):
            data[wrong]
    for one in (np.int64(7), np.uint8(7), torch.tensor(7), -53):
        np.testing.assert_array_equal(data[one]["mask"], data[7]["mask"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[1, 2]", "format None, but this version of mdlib reads 1"),
        ("{}", "format None, but"),
        ('{"format": 1, "id": "x", "size": [24, 32], "depth": {}}', "backgrounds, cutouts, shards missing"),
        ("{", "is damaged"),
    ],
)
def test_a_description_that_is_none(tmp_path, content, sentence):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        open_dataset(tmp_path)
