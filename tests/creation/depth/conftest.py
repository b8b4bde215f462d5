"""Pictures whose depth a teacher guesses."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict:
    """Two photographs and two cut-outs of different shapes."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "bg").mkdir(), (folder / "fg").mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        room = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8))
        room.resize((80, 60), Image.Resampling.BICUBIC).save(folder / f"bg/{i}.png")
        y, x = np.mgrid[: 40 + 20 * i, :30]
        alpha = (np.hypot(y / (40 + 20 * i) - 0.5, x / 30 - 0.5) < 0.48) * 255
        Image.fromarray(np.dstack([rng.integers(0, 256, (*y.shape, 3)), alpha]).astype(np.uint8)).save(
            folder / f"fg/{i}.png"
        )
    return {"bg": folder / "bg", "fg": folder / "fg", "size": 48, "placements": 3, "depth": "teacher"}
