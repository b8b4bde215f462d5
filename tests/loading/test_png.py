"""Gray PNG, held against PIL and against what other writers make."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mdlib.loading import codec, png

RAMP = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8) + np.uint8(30)
gray_pictures = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1)).map(
    lambda t: np.random.default_rng(t[2]).integers(0, 65536, t[:2], dtype=np.uint16)
)


@settings(deadline=None)
@given(gray_pictures, st.booleans(), st.integers(0, 9))
def test_png_round_trip_and_pil_agrees(img, eight_bits, level):
    img = (img >> 8).astype(np.uint8) if eight_bits else img
    data = codec.encode_png(img, level)
    np.testing.assert_array_equal(codec.decode(data), img)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), img)


def filtered_png(img, kind):
    """A PNG of 8-bit gray whose rows all use one filter, written by hand (W3C PNG, section 9)."""
    img = img.astype(np.int64)
    left, up = np.pad(img, ((0, 0), (1, 0)))[:, :-1], np.pad(img, ((1, 0), (0, 0)))[:-1]
    rows = [img, img - left, img - up][kind] % 256
    raw = np.concatenate([np.full((len(img), 1), kind), rows], 1).astype(np.uint8)
    head = png._HEADER.pack(img.shape[1], img.shape[0], 8, 0, 0, 0, 0)
    body = zlib.compress(raw.tobytes())
    parts = [png._chunk(b"IDAT", body[:9]), png._chunk(b"tEXt", b"x"), png._chunk(b"IDAT", body[9:])]
    return png.SIGNATURE + png._chunk(b"IHDR", head) + b"".join(parts) + png._chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_png_of_other_writers(kind):
    np.testing.assert_array_equal(png.decode(filtered_png(RAMP, kind)), RAMP)


def test_png_with_mixed_filters_goes_to_pil():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    mixed = np.concatenate([RAMP, noise])
    stream = io.BytesIO()
    Image.fromarray(mixed).save(stream, "PNG")
    data = stream.getvalue()
    assert png.decode(data) is None
    np.testing.assert_array_equal(codec.decode(data), mixed)


def test_png_never_inflates_beyond_its_size():
    head = png._HEADER.pack(4, 4, 8, 0, 0, 0, 0)
    bomb = png._chunk(b"IDAT", zlib.compress(bytes(50_000_000)))
    data = png.SIGNATURE + png._chunk(b"IHDR", head) + bomb + png._chunk(b"IEND", b"")
    assert png.decode(data).shape == (4, 4)  # the rest is not touched
