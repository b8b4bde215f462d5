"""Pictures that people bring along: whatever it is, a picture or a sentence."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from mdlib.loading.codec import encode_jpeg
from mdlib.viewing.uploads import file_bytes, fit_pair, read_cutout, read_upload


def encoded(img: np.ndarray, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(img).save(file, kind, **options)
    return file.getvalue()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_small_pictures_come_as_they_are():
    img = noise(40, 50, 3)
    read = read_upload(encoded(img), "room.png")
    np.testing.assert_array_equal(read.img, img)
    assert read.notes == []


def test_a_photo_of_40_megapixels_is_made_smaller():
    photo = np.zeros((5000, 8000, 3), np.uint8)
    photo[:, 4000:] = (10, 200, 30)
    read = read_upload(encode_jpeg(photo), "photo.jpg")
    assert read.img.shape == (640, 1024, 3)
    np.testing.assert_allclose(read.img[300, 900], (10, 200, 30), atol=3)
    assert read.notes == ["photo.jpg has 40 megapixels; it was made smaller, to 1024 x 640."]


def test_transparent_parts_become_white():
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[:, :15] = (200, 10, 10, 255)
    read = read_upload(encoded(rgba), "cut.png")
    assert read.img[0, 0].tolist() == [200, 10, 10]
    assert read.img[0, 29].tolist() == [255, 255, 255]
    assert "cut.png is transparent in parts" in read.notes[0]


def test_a_turned_camera_and_gray_pictures():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_upload(encoded(noise(20, 30, 3), "JPEG", exif=exif), "turned.jpg").img.shape == (30, 20, 3)
    gray = noise(20, 30)
    assert (read_upload(encoded(gray), "gray.png").img == gray[..., None]).all()
    deep = gray.astype(np.uint16) * 257
    assert (read_upload(encoded(deep), "deep.png").img == gray[..., None]).all()


def test_photographs_of_200_megapixels():
    photo = np.zeros((10_000, 20_000), np.uint8)
    photo[:, 10_000:] = 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_upload(encode_jpeg(photo), "photo.jpg")
    assert read.img.shape == (512, 1024, 3) and read.img[300, 900].tolist() == [200] * 3
    assert read.notes == ["photo.jpg has 200 megapixels; it was read at 1/4 of its size."]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "x is not a picture: expected a JPEG, PNG or WebP file"),
        (b"", "x is not a picture"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "x is a HEIC photo.*save it as JPEG"),
        (encoded(noise(10, 10, 3)), "x has only 10 x 10 pixels, but each side needs at least 16"),
        (encoded(noise(64, 64, 3), "JPEG")[:700], "x is a damaged picture"),
    ],
)
def test_what_is_no_usable_picture_is_told(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_upload(data, "x")


def test_cutouts_are_cropped_and_need_transparency():
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[10:30, 20:45] = (1, 2, 3, 255)
    cutout, notes = read_cutout(encoded(rgba), "chair.png")
    assert cutout.shape == (20, 25, 4)
    assert notes == []
    with pytest.raises(ValueError, match="room.png has no transparent part"):
        read_cutout(encoded(noise(40, 50, 3)), "room.png")
    with pytest.raises(ValueError, match="empty.png is transparent nearly everywhere"):
        read_cutout(encoded(np.zeros((40, 60, 4), np.uint8)), "empty.png")


def test_two_sizes_of_one_shape_fit_others_do_not():
    small, large = noise(30, 40, 3), noise(60, 80, 3)
    bg, fg_bg, notes = fit_pair(large, small)
    assert bg.shape == fg_bg.shape == (30, 40, 3)
    assert "40 x 30" in notes[0] and "80 x 60" in notes[0]
    assert fit_pair(small, small)[2] == []
    with pytest.raises(ValueError, match="empty place has 40 x 30 pixels, the scene 40 x 40"):
        fit_pair(small, noise(40, 40, 3))


def test_paths(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    assert file_bytes(tmp_path / "a.bin") == b"abc"
    with pytest.raises(FileNotFoundError, match=r"b\.png was not found"):
        file_bytes(tmp_path / "b.png")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        file_bytes(tmp_path)
