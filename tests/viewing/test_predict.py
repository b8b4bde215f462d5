"""Predictor: any two pictures in, arrays of their size out."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mdlib.loading.pictures import read_picture
from mdlib.modeling.networks.base import MaskDepth
from mdlib.modeling.registry import create_model, save_model
from mdlib.viewing.predict import Predictor


class ReadsColours(nn.Module):
    """A network with a known answer: the mask is the scene's red, closeness is the background's green."""

    def __init__(self, with_depth: bool = True):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.with_depth = with_depth
        self.sizes = []

    def forward(self, bg, fg_bg):
        assert not self.norm.training
        self.sizes.append(tuple(bg.shape[-2:]))
        return MaskDepth(fg_bg[:, :1].logit(1e-6), bg[:, 1:2] if self.with_depth else None)


def noise(seed: int, h: int, w: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def smooth(h: int, w: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 255, w), np.linspace(0, 255, h))
    return np.stack([x, y, x], 2).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (37, 91), (160, 120)])
def test_answer_has_the_pictures_size_and_values(size):
    bg, fg_bg = noise(0, *size), noise(1, *size)
    mask, depth = Predictor(ReadsColours(), min_side=16)(bg, fg_bg)
    assert mask.dtype == depth.dtype == np.float32
    np.testing.assert_allclose(mask, fg_bg[..., 0] / 255, atol=2e-6)
    np.testing.assert_allclose(depth, bg[..., 1] / 255, atol=2e-6)


def test_large_pictures_are_shrunk_for_the_network_only():
    model = ReadsColours()
    img = smooth(300, 600)
    mask, depth = Predictor(model, max_side=100)(img, img)
    assert model.sizes == [(50, 100)]
    assert mask.shape == depth.shape == (300, 600)
    np.testing.assert_allclose(mask, img[..., 0] / 255, atol=0.01)
    np.testing.assert_allclose(depth, img[..., 1] / 255, atol=0.02)


def test_small_pictures_are_enlarged_for_the_network_only():
    model = ReadsColours()
    img = smooth(30, 60)
    mask, depth = Predictor(model)(img, img)
    assert model.sizes == [(64, 128)]
    assert mask.shape == depth.shape == (30, 60)
    np.testing.assert_allclose(mask, img[..., 0] / 255, atol=0.01)
    np.testing.assert_allclose(depth, img[..., 1] / 255, atol=0.02)
    Predictor(model, max_side=100)(img, img)
    assert model.sizes[-1] == (50, 100)


def test_network_never_gets_less_than_its_least_size():
    model = ReadsColours()
    img = smooth(20, 1000)
    assert Predictor(model, max_side=64)(img, img).mask.shape == (20, 1000)
    assert model.sizes == [(16, 64)]
    with pytest.raises(ValueError, match="max_side is 8"):
        Predictor(model, max_side=8)


def test_network_without_depth():
    img = noise(0, 20, 20)
    assert Predictor(ReadsColours(with_depth=False))(img, img).depth is None


def test_arrays_images_and_files_are_the_same(tmp_path):
    bg, fg_bg = noise(0, 24, 32), noise(1, 24, 32)
    Image.fromarray(bg).save(tmp_path / "bg.png")
    Image.fromarray(fg_bg).save(tmp_path / "fg_bg.png")
    predictor = Predictor(ReadsColours())
    expected = predictor(bg, fg_bg)
    for pair in (
        (Image.fromarray(bg), Image.fromarray(fg_bg)),
        (tmp_path / "bg.png", str(tmp_path / "fg_bg.png")),
        (bg[:, ::-1][:, ::-1], fg_bg),
    ):
        result = predictor(*pair)
        np.testing.assert_array_equal(result.mask, expected.mask)
        np.testing.assert_array_equal(result.depth, expected.depth)


def test_exif_orientation_of_an_image_is_honoured():
    img = Image.fromarray(noise(0, 20, 30))
    img.getexif()[0x0112] = 6  # the camera was turned by 90 degrees
    assert read_picture(img).shape == (30, 20, 3)


def test_pictures_of_any_depth_are_the_same(tmp_path):
    """The two of a pair may come in two types; neither is scaled by its values."""
    bg, fg_bg = np.full((20, 30), 100, np.uint8), noise(0, 20, 30)[..., 0]
    predictor = Predictor(ReadsColours())
    expected = predictor(np.dstack([bg] * 3), np.dstack([fg_bg] * 3))
    np.testing.assert_allclose(expected.depth, 100 / 255, atol=1e-6)
    deep, floats = bg.astype(np.uint16) * 257, (fg_bg / 255).astype(np.float32)
    Image.fromarray(deep).save(tmp_path / "bg.png")
    Image.fromarray(floats).save(tmp_path / "fg_bg.tif")
    for pair in (
        (bg, fg_bg),
        (deep, floats),
        (Image.fromarray(deep), Image.fromarray(floats)),
        (Image.fromarray(deep.astype(np.int32)), Image.fromarray(fg_bg.astype(np.uint16) * 257)),
        (tmp_path / "bg.png", tmp_path / "fg_bg.tif"),
        ((tmp_path / "bg.png").read_bytes(), fg_bg),
    ):
        result = predictor(*pair)
        np.testing.assert_array_equal(result.mask, expected.mask)
        np.testing.assert_array_equal(result.depth, expected.depth)
    for twelve in (bg.astype(np.uint16) * 16, Image.fromarray(bg.astype(np.uint16) * 16)):
        with pytest.raises(ValueError, match="bg.* has 16 bits, but its largest value is 1600"):
            predictor(twelve, fg_bg)
    rgba = Image.fromarray(np.dstack([bg, bg, bg, fg_bg]))
    with pytest.raises(ValueError, match="fg_bg is transparent in"):
        predictor(bg, rgba)


def test_modes_of_the_network_and_its_numbers_stay(tmp_path):
    torch.manual_seed(0)
    model = create_model("mdnet").train()
    first = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    bg, fg_bg = noise(0, 40, 56), noise(1, 40, 56)
    one, two = Predictor(model, device="cpu")(bg, fg_bg), Predictor(model, device="cpu")(bg, fg_bg)
    assert [module.training for module in model.modules()] == modes
    assert not first.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    np.testing.assert_array_equal(one.mask, two.mask)
    np.testing.assert_array_equal(one.depth, two.depth)


def test_saved_model_gives_the_same(tmp_path):
    torch.manual_seed(0)
    model = create_model("mdnet")
    save_model(model, tmp_path / "model")
    bg, fg_bg = noise(0, 33, 47), noise(1, 33, 47)
    mine, loaded = Predictor(model, "cpu")(bg, fg_bg), Predictor.load(tmp_path / "model", "cpu")(bg, fg_bg)
    np.testing.assert_array_equal(mine.mask, loaded.mask)
    np.testing.assert_array_equal(mine.depth, loaded.depth)


def scene_with_disk(h: int, w: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A soft pattern, the same with a disk in front of it under other light, and the disk."""
    small = np.random.default_rng(0).integers(60, 200, (12, 12, 3), dtype=np.uint8)
    bg = np.asarray(Image.fromarray(small).resize((w, h), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:h, :w]
    disk = (x - 0.5 * w) ** 2 + (y - 0.6 * h) ** 2 < (0.25 * min(h, w)) ** 2
    fg_bg = np.where(disk[..., None], (200, 40, 30), bg)
    return bg, np.clip(fg_bg * 1.1, 0, 255).astype(np.uint8), disk


@pytest.mark.parametrize("size", [(32, 32), (50, 300), (3000, 4000)])
def test_packaged_weights_find_what_was_added(size):
    bg, fg_bg, disk = scene_with_disk(*size)
    mask, depth = Predictor.load("mdnet", "cpu")(bg, fg_bg)
    assert mask.shape == depth.shape == size
    found = mask > 0.5
    assert (found & disk).sum() / (found | disk).sum() > 0.8
    assert 0 < depth.min() < depth.max() < 1
    if max(size) < 1000:
        again = Predictor.load("mdnet", "cpu")(bg, fg_bg)
        np.testing.assert_array_equal(again.mask, mask)
        np.testing.assert_array_equal(again.depth, depth)


def test_wrong_pictures_are_explained(tmp_path):
    predictor = Predictor(ReadsColours())
    good = noise(0, 20, 30)
    with pytest.raises(ValueError, match=r"bg is 30 x 20 pixels, fg_bg 31 x 20"):
        predictor(good, noise(0, 20, 31))
    with pytest.raises(ValueError, match=r"10 x 40 pixels, but each side needs at least 16"):
        predictor(noise(0, 40, 10), noise(0, 40, 10))
    with pytest.raises(ValueError, match=r"fg_bg is an array of shape \(20, 30, 3\) and type float64"):
        predictor(good, good.astype(float))
    with pytest.raises(ValueError, match=r"bg is an array of shape \(3, 20, 30\)"):
        predictor(good.transpose(2, 0, 1), good)
    with pytest.raises(ValueError, match="bg is a Tensor, but a picture is expected"):
        predictor(torch.zeros(3, 20, 30), good)
    (tmp_path / "note.png").write_text("hello")
    with pytest.raises(ValueError, match=r"note\.png is not a picture"):
        predictor(tmp_path / "note.png", good)
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        predictor(good, tmp_path / "missing.png")


def test_missing_weights_are_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Predictor.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="'mdnett' is neither .* which are: mdnet"):
        Predictor.load("mdnett")
