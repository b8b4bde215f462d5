"""Pictures, a small data set made of them, and sources for placing, for all tests of creation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.items import Background, Cutout

FOCAL_PX, CAMERA_M = 90.0, 1.5  # of `room`


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


@pytest.fixture(scope="session")
def cutout() -> Callable:
    """Makes cut-outs."""

    def made(seed, h=40, w=24, height_m=None):
        """A shape whose area is not spread evenly over its box, and that fills the box."""
        rng = np.random.default_rng(seed)
        alpha = np.zeros((h, w), np.uint8)
        for _ in range(4):
            top, left = rng.integers(0, h), rng.integers(0, w)
            alpha[top : top + rng.integers(2, h), left : left + rng.integers(2, w)] = 255
        alpha[:, w // 2] = 255
        alpha[h // 3] = 255
        rgba = np.dstack([np.full((h, w, 3), 90, np.uint8), alpha])
        return Cutout(f"cutout-{seed}", rgba, None, height_m)

    return made


@pytest.fixture(scope="session")
def photograph() -> Callable:
    """Makes backgrounds without depth."""

    def made(h=60, w=80):
        return Background("photograph", np.zeros((h, w, 3), np.uint8))

    return made


@pytest.fixture(scope="session")
def room() -> Callable:
    """Makes backgrounds with depth and a floor."""

    def made(h=96, w=96, wall_m=8.0):
        """A level camera, a flat floor and a wall: z = focal * height / (row - horizon), in closed form."""
        down = np.arange(h) + 0.5 - h / 2
        with np.errstate(divide="ignore"):
            z = np.where(down > 0, FOCAL_PX * CAMERA_M / np.maximum(down, 1e-9), np.inf)
        floor = np.broadcast_to((z < wall_m)[:, None], (h, w)).copy()
        z = np.broadcast_to(np.minimum(z, wall_m)[:, None], (h, w)).astype(np.float32).copy()
        return Background("room", np.zeros((h, w, 3), np.uint8), z, floor, FOCAL_PX)

    return made
