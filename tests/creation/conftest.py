"""Pictures, and a small data set made of them, for all tests of creation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> dict:
    """Folders of 4 backgrounds, one of them a mirror image of another, and 3 cut-outs."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "bg").mkdir(), (folder / "fg").mkdir()
    rng = np.random.default_rng(0)
    rooms = [Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)) for _ in range(3)]
    rooms = [np.asarray(room.resize((120, 90), Image.Resampling.BICUBIC)) for room in rooms]
    for i, room in enumerate([*rooms, rooms[1][:, ::-1]]):
        Image.fromarray(np.ascontiguousarray(room)).save(folder / f"bg/room{i}.png")
    for i in range(3):
        h, w = 40 + 10 * i, 30
        y, x = np.mgrid[:h, :w]
        alpha = np.clip((0.48 - np.hypot((y - h / 2) / h, (x - w / 2) / w)) * 20, 0, 1) * 255
        colour = rng.integers(0, 256, (h, w, 3))
        Image.fromarray(np.dstack([colour, alpha]).astype(np.uint8)).save(folder / f"fg/thing{i}.png")
    return {"bg": folder / "bg", "fg": folder / "fg"}


@pytest.fixture(scope="session")
def small(pictures, tmp_path_factory) -> Path:
    """4 backgrounds x 3 cut-outs x 2 flips x 3 placements at 64 x 80, made in this process."""
    out = tmp_path_factory.mktemp("small") / "set"
    options = {**pictures, "placements": 3, "size": (64, 80), "workers": 1}
    return create(CreateConfig(out=out, **options), progress=False)
