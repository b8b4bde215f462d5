"""What cannot be stored is refused; that samples are what gets encoded, test_live holds."""

from pathlib import Path

import numpy as np
import pytest

from mdlib.creation.composing.sample import backdrops_of
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.writing.shard import Composer

KINDS = ("fg_bg", "mask", "depth")
ROOMS = {"rooms": 6, "props": 5, "placements": 2, "size": 64}  # as tiny_dataset


def quiet(out: Path, **options) -> Path:
    return create(CreateConfig(out=out, **{"workers": 1, **options}), progress=False)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    """The recipe of tiny_dataset, without pictures of its samples."""
    return quiet(tmp_path_factory.mktemp("live") / "rooms", **ROOMS, recipe_only=True)


def test_unknown_depth_that_fast_cannot_store_is_refused_by_name(rooms):
    background = Composer(rooms).sources.background(0)
    background.z[3, 4] = np.nan
    with pytest.raises(ValueError, match="room-0000 has pixels of unknown depth.*--encoding exact"):
        backdrops_of(background, {"encoding": "fast", "depth": "scene"})
