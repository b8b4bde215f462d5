"""Shards hold what was composed; one that is damaged is named."""

from pathlib import Path

import numpy as np
import pytest

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.writing.shard import Composer
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset


def quiet(out, **options):
    return create(CreateConfig(out=out, **options), progress=False)


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def test_reads_back_what_was_composed(small):
    """The stored pictures are the composed ones up to the JPEG, masks exactly, in the order of the table."""
    data, composer = open_dataset(small), Composer(small)
    assert len(data) == 72
    for number in (0, 3):
        placements = composer.placements(number)
        members = dict(composer.members(number))
        for row, sample in enumerate(placements.sample.tolist()):
            stored = data[sample]
            assert (stored["mask"][0].numpy() == codec.decode(members[f"mask/{sample:06d}.png"])).all()
            assert data.placements["x_px"][sample] == placements.x_px[row]
            outside = stored["mask"][0] == 0
            change = (stored["fg_bg"].int() - stored["bg"].int()).abs().amax(0)
            assert change[outside].float().mean() < 6  # JPEG noise near the object
            assert change[stored["mask"][0] == 255].float().mean() > 15
    assert data.bg.tolist() == np.repeat(np.arange(4), 18).tolist()
    assert data.fg.tolist() == np.tile(np.repeat(np.arange(3), 6), 4).tolist()


def test_a_damaged_shard_is_named(small, pictures, tmp_path):
    for name, data in files(small).items():
        if name != "dataset.json":
            (tmp_path / name).write_bytes(data[:500] if name == "shard-00001.zip" else data)
    with pytest.raises(
        ValueError, match="shard-00001.zip is damaged .*delete it and run the same command again"
    ):
        quiet(tmp_path, **pictures, placements=3, size=(64, 80), workers=1)
