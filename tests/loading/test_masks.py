"""Masks by what they mean, with values computed by hand."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from mdlib.loading import codec
from mdlib.loading.masks import MaskReader, check_class, read_mask

SIZE = (40, 60)


def box(value=255, inside=None):
    """An object of 20 x 30 pixels, `value` on 0; `inside` is a second one of 8 x 10 pixels in it."""
    mask = np.zeros(SIZE, np.uint8)
    mask[10:30, 15:45] = value
    if inside is not None:
        mask[16:24, 25:35] = inside
    return mask


def soft(value=255):
    """A disc whose edge rises by 24 levels a pixel."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (
        np.clip(12.0 - np.hypot(y - 20, x - 30), 0, 1) * 0.5
        + np.clip(11.0 - np.hypot(y - 20, x - 30), 0, 1) * 0.5
    )
    return np.rint(disc * value).astype(np.uint8)


def saved(img, kind="PNG", **options):
    file = io.BytesIO()
    (img if isinstance(img, Image.Image) else Image.fromarray(img)).save(file, kind, **options)
    return file.getvalue()


def palette(numbers, **options):
    """A palette picture with the colours of VOC: 0 black, 7 gray, 15 rose, 255 cream."""
    img = Image.fromarray(numbers).convert("P")
    colours = np.zeros((256, 3), np.uint8)
    colours[7], colours[15], colours[255] = (128, 128, 128), (192, 128, 128), (224, 224, 192)
    img.putpalette(colours.tobytes())
    return saved(img, **options)


def coloured(mask, rgb, ground=(0, 0, 0)):
    share = mask[..., None] / 255
    return np.rint(share * rgb + (1 - share) * np.array(ground)).astype(np.uint8)


TRUE = box()
AS_OBJECT = {
    "0 and 255": TRUE,
    "0 and 1": box(1),
    "0 and 180": box(180),
    "bool": TRUE > 0,
    "1 bit": Image.fromarray(TRUE > 0),
    "16 bits": TRUE.astype(np.uint16) * 257,
    "16 bits, 0 and 1": box(1).astype(np.uint16),
    "16 bits, 0 and 4095": box(1).astype(np.uint16) * 4095,
    "integers": box(7).astype(np.int64),
    "float": (TRUE / 255).astype(np.float32),
    "class 15 of a palette": palette(box(15)),
    "green": coloured(TRUE, (0, 255, 0)),
    "yellow": coloured(TRUE, (255, 255, 0)),
    "white on blue": coloured(TRUE, (255, 255, 255), (0, 0, 255)),
    "alpha, black": np.dstack([np.zeros((*SIZE, 3), np.uint8), TRUE]),
    "alpha, white": np.dstack([np.full((*SIZE, 3), 255, np.uint8), TRUE]),
    "gray and alpha": Image.merge("LA", [Image.new("L", SIZE[::-1], 255), Image.fromarray(TRUE)]),
    "a palette with transparency": palette(box(15), transparency=0),
    "opaque": np.dstack([TRUE, TRUE, TRUE, np.full(SIZE, 255, np.uint8)]),
}


@pytest.mark.parametrize("form", AS_OBJECT)
def test_object_or_not(form):
    given = AS_OBJECT[form]
    for source in (given, given if isinstance(given, bytes | np.ndarray) else saved(given)):
        mask, notes = read_mask(source)
        assert mask.dtype == np.uint8 and notes == []
        np.testing.assert_array_equal(mask, TRUE)


@pytest.mark.parametrize("quality", [75, 95])
def test_object_or_not_in_jpeg(quality):
    """JPEG rounds corners and edges; the rest is black or white as stored in PNG."""
    for img in (TRUE, box(180), coloured(TRUE, (0, 255, 0))):
        mask, notes = read_mask(saved(img, "JPEG", quality=quality, subsampling=0))
        assert notes == [] and np.abs(mask.astype(int) - TRUE).mean() < 3
        assert (mask[12:28, 17:43] == 255).all() and (mask[:8] == 0).all()


def test_soft_masks_stay_and_hues_become_strength():
    np.testing.assert_array_equal(read_mask(soft()).img, soft())
    np.testing.assert_array_equal(read_mask(saved(soft(), "WEBP", lossless=True)).img, soft())
    np.testing.assert_array_equal(read_mask(soft().astype(np.uint16) * 257).img, soft())
    np.testing.assert_array_equal(read_mask((soft() / 255).astype(np.float32)).img, soft())
    np.testing.assert_array_equal(read_mask(coloured(soft(), (0, 255, 0))).img, soft())
    strength = read_mask(coloured(soft(), (0, 100, 50))).img  # 100 levels for 255
    assert np.abs(strength.astype(int) - soft()).max() <= 2 and strength.max() == 255
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 16, 0).repeat(4, 1)  # flat, but every value alike
    np.testing.assert_array_equal(read_mask(ramp).img, ramp)
    assert (
        read_mask(saved(ramp, "JPEG", quality=95)).img.astype(int) - codec.ringing_table()[ramp]
    ).max() < 40


def test_an_antialiased_class_of_180_is_an_object():
    """Its edge is scaled with it: 90 of 180 is half, 128."""
    mask = box(180)
    mask[9, 15:45] = 90
    mask[30, 15:45] = 45
    read = read_mask(mask).img
    assert read[20, 30] == 255 and read[9, 20] == 128 and read[30, 20] == 64 and read[0, 0] == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_unknown_is_not_opacity(kind):
    """2,400 pixels, of which 600 - 80 are unknown."""
    mask, (note,) = read_mask(
        saved(box(128, inside=255), kind, **({"quality": 95} if kind == "JPEG" else {})), "t"
    )
    assert "t is a trimap: 21.7% of it is unknown" in note or (kind == "JPEG" and "is a trimap" in note)
    inside = box(0, inside=255)
    if kind == "PNG":
        np.testing.assert_array_equal(mask, inside)
    else:
        assert np.abs(mask.astype(int) - inside).mean() < 3


