"""Scenes of a data set as arrays and as files."""

import numpy as np
import pytest
from PIL import Image

from mdlib.loading.codec import decode
from mdlib.loading.dataset import open_dataset
from mdlib.viewing.predict import Prediction
from mdlib.viewing.scenes import (
    mask_iou,
    packaged_scene,
    scene,
    write_prediction,
    write_scene,
)


def test_scene_of_a_data_set(tiny_dataset):
    data = open_dataset(tiny_dataset)
    sample = scene(data, 7)
    stored = data[7]
    np.testing.assert_array_equal(sample["bg_img"], stored["bg"].permute(1, 2, 0))
    np.testing.assert_array_equal(sample["fg_bg_img"], stored["fg_bg"].permute(1, 2, 0))
    np.testing.assert_allclose(sample["mask"], stored["mask"][0] / 255, atol=1e-6)
    known = stored["depth"][0].numpy() > 0
    assert known.any()
    np.testing.assert_allclose(
        sample["depth"][known],
        np.minimum(1, 500 / stored["depth"][0].numpy()[known].astype(float)),
        rtol=1e-5,
    )
    assert np.isnan(sample["depth"][~known]).all()
    with pytest.raises(IndexError, match=str(len(data))):
        scene(data, len(data))


def test_files_of_a_scene(tiny_dataset, tmp_path):
    sample = scene(open_dataset(tiny_dataset), 3)
    paths = write_scene(tmp_path / "new/folder", sample)
    assert [path.name for path in paths] == ["bg.png", "fg_bg.png", "mask.png", "depth.png", "panel.png"]
    for name in ("bg", "fg_bg"):
        with Image.open(tmp_path / f"new/folder/{name}.png") as img:
            np.testing.assert_array_equal(np.asarray(img), sample[f"{name}_img"])
    np.testing.assert_array_equal(decode(paths[2].read_bytes()), np.rint(sample["mask"] * 255))


def test_files_of_a_prediction(tmp_path):
    rng = np.random.default_rng(0)
    img = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    found = Prediction(*rng.random((2, 20, 30), dtype=np.float32))
    paths = write_prediction(tmp_path, img, img, found)
    assert [path.name for path in paths] == ["mask.png", "depth.png", "overlay.png", "panel.png"]
    mask, depth, overlay = (decode(path.read_bytes()) for path in paths[:3])
    assert (mask.dtype, depth.dtype) == (np.uint8, np.uint16)
    np.testing.assert_allclose(mask / 255, found.mask, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(depth / 65535, found.depth, atol=0.5 / 65535 + 1e-6)
    assert overlay.shape == (20, 30, 3)


def test_no_depth_no_file(tmp_path):
    img = np.zeros((20, 30, 3), np.uint8)
    paths = write_prediction(tmp_path, img, img, Prediction(np.zeros((20, 30), np.float32), None))
    assert [path.name for path in paths] == ["mask.png", "overlay.png", "panel.png"]


def test_packaged_sample_is_a_scene():
    sample = packaged_scene()
    assert sample["bg_img"].shape == sample["fg_bg_img"].shape == (224, 224, 3)
    assert sample["mask"].shape == sample["depth"].shape == (224, 224)
    assert 0.01 < (sample["mask"] > 0.5).mean() < 0.3 and sample["mask"].max() <= 1
    changed = np.abs(sample["fg_bg_img"].astype(int) - sample["bg_img"]).mean(2)
    assert changed[sample["mask"] > 0.9].mean() > 10 * changed[sample["mask"] == 0].mean()
    # What was added stands nearer than the wall behind it.
    assert np.median(sample["depth"][sample["mask"] > 0.5]) > np.median(sample["depth"][:60])


def test_iou_of_two_masks():
    one, other = np.zeros((20, 20), np.float32), np.zeros((20, 20), np.float32)
    one[:10], other[5:15] = 1, 0.7
    assert mask_iou(one, other) == pytest.approx(1 / 3)
    assert mask_iou(one * 0, one * 0) == 1
