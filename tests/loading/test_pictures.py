"""Pictures by what they declare: equal pictures in whatever form are equal arrays, or there is a sentence."""

import io

import numpy as np
import pytest
from PIL import Image

from mdlib.loading.pictures import read_picture


def smooth(height=48, width=64):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 % 200 + 20, y * 4 % 220, (x + y) % 180 + 30], -1).astype(np.uint8)


def saved(img, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(img).save(buffer, kind, **options)
    return buffer.getvalue()


def test_exif_orientation_is_honoured(tmp_path):
    img = Image.fromarray(smooth())
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show rotated by 90 degrees clockwise
    img.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.rot90(smooth(), -1))


def test_read_picture_names_the_file(tmp_path):
    (tmp_path / "note.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match="note.jpg is not a picture"):
        read_picture(tmp_path / "note.jpg")
    data = saved(smooth(), "JPEG")
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="half.jpg is a damaged picture"):
        read_picture(tmp_path / "half.jpg")
    with pytest.raises(FileNotFoundError, match="gone.jpg"):
        read_picture(tmp_path / "gone.jpg")
