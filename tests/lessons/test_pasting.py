"""The wrong ways are wrong as taught, the right one agrees with what creation does."""

import numpy as np
import pytest

from mdlib.lessons.pasting import compose_one, paste, photographed_before, seen_from_afar, stand
from mdlib.rooms.generate import Prop, Room


@pytest.fixture
def dark() -> np.ndarray:
    return np.zeros((12, 16, 3), np.uint8)


def disc(value: int, alpha: int) -> np.ndarray:
    """A square of 4 pixels in one colour: solid inside, `alpha` on its rim."""
    rgba = np.full((4, 4, 4), value, np.uint8)
    rgba[..., 3] = alpha
    rgba[1:3, 1:3, 3] = 255
    return rgba


def test_half_of_white_light_over_black_is_188_not_128(dark):
    white = disc(255, 128)
    assert paste(dark, white, 2, 3, "stored")[3, 2].tolist() == [128] * 3
    assert paste(dark, white, 2, 3, "linear")[3, 2].tolist() == [188] * 3
    assert paste(dark, white, 2, 3, "hard")[3, 2].tolist() == [255] * 3


def test_box_copies_what_is_transparent(dark):
    pasted = paste(dark, disc(200, 0), 2, 3, "box")
    assert (pasted[3:7, 2:6] == 200).all()
    assert pasted.sum() == 200 * 16 * 3
    assert (paste(dark, disc(200, 0), 2, 3, "linear")[3, 2] == 0).all()


def test_clean_cutouts_are_composed_like_linear_paste(dark):
    rgba = disc(180, 100)
    assert np.abs(compose_one(dark, rgba, 5, 1).astype(int) - paste(dark, rgba, 5, 1, "linear")).max() <= 1


def test_edges_of_an_old_background_are_seen_and_cleaned():
    y, x = np.mgrid[:60, :60]
    alpha = np.clip(20 - np.hypot(y - 30, x - 30), 0, 2) / 2
    rgba = np.dstack([np.full((60, 60, 3), 40), np.rint(alpha * 255)]).astype(np.uint8)
    cut = photographed_before(rgba, (0, 255, 0))
    assert (cut[rgba[..., 3] == 255] == rgba[rgba[..., 3] == 255]).all()
    room = np.full((80, 80, 3), 40, np.uint8)
    halo = paste(room, cut, 10, 10, "linear")
    assert halo[..., 1].max() > 100
    assert compose_one(room, cut, 10, 10)[..., 1].max() < 60


def test_a_chequerboard_from_afar():
    board = np.zeros((8, 8, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    assert (seen_from_afar(board, 4, linear=True) == 188).all()
    assert (seen_from_afar(board, 4, linear=False) == 128).all()


def test_twice_as_far_away_is_half_as_tall():
    z = np.full((60, 80), 2.0, np.float32)
    z[:, 40:] = 4.0
    floor = np.ones((60, 80), bool)
    room = Room(np.full((60, 80, 3), 90, np.uint8), z, floor, 50.0, camera_height_m=1.5, pitch_rad=0.0)
    prop = Prop(np.full((32, 16, 4), 255, np.uint8), np.zeros((32, 16), np.float32), height_m=1.2)
    near, far = stand(room, prop, 20, 50), stand(room, prop, 60, 50)
    for scene, tall_px, z_m in ((near, 30, 2.0), (far, 15, 4.0)):
        rows = np.flatnonzero((scene["mask"] > 0.5).any(1))
        assert (rows[0], rows[-1]) == (50 - tall_px, 49)
        assert np.allclose(scene["z"][scene["mask"] > 0.5], z_m)
        assert np.allclose(scene["depth"], 0.5 / scene["z"])
        assert (scene["z"][scene["mask"] == 0] == z[scene["mask"] == 0]).all()


def test_bad_arguments(dark):
    with pytest.raises(ValueError, match="way is 'soft'; there are box"):
        paste(dark, disc(1, 1), 0, 0, "soft")
    with pytest.raises(ValueError, match=r"4 x 4 pixels at \(14, 0\) does not fit"):
        paste(dark, disc(1, 1), 14, 0, "box")
