"""Pictures to bytes and back, held against PIL."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib.loading import codec


def smooth(height=48, width=64):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 % 200 + 20, y * 4 % 220, (x + y) % 180 + 30], -1).astype(np.uint8)


def saved(img, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(img).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [3, 4])
def test_png_of_colour_is_read_back(channels):
    img = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(codec.encode_png(img)))), img)


@pytest.mark.parametrize("options", [{"mode": "RGB"}, {"mode": "L"}, {"mode": "CMYK"}])
def test_jpeg_is_what_pil_reads(options):
    img = Image.fromarray(smooth()).convert(options["mode"])
    buffer = io.BytesIO()
    img.save(buffer, "JPEG", quality=95)
    expected = Image.open(buffer)
    expected = np.asarray(expected if expected.mode == "L" else expected.convert("RGB")).astype(int)
    decoded = codec.decode(buffer.getvalue())
    assert decoded.shape == expected.shape
    assert np.abs(decoded - expected).max() <= 2


@pytest.mark.parametrize("without_simplejpeg", [False, True])
def test_jpeg_round_trip_with_and_without_simplejpeg(monkeypatch, without_simplejpeg):
    if without_simplejpeg:
        monkeypatch.setattr(codec, "simplejpeg", None)
    img = smooth()
    data = codec.encode_jpeg(img, 95)
    assert np.abs(codec.decode(data).astype(int) - img).mean() < 2.5
    out = np.empty_like(img)
    codec.decode_into(data, out)
    np.testing.assert_array_equal(out, codec.decode(data))
    gray = codec.decode(codec.encode_jpeg(img[..., 0], 95))
    assert gray.shape == img.shape[:2] and np.abs(gray.astype(int) - img[..., 0]).mean() < 2.5


def test_webp_and_palette():
    img = smooth()
    np.testing.assert_array_equal(codec.decode(saved(img, "WEBP", lossless=True)), img)
    palette = Image.fromarray(img).quantize(16)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    np.testing.assert_array_equal(codec.decode(buffer.getvalue()), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_bytes_are_an_error_in_words(kind):
    data = saved(smooth()[..., 0] if kind == "PNG" else smooth(), kind)
    for size in range(0, len(data) - 20, max(1, len(data) // 40)):
        with pytest.raises(ValueError, match="picture|JPEG|PNG"):
            codec.decode(data[:size])


def test_wrong_size_or_kind_is_named():
    data = codec.encode_jpeg(smooth())
    with pytest.raises(ValueError, match=r"\(48, 64, 3\).*\(32, 64, 3\)"):
        codec.decode_into(data, np.empty((32, 64, 3), np.uint8))
    with pytest.raises(ValueError, match=r"uint16"):
        codec.decode_into(codec.encode_png(smooth()[..., 0]), np.empty((48, 64), np.uint16))


def test_millimetres_by_hand():
    z = np.array([[np.nan, 0.0, -1.0, 0.0004, 1.0, 2.3456, 65.535, 80.0, np.inf]])
    np.testing.assert_array_equal(codec.z_to_mm(z), [[0, 0, 0, 1, 1000, 2346, 65535, 65535, 65535]])
    stored = codec.z_to_mm(torch.from_numpy(z))
    assert stored.dtype == torch.uint16
    np.testing.assert_array_equal(stored, codec.z_to_mm(z))


def test_closeness_by_hand():
    stored = torch.tensor([[0, 250, 500, 1000, 65535]], dtype=torch.uint16)
    depth = codec.depth_to_closeness(stored)
    assert depth.dtype == torch.float32 and depth[0, 0].isnan()
    torch.testing.assert_close(depth[0, 1:], torch.tensor([1.0, 1.0, 0.5, 0.5 / 65.535]))
    relative = codec.depth_to_closeness(torch.tensor([0, 51, 255], dtype=torch.uint8))
    torch.testing.assert_close(relative, torch.tensor([0.0, 0.2, 1.0]))
    z = torch.tensor([0.2, 0.5, 4.0, torch.inf])
    torch.testing.assert_close(codec.z_to_closeness(z), torch.tensor([1.0, 1.0, 0.125, 0.0]))
    torch.testing.assert_close(codec.closeness_to_z(torch.tensor([0.125, 1.0])), torch.tensor([4.0, 0.5]))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_shrinking_tensors_is_what_decoding_smaller_does(factor):
    rng = np.random.default_rng(0)
    for dtype, high in ((np.uint8, 256), (np.uint16, 65536)):
        stored = rng.integers(0, high, (3, 16, 24)).astype(dtype)
        shrunk = codec.shrink(torch.from_numpy(stored)[:, None], factor)
        for img, small in zip(stored, shrunk, strict=True):
            out = np.empty((16 // factor, 24 // factor), dtype)
            codec.decode_into(codec.encode_png(img), out, factor)
            np.testing.assert_array_equal(small[0], out)
