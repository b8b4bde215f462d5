"""Pictures from folders: what is read, and a sentence for everything that cannot be."""

import numpy as np
import pytest
from PIL import Image

from mdlib.creation.sources.pictures import (
    folder_backgrounds,
    folder_cutouts,
    folder_pictures,
    prop_cutouts,
    room_backgrounds,
)


def picture(h=40, w=60, seed=0, channels=3):
    """A smooth picture; with 4 channels a cut-out whose object is a box with a soft rim."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    rgb = np.stack([(a * x + b * y + c) % 256 for a, b, c in rng.integers(1, 4, (3, 3))], -1).astype(np.uint8)
    if channels == 3:
        return rgb
    alpha = np.zeros((h, w), np.uint8)
    alpha[5:-5, 8:-6] = 120
    alpha[6:-6, 9:-7] = 255
    return np.dstack([rgb, alpha])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pictures"


def save(folder, name, img, **options):
    folder.mkdir(exist_ok=True)
    (img if isinstance(img, Image.Image) else Image.fromarray(img)).save(folder / name, **options)
    return folder / name


def test_reads_jpeg_png_and_webp_in_the_order_of_their_names(folder):
    save(folder, "b.png", picture(seed=1))
    save(folder, "a.JPG", picture(seed=2), format="JPEG", quality=98)
    save(folder, "c.webp", picture(seed=3), lossless=True)
    (folder / ".hidden").write_text("skipped")
    (folder / "Thumbs.db").write_text("left by a file browser")
    read = folder_backgrounds(folder, (40, 60))
    assert [b.name for b in read] == ["a.JPG", "b.png", "c.webp"]
    assert all(b.rgb.shape == (40, 60, 3) and b.rgb.dtype == np.uint8 and b.z is None for b in read)
    assert (read[1].rgb == picture(seed=1)).all() and (read[2].rgb == picture(seed=3)).all()
    assert np.abs(read[0].rgb.astype(int) - picture(seed=2)).mean() < 8


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1"])
def test_backgrounds_of_any_mode_become_rgb(folder, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    save(folder, f"a.{suffix}", Image.fromarray(picture()).convert("L").convert("RGB").convert(mode))
    assert folder_backgrounds(folder, (20, 30))[0].rgb.shape == (20, 30, 3)


def test_backgrounds_are_cropped_around_the_centre_and_resized_without_stretching(folder):
    img = np.zeros((100, 300, 3), np.uint8)
    img[:, 100:200] = (10, 200, 30)  # the middle third, a square
    save(folder, "wide.png", img)
    assert (folder_backgrounds(folder, (100, 100))[0].rgb == (10, 200, 30)).all()
    assert (folder_backgrounds(folder, (50, 50))[0].rgb[4:-4, 4:-4] == (10, 200, 30)).all()
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::2] = 255
    save(folder, "wide.png", stripes)
    assert np.abs(folder_backgrounds(folder, (50, 50))[0].rgb.astype(int) - 127).max() < 12  # antialiased


def test_exif_orientation_is_honoured(folder):
    upright = picture(40, 60)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying: turn 90 degrees clockwise to view
    save(folder, "a.png", np.ascontiguousarray(np.rot90(upright)), exif=exif)
    assert (folder_backgrounds(folder, (40, 60))[0].rgb == upright).all()


def test_a_background_smaller_than_asked_is_an_error_unless_it_may_be_enlarged(folder):
    save(folder, "small.png", picture(30, 60))
    with pytest.raises(
        ValueError, match=r"small.png is 60 x 30 pixels, smaller than the 40 x 40 .*--upscale"
    ):
        folder_backgrounds(folder, (40, 40))
    assert folder_backgrounds(folder, (40, 40), upscale=True)[0].rgb.shape == (40, 40, 3)


def test_cutouts_are_cropped_to_their_alpha(folder):
    save(folder, "a.png", picture(channels=4))
    (cutout,) = folder_cutouts(folder)
    assert cutout.name == "a.png" and cutout.relief is None and cutout.height_m is None
    assert (cutout.rgba == picture(channels=4)[5:-5, 8:-6]).all()


def test_noise_in_the_alpha_does_not_widen_the_box(folder):
    img = picture(channels=4)
    img[0, 0, 3] = 2
    save(folder, "a.png", img)
    assert folder_cutouts(folder)[0].rgba.shape == (30, 46, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "I;16", "RGBA", "LA"])
def test_masks_of_any_mode(folder, tmp_path, mode):
    img = picture(channels=4)
    img[..., 3] = np.where(img[..., 3] > 128, 255, 0)
    save(folder, "chair.jpg", img[..., :3], quality=95)
    mask = Image.fromarray(img[..., 3])
    if mode == "I;16":
        mask = Image.fromarray(img[..., 3].astype(np.uint16) * 257)
    save(tmp_path / "masks", "chair.png", mask if mode == "I;16" else mask.convert(mode))
    (cutout,) = folder_cutouts(folder, tmp_path / "masks")
    assert cutout.name == "chair.jpg"
    assert (cutout.rgba[..., 3] == img[6:-6, 9:-7, 3]).all()


def test_a_mask_one_pixel_larger_fits_and_one_of_another_shape_does_not(folder, tmp_path):
    img = picture(70, 150, channels=4)
    save(folder, "a.png", img[..., :3])
    save(tmp_path / "masks", "a.png", Image.fromarray(img[..., 3]).resize((150, 71)))
    assert folder_cutouts(folder, tmp_path / "masks")[0].rgba.shape[2] == 4
    save(tmp_path / "masks", "a.png", Image.fromarray(img[..., 3]).resize((150, 90)))
    with pytest.raises(ValueError, match=r"masks.a.png is 150 x 90 pixels, but its picture .* is 150 x 70"):
        folder_cutouts(folder, tmp_path / "masks")


def test_large_cutouts_are_made_smaller_without_fringes(folder):
    img = np.zeros((400, 300, 4), np.uint8)
    img[100:300, 50:250] = (200, 100, 50, 255)
    save(folder, "a.png", img)
    (cutout,) = folder_cutouts(folder, longest_px=100)
    assert abs(cutout.rgba.shape[0] - 50) <= 4
    seen = cutout.rgba[cutout.rgba[..., 3] > 60][:, :3].astype(int)
    assert np.abs(seen - (200, 100, 50)).max() <= 6  # black from the transparent part would darken the rim


BAD_FOLDERS = {
    "missing": (lambda f: None, FileNotFoundError, "there is no such folder; it should hold the backgrounds"),
    "a file": (lambda f: f.write_text("x"), NotADirectoryError, "is a file; give the folder"),
    "empty": (
        lambda f: f.mkdir(),
        ValueError,
        "is empty: put the backgrounds into it, as JPEG, PNG and WebP",
    ),
    "text among pictures": (
        lambda f: (save(f, "a.png", picture()), (f / "notes.txt").write_text("x")),
        ValueError,
        "something other than pictures: notes.txt. JPEG, PNG and WebP files are read",
    ),
    "a folder among pictures": (
        lambda f: (save(f, "a.png", picture()), (f / "more").mkdir()),
        ValueError,
        r"more/ \(a folder\)",
    ),
    "text under a picture's name": (
        lambda f: (f.mkdir(), (f / "a.png").write_text("x")),
        ValueError,
        "a.png is not a picture: expected a JPEG, PNG or WebP file",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders(folder, case):
    make, error, sentence = BAD_FOLDERS[case]
    make(folder)
    with pytest.raises(error, match=sentence) as caught:
        folder_backgrounds(folder, (8, 8))
    assert str(folder) in str(caught.value)


def test_a_truncated_jpeg_is_named(folder):
    path = save(folder, "cut.jpg", picture(200, 300))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="cut.jpg is a damaged picture .* replace or remove it"):
        folder_backgrounds(folder, (8, 8))


def test_all_bad_files_are_reported_at_once(folder):
    save(folder, "good.png", picture())
    for i in range(8):
        (folder / f"bad{i}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="8 of 9 pictures in .* cannot be used") as caught:
        folder_backgrounds(folder, (8, 8))
    message = str(caught.value)
    assert all(f"bad{i}.png" in message for i in range(5)) and "bad5.png" not in message
    assert message.endswith("and 3 more")


BAD_CUTOUTS = {
    "no alpha": (picture(), "has no transparency.* --fg-mask"),
    "fully transparent": (
        picture(channels=4) * [1, 1, 1, 0],
        "marks no object: its alpha is 0 of 255 at most",
    ),
    "hardly visible": (picture(channels=4) // [1, 1, 1, 4], "marks no object: its alpha is 63 of 255"),
    "opaque": (np.dstack([picture(), np.full((40, 60), 255)]), "marks the whole picture as the object"),
}


@pytest.mark.parametrize("case", BAD_CUTOUTS)
def test_bad_cutouts(folder, case):
    img, sentence = BAD_CUTOUTS[case]
    save(folder, "thing.png", img.astype(np.uint8))
    with pytest.raises(ValueError, match=sentence) as caught:
        folder_cutouts(folder)
    assert "thing.png" in str(caught.value)


def test_a_jpeg_cutout_has_no_alpha_and_a_palette_with_transparency_has(folder, tmp_path):
    save(folder, "thing.jpg", picture())
    with pytest.raises(ValueError, match="thing.jpg has no transparency"):
        folder_cutouts(folder)
    index = Image.fromarray((picture(channels=4)[..., 3] > 0).astype(np.uint8)).convert("P")
    save(tmp_path / "palette", "thing.png", index, transparency=0)
    assert folder_cutouts(tmp_path / "palette")[0].rgba.shape == (30, 46, 4)


def test_masks_that_are_missing_black_or_ambiguous(folder, tmp_path):
    masks = tmp_path / "masks"
    save(folder, "a.png", picture())
    save(folder, "b.png", picture())
    save(masks, "a.png", picture(channels=4)[..., 3])
    with pytest.raises(ValueError, match=r"b.png has no mask: .*masks holds no picture called 'b'"):
        folder_cutouts(folder, masks)
    save(masks, "b.png", np.zeros((40, 60), np.uint8))
    with pytest.raises(ValueError, match="masks.b.png marks no object: its brightness is 0 of 255 at most"):
        folder_cutouts(folder, masks)
    save(masks, "b.webp", picture(channels=4)[..., 3])
    with pytest.raises(ValueError, match="two masks for 'b'"):
        folder_cutouts(folder, masks)
    with pytest.raises(FileNotFoundError, match="should hold the masks of the cut-outs"):
        folder_cutouts(folder, tmp_path / "nowhere")


def test_real_cutouts_with_alpha_and_with_masks(office):
    by_alpha = folder_cutouts(office / "fg")
    by_mask = folder_cutouts(office / "fg", office / "fg_mask")
    assert len(by_alpha) == len(by_mask) == len(folder_pictures(office / "fg", "cut-outs"))
    for a, b in zip(by_alpha, by_mask, strict=True):
        assert abs(a.rgba.shape[0] - b.rgba.shape[0]) <= 12 and abs(a.rgba.shape[1] - b.rgba.shape[1]) <= 12


def test_rooms_and_props_are_deterministic_in_their_seed():
    first, again, other = (
        room_backgrounds(2, (32, 48), 5),
        room_backgrounds(2, (32, 48), 5),
        room_backgrounds(1, (32, 48), 6),
    )
    assert [b.name for b in first] == ["room-0000", "room-0001"]
    for a, b in zip(first, again, strict=True):
        assert (a.rgb == b.rgb).all() and (a.z == b.z).all() and (a.floor == b.floor).all()
        assert a.rgb.shape == (32, 48, 3) and a.z.shape == a.floor.shape == (32, 48) and a.focal_px > 0
        assert (np.abs(a.z * 1000 - np.rint(a.z * 1000)) < 1e-2).all()  # whole millimetres
    assert (first[0].rgb != first[1].rgb).any() and (first[0].rgb != other[0].rgb).any()
    (prop,) = prop_cutouts(1, 5)
    assert (prop.rgba == prop_cutouts(1, 5)[0].rgba).all()
    assert prop.relief.shape == prop.rgba.shape[:2] and prop.height_m > 0
    assert (np.isnan(prop.relief) == (prop.rgba[..., 3] == 0)).all()


# ---- every kind of mask and picture, by hand -------------------------------------------------------------

BOX = np.zeros((40, 60), np.uint8)
BOX[10:30, 15:45] = 1  # 20 x 30 pixels


def voc(numbers):
    img = Image.fromarray(numbers).convert("P")
    img.putpalette([value for n in range(256) for value in ((192, 128, 128) if n == 15 else (0, 0, 0))])
    return img


OBJECT_OR_NOT = {
    "class 15 of VOC": voc(BOX * 15),
    "green": np.dstack([0 * BOX, 255 * BOX, 0 * BOX]),
    "yellow": np.dstack([255 * BOX, 255 * BOX, 0 * BOX]),
    "one class = 180": BOX * 180,
    "0 and 1": BOX,
    "0 and 1 in 16 bits": BOX.astype(np.uint16),
    "full in 16 bits": BOX.astype(np.uint16) * 65535,
    "alpha on black": np.dstack([0 * BOX, 0 * BOX, 0 * BOX, 255 * BOX]),
    "alpha on white": np.dstack([0 * BOX + 255, 0 * BOX + 255, 0 * BOX + 255, 255 * BOX]),
    "gray and alpha": Image.merge("LA", [Image.new("L", (60, 40), 255), Image.fromarray(255 * BOX)]),
}


@pytest.mark.parametrize("kind", OBJECT_OR_NOT)
def test_masks_of_any_meaning(folder, tmp_path, kind):
    save(folder, "chair.png", picture())
    save(tmp_path / "masks", "chair.png", OBJECT_OR_NOT[kind])
    (cutout,) = folder_cutouts(folder, tmp_path / "masks")
    assert cutout.rgba.shape == (20, 30, 4) and (cutout.rgba[..., 3] == 255).all()
    assert (cutout.rgba[..., :3] == picture()[10:30, 15:45]).all()


def test_one_of_several_classes(folder, tmp_path):
    several = BOX.copy()
    several[12:20, 20:30] = 2
    save(folder, "chair.png", picture())
    save(tmp_path / "masks", "chair.png", several)
    with pytest.raises(ValueError, match=r"chair.png shows several classes: 0 in 75.0% of it, 1 in 21.7%"):
        folder_cutouts(folder, tmp_path / "masks")
    (cutout,) = folder_cutouts(folder, tmp_path / "masks", mask_class="2")
    assert cutout.rgba.shape == (8, 10, 4) and (cutout.rgba[..., 3] == 255).all()


def test_trimaps_and_inverted_masks_warn(folder, tmp_path):
    save(folder, "chair.png", picture())
    trimap = BOX * 128
    trimap[15:25, 20:40] = 255
    save(tmp_path / "masks", "chair.png", trimap)
    with pytest.warns(UserWarning, match=r"chair.png is a trimap: 16.7% of it is unknown"):
        (cutout,) = folder_cutouts(folder, tmp_path / "masks")
    assert cutout.rgba.shape == (10, 20, 4) and (cutout.rgba[..., 3] == 255).all()
    save(tmp_path / "masks", "chair.png", 255 - 255 * BOX)
    with pytest.warns(UserWarning, match=r"chair.png marks 75% of the picture and 100% of its border"):
        folder_cutouts(folder, tmp_path / "masks")


def test_two_pictures_never_share_a_mask(folder, tmp_path):
    save(folder, "x.png", picture())
    save(folder, "x.jpg", picture(seed=1))
    save(tmp_path / "masks", "x.png", BOX * 255)
    with pytest.raises(ValueError, match=r"two pictures that would share the mask for 'x'"):
        folder_cutouts(folder, tmp_path / "masks")


DEEP = picture(seed=3)[..., 0]


@pytest.mark.parametrize(
    ("name", "img"),
    [
        ("a.png", DEEP.astype(np.uint16) * 257),
        ("a.tif", DEEP.astype(np.uint16) * 257),
        ("a.tif", DEEP.astype(np.int32) * 257),
        ("a.tif", (DEEP / 255).astype(np.float32)),
        ("a.tif", DEEP),
    ],
)  # fmt: skip
def test_backgrounds_and_cutouts_of_any_depth(folder, tmp_path, name, img):
    save(folder, name, img)
    assert (folder_backgrounds(folder, (40, 60))[0].rgb == DEEP[..., None]).all()
    save(tmp_path / "masks", "a.png", BOX * 255)
    assert (folder_cutouts(folder, tmp_path / "masks")[0].rgba[..., :3] == DEEP[10:30, 15:45, None]).all()


def test_backgrounds_that_do_not_say_what_they_show(folder):
    save(folder, "a.png", DEEP.astype(np.uint16) * 16)
    with pytest.raises(ValueError, match=r"a.png has 16 bits, but its largest value is \d+: .* 12 bits"):
        folder_backgrounds(folder, (40, 60))
    save(folder, "a.png", picture(channels=4))
    with pytest.raises(ValueError, match=r"a.png is transparent in \d+.\d% of its pixels"):
        folder_backgrounds(folder, (40, 60))
