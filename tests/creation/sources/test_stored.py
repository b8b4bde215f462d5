"""Sources come back from `sources.zip` as they were, so that samples composed from them are the same."""

import numpy as np
import pytest

from mdlib.creation.items import Background, Cutout
from mdlib.creation.sources.pictures import prop_cutout, room_background
from mdlib.creation.sources.stored import StoredSources, described, write
from mdlib.files import sha256_of


def assert_same(one: Background | Cutout, other: Background | Cutout) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@pytest.mark.parametrize("teacher_scale", [None, (0.25, 7.5)])
def test_sources_are_read_back_as_they_were_written(tmp_path, teacher_scale):
    z = np.array([[1.25, np.nan], [0.004, 65.5]], np.float32)
    rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    backgrounds = [
        room_background(0, (32, 40), seed=3),
        Background("photograph.jpg", rgb),
        Background("guessed.jpg", rgb, z, np.array([[True, False], [False, True]]), None, teacher_scale),
    ]
    rgba = np.dstack([rgb, np.array([[255, 0], [1, 128]], np.uint8)])
    relief = np.array([[0.0, np.nan], [-0.3, 1.204]], np.float32)
    cutouts = [prop_cutout(0, seed=3), Cutout("flat.png", rgba), Cutout("deep.png", rgba, relief, 1.75)]
    write(tmp_path, b"recipe", backgrounds, cutouts, ([0, 1, 0], [0, 1, 2]), {"name": "teacher"})
    stored = StoredSources(tmp_path)
    assert stored.comment == b"recipe" and stored.teacher == {"name": "teacher"}
    assert [entry["group"] for entry in stored.backgrounds] == [0, 1, 0]
    for i in range(3):
        assert_same(backgrounds[i], stored.background(i))
        assert_same(cutouts[i], stored.cutout(i))


def test_it_is_described_by_length_and_checksum(tmp_path):
    write(tmp_path, b"", [], [], ([], []))
    file = tmp_path / "sources.zip"
    assert described(tmp_path) == {
        "name": "sources.zip", "bytes": file.stat().st_size, "sha256": sha256_of(file)
    }  # fmt: skip
