"""What  tells, and what it finds wrong."""

import shutil

import pytest

from mdlib.creation.info import info


@pytest.fixture
def copy(tiny_dataset, tmp_path):
    return shutil.copytree(tiny_dataset, tmp_path / "copy")


def test_tells_counts_sizes_depth_and_statistics(tiny_dataset):
    text = info(tiny_dataset, check=True)
    assert text.splitlines()[0] == str(tiny_dataset)
    for part in (
        "120 samples of 64 x 64 pixels",
        "in 6 shards",
        "6 backgrounds x 5 cut-outs, as they are and mirrored, x 2 placements",
        "depth: metric, stored as millimetres, 0 = unknown; closeness = 0.5 m / z",
        "6 different places",
        "all checksums agree",
    ):
        assert part in text
    kinds = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and "." in line]
    assert [kind for kind in kinds if kind in ("bg", "fg_bg", "mask", "depth")] == [
        "bg",
        "fg_bg",
        "mask",
        "depth",
    ]


def test_without_a_data_set(tmp_path):
    with pytest.raises(FileNotFoundError, match="mdlib create"):
        info(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no dataset.json"):
        info(tmp_path)


def test_an_unfinished_set_tells_how_far_it_is(copy):
    (copy / "dataset.json").unlink()
    (copy / "shard-00003.zip").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"not finished: 5 of 6 shards are finished \(about .* to go\)"
    ):
        info(copy)


def test_missing_and_truncated_shards_are_found_without_reading(copy):
    shard = copy / "shard-00003.zip"
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(ValueError, match="shard-00003.zip has .* bytes, expected"):
        info(copy)
    shard.unlink()
    with pytest.raises(
        FileNotFoundError, match="shard-00003.zip is missing; run the same create command again"
    ):
        info(copy)


def test_one_wrong_byte_is_found_by_the_check(copy):
    shard = copy / "shard-00002.zip"
    data = bytearray(shard.read_bytes())
    at = data.index(b"fg_bg/000050.jpg") + 500  # in the picture behind its first name
    data[at] ^= 1
    shard.write_bytes(data)
    info(copy)
    with pytest.raises(
        ValueError, match=r"1 of 7 files .*delete them and run the same create command"
    ) as caught:
        info(copy, check=True)
    assert "shard-00002.zip" in str(caught.value) and "fg_bg/000050.jpg" in str(caught.value)
