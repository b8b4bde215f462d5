"""Cut-outs by a segmentation network: its real code, with weights that stand for trained ones."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mdlib.creation.cut_out import CLASSES, CutoutConfig, cut, cut_out, largest_part
from mdlib.creation.sources.pictures import folder_cutouts


class Bright(nn.Module):
    """Takes what is bright for a person: logits grow with the mean of the normalised colours."""

    def forward(self, x):
        out = torch.full((1, 1 + len(CLASSES), *x.shape[2:]), -20.0)
        out[:, 0] = 0
        out[:, 1 + CLASSES.index("person")] = 8 * x.mean(1)
        return {"out": out}


PERSON = [1 + CLASSES.index("person")]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dict of the right network that calls everything a person, and one that sees nothing."""
    from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    model = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    for name, number in (("everything.pth", PERSON[0]), ("nothing.pth", 0)):
        with torch.no_grad():
            model.classifier[-1].bias.zero_()
            model.classifier[-1].bias[number] = 50.0
        torch.save(model.state_dict(), folder / name)
    return folder


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("anna.jpg", "bert.png"):
        Image.fromarray(rng.integers(0, 256, (80, 60, 3), dtype=np.uint8)).save(folder / name)
    return folder


def scene() -> np.ndarray:
    """A bright square of 40 px with a soft edge, a smaller one apart, both on black."""
    img = np.zeros((120, 160, 3), np.uint8)
    img[30:70, 20:60], img[30:50, 100:120] = 255, 255
    return img


def test_the_largest_object_with_a_soft_edge_cropped_to_its_box():
    rgba = cut(scene(), Bright(), PERSON)
    height, width = rgba.shape[:2]
    assert 40 <= height <= 44 and 40 <= width <= 44
    alpha = rgba[..., 3]
    assert (alpha[5:-5, 5:-5] == 255).all() and alpha[0].max() < 255 and (rgba[5:-5, 5:-5, :3] == 255).all()
    assert ((alpha > 0) & (alpha < 255)).any()
    assert abs(alpha.sum(dtype=np.int64) / 255 - 1600) < 60
    assert cut(np.zeros((90, 90, 3), np.uint8), Bright(), PERSON) is None
    assert cut(scene(), Bright(), [1 + CLASSES.index("cat")]) is None


def test_largest_part_against_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(1)
    spiral = np.zeros((31, 31), bool)
    spiral[::4], spiral[:, 30] = True, True
    spiral[15] = False
    for mask in (spiral, rng.random((40, 50)) < 0.35, rng.random((30, 20)) < 0.3, np.zeros((5, 5), bool)):
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=2)[1:]
        found = largest_part(torch.from_numpy(mask)).numpy()
        assert found.sum() == (sizes.max() if count else 0)
        assert not (found & ~mask).any() and len(np.unique(labels[found])) <= 1


def test_photographs_become_cutouts_that_create_can_read(photos, weights, tmp_path, capsys):
    out = tmp_path / "fg"
    written = cut_out(CutoutConfig(photos, out, weights / "everything.pth"), progress=False)
    assert [path.name for path in written] == ["anna.png", "bert.png"]
    assert "no object" not in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["anna.png", "bert.png"]
    assert Image.open(written[0]).mode == "RGBA" and Image.open(written[0]).size == (60, 80)
    with pytest.raises(ValueError, match="marks the whole picture"):  # as these weights do
        folder_cutouts(out)
    square = tmp_path / "square"
    square.mkdir()
    Image.fromarray(np.pad(cut(scene(), Bright(), PERSON), ((2, 2), (2, 2), (0, 0)))).save(square / "a.png")
    assert folder_cutouts(square)[0].rgba.shape[0] >= 40


def test_the_command_names_what_has_no_object(photos, weights, tmp_path, command_line):
    done = command_line("cutout", photos, tmp_path / "fg", "--weights", weights / "nothing.pth")
    assert done.code == 0 and done.out == "" and list((tmp_path / "fg").iterdir()) == []
    assert f"no object found in {photos / 'anna.jpg'}" in done.err and "bert.png" in done.err


def test_without_a_connection_it_says_what_to_do(photos, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(OSError, match=r"could not be downloaded .*https://.*\.pth .*--weights FILE"):
        cut_out(CutoutConfig(photos, tmp_path / "fg"), progress=False)


def test_weights_that_cannot_be_used(photos, weights, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.pth: there is no such file"):
        cut_out(CutoutConfig(photos, tmp_path / "fg", tmp_path / "no.pth"), progress=False)
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.pth is no file of weights"):
        cut_out(CutoutConfig(photos, tmp_path / "fg", tmp_path / "text.pth"), progress=False)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth does not fit deeplabv3_mobilenet_v3_large with 21"):
        cut_out(CutoutConfig(photos, tmp_path / "fg", tmp_path / "other.pth"), progress=False)


def test_wrong_options(photos, tmp_path):
    with pytest.raises(ValueError, match="classes are unicorn; there are aeroplane"):
        cut_out(CutoutConfig(photos, tmp_path / "fg", classes=("unicorn",)), progress=False)
    Image.new("RGB", (8, 8)).save(photos / "anna.png")
    with pytest.raises(ValueError, match="anna.jpg, anna.png would get the same name"):
        cut_out(CutoutConfig(photos, tmp_path / "fg"), progress=False)
