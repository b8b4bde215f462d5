"""Hints about two pictures: the same place, the right order, anything new at all."""

import numpy as np
import pytest
import torch

from mdlib.evaluation.disturb import disturb
from mdlib.loading.dataset import open_dataset
from mdlib.viewing.pair_check import SAME_PLACE, SWAPPED, check_pair
from mdlib.viewing.scenes import packaged_scene, scene


@pytest.fixture(scope="module")
def room() -> dict:
    return packaged_scene()


def test_a_good_pair_needs_no_hint(room):
    found = check_pair(room["bg_img"], room["fg_bg_img"])
    assert found.hints == []
    assert found.agreement > 1.5 * SAME_PLACE
    assert found.edges > 0


@pytest.mark.parametrize(
    "name", ["exposure", "jitter", "shift", "rotate", "noise", "jpeg", "blur", "homography"]
)
def test_disturbances_of_the_same_place_need_none(room, name):
    pictures = [
        torch.from_numpy(room[k].copy()).permute(2, 0, 1)[None] / 255 for k in ("bg_img", "fg_bg_img")
    ]
    mask = torch.from_numpy(room["mask"])[None, None]
    disturbed = disturb(name, *pictures, mask, [3])
    bg, fg_bg = ((x[0] * 255).round().byte().permute(1, 2, 0).numpy() for x in disturbed)
    assert check_pair(bg, fg_bg).hints == []


def test_swapped_pictures(room):
    found = check_pair(room["fg_bg_img"], room["bg_img"])
    assert found.edges < SWAPPED
    assert len(found.hints) == 1 and "swapped" in found.hints[0]


def test_other_places(room, tiny_dataset):
    data = open_dataset(tiny_dataset)
    first, last = scene(data, 0), scene(data, len(data) - 1)
    assert "different places" in check_pair(first["bg_img"], last["fg_bg_img"]).hints[0]
    assert "different places" in check_pair(room["bg_img"], np.rot90(room["fg_bg_img"]).copy()).hints[0]


def test_nothing_new_and_bare_walls(room):
    found = check_pair(room["bg_img"], room["bg_img"])
    assert np.isnan(found.edges)
    assert "nearly the same" in found.hints[0]
    wall = np.full((40, 50, 3), 130, np.uint8)
    assert check_pair(wall, wall).agreement == 1


def test_sizes_must_agree(room):
    with pytest.raises(ValueError, match="one size"):
        check_pair(room["bg_img"], room["bg_img"][:100])


def test_real_photographs(office):
    from PIL import Image

    paths = sorted((office / "bg").glob("*.jpg"))[:8]
    imgs = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    person = Image.open(sorted((office / "fg").glob("*.png"))[0]).convert("RGBA").resize((60, 110))
    for img, other in zip(imgs, imgs[4:] + imgs[:4], strict=True):
        with_person = Image.fromarray(img)
        with_person.paste(person, (50, 45), person)
        assert check_pair(img, np.asarray(with_person)).agreement > SAME_PLACE
        assert check_pair(img, np.asarray(with_person)).edges > SWAPPED
        if np.abs(img.astype(int) - other).mean() > 30:  # some photographs show one corner twice
            assert check_pair(other, np.asarray(with_person)).agreement < SAME_PLACE