def test_inverted_masks_are_noticed():
    mask, (note,) = read_mask(255 - TRUE, "x")
    np.testing.assert_array_equal(mask, 255 - TRUE)
    assert "marks 75% of the picture and 100% of its border as the object: it may be inverted" in note


SEVERAL = {
    "gray": (box(1, inside=2), r"0 in 75.0% of it, 1 in 21.7% of it, 2 in 3.3% of it"),
    "16 bits": (box(1, inside=2).astype(np.uint16), r"0 in 75.0% of it, 1 in 21.7% of it, 2 in 3.3% of it"),
    "far apart": (box(85, inside=170), r"85 in 21.7% of it, 170 in 3.3% of it"),
    "palette": (palette(box(15, inside=255)), r"0 \(#000000\) in 75.0%.*15 \(#c08080\) in 21.7% of it, 255"),
    "colours": (
        np.where(box(0, inside=1)[..., None] > 0, [255, 0, 0], coloured(TRUE, (0, 0, 255))).astype(np.uint8),
        r"#000000 in 75.0% of it, #0000ff in 21.7% of it, #ff0000 in 3.3% of it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SEVERAL)
def test_several_classes_are_listed_and_one_is_chosen(case):
    source, listed = SEVERAL[case]
    with pytest.raises(ValueError, match=f"(x|it) shows several classes: .*{listed}.*--mask-class"):
        read_mask(source, "x")
    names = {"gray": "2", "16 bits": "2", "far apart": "170", "palette": "255", "colours": "#ff0000"}
    np.testing.assert_array_equal(read_mask(source, chosen=names[case]).img, box(0, inside=255))
    if case == "palette":
        np.testing.assert_array_equal(read_mask(source, chosen="#E0e0C0").img, box(0, inside=255))
    if case == "colours":
        with pytest.raises(ValueError, match="has no palette, so --mask-class needs a colour"):
            read_mask(source, chosen="2")


def test_what_is_no_mask(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    with pytest.raises(ValueError, match="x is an array.* it is a colour picture where a mask was expected"):
        read_mask(photo, "x")
    with pytest.raises(ValueError, match="largest value is 4000: it may be one of 8, 10 or 12 bits"):
        read_mask(np.arange(2400, dtype=np.uint16).reshape(SIZE) + 1601)
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(ValueError, match=r"a\.png is not a picture"):
        read_mask(tmp_path / "a.png")
    for wrong in ("red", "#12", "-1", "1.5"):
        with pytest.raises(ValueError, match="mask_class is"):
            check_class(wrong)


def test_empty_and_full_masks():
    assert not read_mask(np.zeros(SIZE, np.uint8)).img.any()
    for full in (np.full(SIZE, 255, np.uint8), np.ones(SIZE, np.uint8)):
        assert (read_mask(full).img == 255).all() and "marks 100%" in read_mask(full).notes[0]


def reader(*masks):
    found, _ = MaskReader.for_samples({str(i): data for i, data in enumerate(masks)}, "", codec.RINGING)
    return pickle.loads(pickle.dumps(found))


def read_by(found, data, reduce=1):
    out = np.empty((SIZE[0] // reduce, SIZE[1] // reduce), np.uint8)
    found(data, out, reduce)
    return out


def test_the_reader_of_an_archive_is_decided_once():
    """Plain masks take the short way; a member of another kind the long one, in any archive."""
    corner = np.zeros(SIZE, np.uint8)
    corner[0, 0] = 3  # of an object outside, and no class of two
    plain = reader(saved(TRUE), saved(soft()), saved(corner), saved(corner * 0))
    assert plain.plain == ("PNG", 8, 0, False)
    np.testing.assert_array_equal(read_by(plain, saved(corner)), corner)
    np.testing.assert_array_equal(read_by(plain, saved(soft())), soft())
    numbered = reader(saved(box(1)), saved(corner * 0))
    assert numbered.plain == ()
    np.testing.assert_array_equal(read_by(numbered, saved(box(1))), TRUE)
    half = read_by(numbered, saved(box(1)), 2)
    assert half[7, 10] == 255 and half[0, 0] == 0 and half[7, 7] == 128  # columns 14 and 15: half of it
    for form in ("16 bits", "class 15 of a palette", "green", "alpha, black", "gray and alpha"):
        data = AS_OBJECT[form] if isinstance(AS_OBJECT[form], bytes) else saved(AS_OBJECT[form])
        assert reader(data).plain == ()
        for found in (plain, numbered, reader(data)):
            np.testing.assert_array_equal(read_by(found, data), TRUE)
    jpeg = reader(saved(TRUE, "JPEG"))
    assert jpeg.plain == ("JPEG", "gray") and reader(saved(box(180), "JPEG")).plain == ()
    green = saved(coloured(TRUE, (0, 255, 0)), "JPEG", quality=95, subsampling=0)
    assert np.abs(read_by(jpeg, green).astype(int) - TRUE).mean() < 3
    with pytest.raises(ValueError, match=r"1 shows several classes"):
        reader(saved(TRUE), saved(box(1, inside=2)))
