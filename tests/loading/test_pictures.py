"""Pictures by what they declare: equal pictures in whatever form are equal arrays, or there is a sentence."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from mdlib.loading import codec, pictures
from mdlib.loading.pictures import orientation_of, read, read_picture, upright


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


def png16(values: np.ndarray, colour: int) -> bytes:
    """PNG with 16 bits a channel, (H,W,C), which PIL does not write in colour: types 0, 2, 4 and 6."""
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    raw = np.hstack([np.zeros((height, 1), np.uint8), rows]).tobytes()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


# 16-bit values and what they are in 8 bits: round(x / 257), by hand
HALF = np.array([[0, 128, 129, 257], [385, 386, 32768, 65535]], np.uint16)
HALF_8 = [[0, 0, 1, 1], [1, 2, 128, 255]]


@pytest.mark.parametrize(
    "source",
    [
        HALF,
        HALF.astype(np.int32),
        Image.fromarray(HALF),
        Image.fromarray(HALF.astype(np.int32)),
        (HALF / 65535).astype(np.float64),
        saved(HALF, "PNG"),
        saved(HALF, "TIFF"),
        saved(HALF.astype(np.int32), "TIFF"),
        png16(np.dstack([HALF] * 3), 2),
        png16(np.dstack([HALF, np.full_like(HALF, 65535)]), 4),
        png16(np.dstack([HALF, HALF, HALF, np.full_like(HALF, 65535)]), 6),
    ],
    ids=lambda source: type(source).__name__,
)
def test_16_bits_by_hand(source):
    img = read_picture(source)
    assert img.dtype == np.uint8 and img.shape == (2, 4, 3)
    assert (img == np.array(HALF_8)[..., None]).all()


def test_other_types_by_hand(tmp_path):
    truth = np.array([[True, False, True]])
    assert read_picture(truth)[..., 0].tolist() == [[255, 0, 255]]
    assert read_picture(Image.fromarray(truth))[..., 0].tolist() == [[255, 0, 255]]
    floats = np.array([[0, 0.1, 0.5, 1]], np.float32)  # 0.1 * 255 = 25.5 in float32 is a little more
    assert read_picture(floats)[..., 2].tolist() == [[0, 26, 128, 255]]
    assert read_picture(saved(floats, "TIFF"))[..., 2].tolist() == [[0, 26, 128, 255]]
    assert not read_picture(np.zeros((2, 3), np.uint16)).any()  # black in any depth


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (np.full((4, 4), 4095, np.uint16), "has 16 bits, but its largest value is 4095: .* 8, 10 or 12 bits"),
        (saved(np.full((4, 4), 1023, np.uint16), "PNG"), "largest value is 1023"),
        (png16(np.full((4, 4, 3), 4095), 2), "the picture has 16 bits, but its largest value is 4095"),
        (np.full((4, 4), 70000), "from 70000 to 70000, but 16 bits hold 0 to 65535"),
        (Image.fromarray(np.full((4, 4), -1, np.int32)), "values from -1 to -1"),
        (np.full((4, 4), 200.0), "values from 200 to 200, but floats are read from 0 to 1"),
        (np.array([[np.nan, 0.5]]), "values from nan to nan"),
        (np.zeros((4, 4, 2), np.uint8), r"array of shape \(4, 4, 2\) and type uint8"),
        (np.zeros((0, 4), np.uint8), r"array of shape \(0, 4\)"),
        (np.zeros((4, 4), complex), "type complex128"),
        (Image.new("LAB", (4, 4)), "mode LAB, which is not read"),
        ([[1, 2]], "the picture is a list, but a picture is expected"),
        (b"", "the picture is not a picture"),
        (b"%PDF-1.7\n" + bytes(64), "is not a picture: expected a JPEG, PNG or WebP file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_rightly_is_told(source, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_picture(source)


def tiff12(row: list[int]) -> bytes:
    """A gray TIFF of one row with 12 bits a value, packed."""
    bits = "".join(f"{value:012b}" for value in row)
    pixels = int(bits, 2).to_bytes(len(bits) // 8, "big")
    tags = [(256, len(row)), (257, 1), (258, 12), (259, 1), (262, 1), (273, 122), (277, 1), (278, 1)]
    tags.append((279, len(pixels)))
    entries = b"".join(
        struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def test_12_bits_that_are_declared():
    """x * 255 / 4095: 0, 127.53, 255 and 0.996."""
    assert read_picture(tiff12([0, 2048, 4095, 16]))[..., 0].tolist() == [[0, 128, 255, 1]]


def test_the_first_of_several_pictures(tmp_path):
    imgs = [Image.fromarray(np.full((4, 5), value, np.uint8)) for value in (10, 200)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        file = io.BytesIO()
        lossless = {"lossless": True} if kind == "WEBP" else {}
        imgs[0].save(file, kind, save_all=True, append_images=imgs[1:], **lossless)
        img, notes = read(file.getvalue(), "x")
        assert (img == 10).all() and notes == ["x has 2 pictures; the first one is read."]


def test_a_transparent_gray_is_alpha():
    data = saved(np.array([[7, 9]], np.uint8), "PNG", transparency=7)
    assert read(data).img.tolist() == [[[7, 7, 7, 0], [9, 9, 9, 255]]]
    assert codec.decode(data).tolist() == read(data).img.tolist()


def test_alpha_that_varies_is_no_background():
    rgba = np.full((4, 5, 4), 255, np.uint8)
    assert read_picture(rgba).shape == (4, 5, 3)
    rgba[0, 0, 3] = 254
    for source in (rgba, Image.fromarray(rgba), saved(rgba, "PNG"), saved(rgba, "WEBP", lossless=True)):
        assert read(source).img.shape == (4, 5, 4) and (read(source).img == rgba).all()
        with pytest.raises(ValueError, match=r"x is transparent in 5.0% of its pixels"):
            read_picture(source, "x")


def test_orientation_of_bytes():
    img = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert orientation_of(saved(img, "PNG")) == 1 == orientation_of(b"Exif\0\0 no picture")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
            data = saved(img, kind, exif=exif)
            assert orientation_of(data) == (1 if kind == "TIFF" else orientation)  # which PIL turns
            seen = read_picture(data)
            assert (
                upright(codec.decode(data), orientation_of(data)).reshape(*seen.shape[:2], -1) == seen
            ).all()
            turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
            assert (np.asarray(turned) == seen).all()


def test_large_photographs(monkeypatch):
    limit = Image.MAX_IMAGE_PIXELS
    photo = np.zeros((10_000, 20_000), np.uint8)  # 200 megapixels, above twice PIL's limit
    photo[:, 10_000:] = 200
    data = codec.encode_jpeg(photo)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        img, notes = read(data, "photo.jpg", enough_px=1000)
        assert img.shape == (1250, 2500, 3) and notes == [
            "photo.jpg has 200 megapixels; it was read at 1/8 of its size."
        ]
        assert img[600, 600].tolist() == [0, 0, 0] and img[600, 1900].tolist() == [200, 200, 200]
        assert read_picture(data).shape == (10_000, 20_000, 3)
    assert limit == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(pictures, "MOST_PX", 100_000_000)
    with pytest.raises(ValueError, match="x has 200 megapixels, and 100 are read at most: make it smaller"):
        read(data, "x")
    assert read(data, "x", 1000).img.shape == (1250, 2500, 3)


# ---- any form ------------------------------------------------------------------------------------------

BITS = ("bool", "uint8", "uint16", "int32", "float32")
FORMS = ("array", "pil", "png", "tiff", "webp", "jpeg")


@st.composite
def pictures_of_any_form(draw):
    """(source, expected): a picture in some form, and the RGB or RGBA it shows upright."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mode = draw(st.sampled_from(("gray", "palette", "rgb", "cmyk")))
    bits = draw(st.sampled_from(BITS))
    alpha = draw(st.sampled_from(("none", "opaque", "varies")))
    form = draw(st.sampled_from(FORMS))
    orientation = draw(st.integers(1, 8))
    if draw(st.booleans()):  # flat, as JPEG keeps it
        eight = np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (height, width, 3)).copy()
    else:
        eight = rng.integers(0, 256, (height, width, 3), np.uint8)
        assume(form != "jpeg")
    channels = 3 if mode != "gray" else 1
    shown = eight if channels == 3 else np.repeat(eight[..., :1], 3, axis=2)
    values = shown if channels == 3 else shown[..., 0]
    if bits == "bool":
        assume(mode == "gray" and alpha == "none")
        values = values >= 128
        shown = np.repeat(values[..., None], 3, axis=2) * np.uint8(255)
    elif bits in ("uint16", "int32"):
        values = (values.astype(np.uint32) * 257).astype(bits)
    elif bits == "float32":
        values = (values / 255).astype(np.float32)
    opaque = np.full((height, width), 255, np.uint8)
    transparency = opaque if alpha == "opaque" else rng.integers(0, 256, (height, width), np.uint8)
    expected = shown if alpha != "varies" or transparency.min() == 255 else np.dstack([shown, transparency])
    source = make(values, mode, bits, None if alpha == "none" else transparency, form, orientation)
    assume(source is not None)
    return source, expected if form == "array" else upright(expected, orientation), form == "jpeg"


def make(values, mode, bits, alpha, form, orientation):
    """The picture in that form; None where there is no such thing."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    if form == "array":
        if mode in ("palette", "cmyk"):
            return None
        if alpha is None:
            return values
        scaled = {
            "uint8": alpha,
            "uint16": alpha.astype(np.uint16) * 257,
            "int32": alpha.astype(np.int32) * 257,
        }
        scaled["float32"] = (alpha / 255).astype(np.float32)
        return np.dstack([values] * (1 if mode != "gray" else 3) + [scaled[bits]])
    if bits == "uint16" and form == "png":
        if mode not in ("gray", "rgb"):
            return None
        planes = [values] if alpha is None else [values, alpha.astype(np.uint16) * 257]
        colour = {"gray": 0, "rgb": 2}[mode] + (0 if alpha is None else 4)
        data = png16(np.dstack(planes), colour)
        return data if orientation == 1 else None
    if bits in ("uint16", "int32", "float32"):
        if mode != "gray" or alpha is not None or form not in ("pil", "tiff"):
            return None
        img = Image.fromarray(values)
    elif mode == "palette":
        quantized = Image.fromarray(values).quantize(256) if values.size <= 3 * 256 else None
        if quantized is None or alpha is not None or form == "jpeg" or form == "webp":
            return None
        if (np.asarray(quantized.convert("RGB")) != values).any():
            return None
        img = quantized
    elif mode == "cmyk":
        if alpha is not None or form not in ("pil", "tiff"):
            return None
        img = Image.fromarray(values).convert("CMYK")
        if (np.asarray(img.convert("RGB")) != values).any():
            return None
    else:
        img = Image.fromarray(values)
        if alpha is not None:
            img.putalpha(Image.fromarray(alpha))
    if form == "pil":
        img.getexif()[0x0112] = orientation
        return img
    if form == "jpeg" and (alpha is not None or bits == "bool"):
        return None
    if form == "webp" and img.mode not in ("RGB", "RGBA"):
        return None
    file = io.BytesIO()
    lossless = {"webp": {"lossless": True, "exact": True}, "jpeg": {"quality": 100, "subsampling": 0}}
    img.save(file, form.upper(), exif=exif, **lossless.get(form, {}))
    return file.getvalue()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(pictures_of_any_form())
def test_equal_pictures_are_equal_arrays_in_any_form(case):
    source, expected, lossy = case
    try:
        img = read(source).img
    except ValueError as error:
        COUNTED["told"] += 1
        assert len(str(error)) > 40
        return
    COUNTED["read"] += 1
    assert img.dtype == np.uint8 and img.shape == expected.shape
    assert np.abs(img.astype(int) - expected).max() <= (3 if lossy else 0)


COUNTED = {"read": 0, "told": 0}


def test_nine_of_ten_valid_forms_are_read():
    """Counted by the test above."""
    assert COUNTED["read"] >= 100 and COUNTED["read"] >= 0.9 * sum(COUNTED.values())
