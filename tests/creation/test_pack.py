"""Archives of other projects, packed into our shards and read again."""

import io
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib.creation.info import info
from mdlib.creation.pack import PackConfig, pack
from mdlib.creation.workers import HereExecutor
from mdlib.loading import codec
from mdlib.loading.archive import Archive
from mdlib.loading.dataset import open_dataset
from mdlib.loading.foreign.layout import Layout

SIZE = (40, 56)
BACKGROUNDS, PER_BACKGROUND = 3, 4
LAYOUT = Layout(invert_depth=True, placements=2, cutouts=2)


def saved(img, kind="JPEG"):
    buffer = io.BytesIO()
    Image.fromarray(img).save(buffer, kind, quality=80)
    return buffer.getvalue()


def smooth(seed):
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize(SIZE[::-1], Image.Resampling.BICUBIC))


def members(kind="JPEG", suffix="jpg", depth=True):
    """A bright box with a soft edge on each background, two placements of two cut-outs."""
    found = {}
    for b in range(BACKGROUNDS):
        bg = smooth(b)
        found[f"bg/bg_{b}.{suffix}"] = saved(bg, kind)
        for k in range(PER_BACKGROUND):
            mask = np.zeros(SIZE, np.uint8)
            mask[8 + k : 28 + k, 10 + 2 * k : 30] = 128
            mask[10 + k : 26 + k, 12 + 2 * k : 28] = 255
            alpha = mask[..., None] / 255
            name = f"bg_{b}/img_{k:02d}"
            found[f"fg_bg/{name}.{suffix}"] = saved((bg * (1 - alpha) + 250 * alpha).astype(np.uint8), kind)
            found[f"fg_bg_mask/{name}.{suffix}"] = saved(mask, kind)
            if depth:
                found[f"fg_bg_depth/{name}.jpg"] = saved(smooth(100 + b + k)[..., 0])
    return found


def write_zip(path, content, method=zipfile.ZIP_DEFLATED):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    for top in ("bg", "fg_bg", "fg_bg_mask", "fg_bg_depth"):
        part = {name: data for name, data in members().items() if name.startswith(f"{top}/")}
        write_zip(folder / f"{top}.zip", part)
    return folder


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    return pack(
        PackConfig(source, tmp_path_factory.mktemp("packed") / "data", LAYOUT, workers=1), progress=False
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_packed_set_holds_the_same_samples(source, packed):
    before, after = open_dataset(source, LAYOUT), open_dataset(packed)
    assert len(after) == 12 and after.size == SIZE and after.depth_kind == "relative"
    a, b = before.batch(range(12)), after.batch(range(12))
    assert a.keys() == b.keys()
    for kind in a:
        np.testing.assert_array_equal(a[kind], b[kind], err_msg=kind)
    np.testing.assert_array_equal(before.backgrounds, after.backgrounds)
    np.testing.assert_array_equal(before.fg, after.fg)
    assert after.fg.tolist() == [0, 0, 1, 1] * 3


def test_jpegs_keep_their_bytes_and_the_rest_is_gray_png(packed):
    content = members()
    archive = Archive(sorted(packed.glob("shard-*.zip")))
    assert archive.check() == [] and len(archive.paths) == BACKGROUNDS
    for n in range(12):
        name = f"bg_{n // 4}/img_{n % 4:02d}"
        assert archive.read(archive.find(f"fg_bg/{n:06d}.jpg")) == content[f"fg_bg/{name}.jpg"]
        mask = archive.read(archive.find(f"mask/{n:06d}.png"))
        stored = np.asarray(Image.open(io.BytesIO(content[f"fg_bg_mask/{name}.jpg"])))
        np.testing.assert_array_equal(codec.decode(mask), codec.ringing_table()[stored])
        depth = archive.read(archive.find(f"depth/{n:06d}.png"))
        assert mask[:4] == depth[:4] == b"\x89PNG"
        stored = np.asarray(Image.open(io.BytesIO(content[f"fg_bg_depth/{name}.jpg"])))
        assert np.abs(codec.decode(depth).astype(int) - (255 - stored.astype(int))).max() <= 1
    for b in range(BACKGROUNDS):
        assert archive.read(archive.find(f"bg/{b:04d}.jpg")) == content[f"bg/bg_{b}.jpg"]
    with zipfile.ZipFile(packed / "shard-00001.zip") as shard:
        assert shard.read("names.txt").decode().split() == [f"bg_1/img_{k:02d}" for k in range(4)]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in shard.infolist())


def test_what_is_told_about_it(packed):
    data = open_dataset(packed)
    assert [(e["id"], e["name"], e["group"]) for e in data.info["backgrounds"]] == [
        ("0000", "bg_0", 0),
        ("0001", "bg_1", 1),
        ("0002", "bg_2", 2),
    ]
    assert data.info["counts"] == {"samples": 12, "backgrounds": 3, "cutouts": 2}
    batch = data.batch(range(12))
    pixels = batch["fg_bg"].double() / 255
    found = data.info["statistics"]
    np.testing.assert_allclose(found["fg_bg"]["mean"], pixels.mean((0, 2, 3)), atol=1e-9)
    np.testing.assert_allclose(found["fg_bg"]["std"], pixels.std((0, 2, 3), correction=0), atol=1e-9)
    np.testing.assert_allclose(found["depth"]["mean"], [batch["depth"].double().mean() / 255], atol=1e-7)
    rows = data.placements
    for n in range(12):  # the box of the mask, as drawn, up to a pixel of its soft edge
        k = n % 4
        assert abs(rows["x_px"][n] - (10 + 2 * k)) <= 2 and abs(rows["y_px"][n] - (8 + k)) <= 2
        assert abs(rows["scale"][n] * SIZE[0] - 20) <= 3
    assert np.isnan(rows["z_m"]).all() and not rows["flip"].any()
    sets = data.split()
    assert sum(map(len, sets.values())) == 12 and all(map(len, sets.values()))


def test_the_same_bytes_again_from_folders_and_on_another_executor(source, packed, tmp_path):
    for path in source.glob("*.zip"):
        zipfile.ZipFile(path).extractall(tmp_path / "extracted")
    config = PackConfig(tmp_path / "extracted", tmp_path / "out", LAYOUT)
    with Threads(2) as executor:
        assert contents(pack(config, progress=False, executor=executor)) == contents(packed)


class Threads(ThreadPoolExecutor):
    """Sends its tasks and results through pickle, as processes and other machines do."""

    def submit(self, function, *arguments):
        task = pickle.dumps((function, arguments))
        return super().submit(lambda: pickle.loads(pickle.dumps(run(*pickle.loads(task)))))


def run(function, arguments):
    return function(*arguments)


def test_an_interrupted_run_goes_on(source, packed, tmp_path):
    out = tmp_path / "data"
    out.mkdir()
    for name in ("recipe.json", "shard-00001.zip"):
        (out / name).write_bytes((packed / name).read_bytes())
    stamp = (out / "shard-00001.zip").stat().st_mtime_ns
    with pytest.raises(FileNotFoundError, match="begun but not finished"):
        open_dataset(out)
    config = PackConfig(source, out, LAYOUT, workers=1)
    assert contents(pack(config, progress=False)) == contents(packed)
    assert (out / "shard-00001.zip").stat().st_mtime_ns == stamp
    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    pack(config, progress=False)  # finished: nothing is touched
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == stamps


class StoppedAfter(HereExecutor):
    """Is interrupted, as by Ctrl-C, after some tasks."""

    def __init__(self, tasks):
        self.left = tasks

    def submit(self, function, *arguments):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().submit(function, *arguments)


def test_an_interrupt_says_how_far_it_came(source, tmp_path):
    config = PackConfig(source, tmp_path / "data", LAYOUT)
    sentence = "stopped; 2 shards are finished. Run the same command again to go on"
    with pytest.raises(KeyboardInterrupt, match=sentence):
        pack(config, progress=False, executor=StoppedAfter(2))
    with pytest.raises(FileNotFoundError, match="data is not finished: 2 shards are finished"):
        info(tmp_path / "data")


def test_another_layout_in_the_same_folder_is_refused(source, packed):
    with pytest.raises(
        ValueError, match="begun with another recipe: .*layout invert_depth is True there, False"
    ):
        pack(PackConfig(source, packed, Layout(placements=2, cutouts=2)), progress=False)


def test_pictures_that_are_not_jpeg_become_jpeg(tmp_path):
    """Lossless archives: masks exact, colour at the stated quality; no depth; one cut-out for each sample."""
    content = members("PNG", "png", depth=False)
    path = write_zip(tmp_path / "all.zip", content)
    out = pack(
        PackConfig(path, tmp_path / "out", Layout(depth=""), jpeg_quality=95, workers=1), progress=False
    )
    data = open_dataset(out)
    assert data.depth_kind == "none" and data.fg.tolist() == list(range(12))
    archive = Archive(out / "shard-00000.zip")
    assert archive.read(archive.find("fg_bg/000001.jpg"))[:3] == codec.JPEG_SIGNATURE
    for n in range(12):
        name = f"bg_{n // 4}/img_{n % 4:02d}.png"
        np.testing.assert_array_equal(data[n]["mask"][0], codec.decode(content[f"fg_bg_mask/{name}"]))
        error = data[n]["fg_bg"].permute(1, 2, 0).numpy().astype(int) - codec.decode(content[f"fg_bg/{name}"])
        assert np.abs(error).mean() < 3


def test_a_table_is_packed_in_its_order(tmp_path):
    content = members()
    names = [f"bg_{n // 4}/img_{n % 4:02d}.jpg" for n in range(12)]
    rows = [f"fg_bg/{n}\tfg_bg_mask/{n}\tfg_bg_depth/{n}\tbg/{n[:4]}.jpg" for n in reversed(names)]
    path = write_zip(tmp_path / "all.zip", content | {"labels.txt": "\n".join(rows).encode()})
    layout = Layout(labels="labels.txt")
    out = pack(PackConfig(path, tmp_path / "out", layout, workers=1), progress=False)
    before, after = open_dataset(path, layout), open_dataset(out)
    order = [int(name) for name in map(after.sample_name, range(12))]
    assert (
        sorted(order) == list(range(12)) and order[0] == 8
    )  # by shards: the first background comes last here
    for k, n in enumerate(order):
        for kind in ("bg", "fg_bg", "mask", "depth"):
            np.testing.assert_array_equal(after[k][kind], before[n][kind])


HARD = np.zeros(SIZE, np.uint8)
HARD[8:28, 10:30] = 1  # the object in `with_masks`


def as_png(img):
    file = io.BytesIO()
    (img if isinstance(img, Image.Image) else Image.fromarray(img)).save(file, "PNG")
    return file.getvalue()


def with_masks(path, mask, depth=None, picture=lambda img: img):
    """An archive of two backgrounds with two samples each, all with the same mask and depth."""
    content = {}
    for n in range(4):
        bg, name = smooth(n // 2), f"bg_{n // 2}/img_{n}"
        content[f"bg/bg_{n // 2}.png"] = as_png(bg)
        content[f"fg_bg/{name}.png"] = as_png(
            picture(np.where(HARD[..., None] > 0, 250, bg).astype(np.uint8))
        )
        content[f"fg_bg_mask/{name}.png"] = mask if isinstance(mask, bytes) else as_png(mask)
        if depth is not None:
            content[f"fg_bg_depth/{name}.png"] = as_png(depth)
    return write_zip(path, content)


BLACK = np.zeros_like(HARD)
PALETTE = Image.fromarray(HARD * 15).convert("P")
PALETTE.putpalette([value for n in range(256) for value in ((192, 128, 128) if n == 15 else (0, 0, 0))])
MASKS = {
    "0 and 1": HARD,
    "16 bits": HARD.astype(np.uint16) * 65535,
    "16 bits, 0 and 1": HARD.astype(np.uint16),
    "one class = 180": HARD * 180,
    "class 15 of VOC": PALETTE,
    "green": np.dstack([BLACK, HARD * 255, BLACK]),
    "alpha on black": np.dstack([BLACK, BLACK, BLACK, HARD * 255]),
    "alpha on white": np.dstack([BLACK + 255, BLACK + 255, BLACK + 255, HARD * 255]),
    "gray and alpha": Image.merge("LA", [Image.new("L", SIZE[::-1], 255), Image.fromarray(HARD * 255)]),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_any_meaning_are_packed(tmp_path, kind):
    path = with_masks(tmp_path / "all.zip", MASKS[kind])
    out = pack(PackConfig(path, tmp_path / "out", Layout(depth=""), workers=1), progress=False)
    for data in (open_dataset(path, Layout(depth="")), open_dataset(out)):
        for n in range(4):
            np.testing.assert_array_equal(data[n]["mask"][0], HARD * 255)


def test_trimaps_and_classes_in_archives(tmp_path):
    trimap = HARD * 128
    trimap[12:24, 14:26] = 255
    path = with_masks(tmp_path / "trimap.zip", trimap)
    with pytest.warns(
        UserWarning, match=r"mask 'fg_bg_mask/bg_0/img_0.png' is a trimap: 11.4% of it is unknown"
    ):
        data = open_dataset(path, Layout(depth=""))
    np.testing.assert_array_equal(data[0]["mask"][0], np.where(trimap == 255, 255, 0))
    classes = HARD.copy()
    classes[12:24, 14:26] = 2
    path = with_masks(tmp_path / "classes.zip", classes)
    with pytest.raises(ValueError, match=r"img_0.png' shows several classes: 0 in 82.1% of it, 1 in 11.4%"):
        open_dataset(path, Layout(depth=""))
    data = open_dataset(path, Layout(depth="", mask_class="2"))
    np.testing.assert_array_equal(data[0]["mask"][0], np.where(classes == 2, 255, 0))


@pytest.mark.parametrize(("unit", "expected"), [("mm", 2000), ("cm", 20000), ("5000", 400), ("256", 7812)])
def test_depth_in_16_bits_is_metric(tmp_path, unit, expected):
    """2,000 are 2 m in millimetres, 20 m in centimetres, 0.4 m at 5,000 a metre and 7.8125 m at 256."""
    depth = np.full(SIZE, 2000, np.uint16)
    depth[:4], depth[4:8] = 0, 65535  # unknown
    path = with_masks(tmp_path / "all.zip", HARD * 255, depth)
    layout = Layout(depth_unit=unit)
    out = pack(PackConfig(path, tmp_path / "out", layout, workers=1), progress=False)
    for data in (open_dataset(path, layout), open_dataset(out)):
        stored = data[0]["depth"][0]
        assert data.depth_kind == "metric" and stored.dtype == torch.uint16
        assert (stored[8:].int() == expected).all() and (stored[:8].int() == 0).all()
    assert data.info["depth"]["unit"] == "millimetres, 0 = unknown"
    assert open_dataset(path, layout).info["id"] != open_dataset(path, Layout()).info["id"] or unit == "mm"


def test_depth_that_does_not_fit_its_options(tmp_path):
    path = with_masks(tmp_path / "deep.zip", HARD * 255, np.full(SIZE, 2000, np.uint16))
    with pytest.raises(
        ValueError, match="of type uint16: depth is 8-bit closeness, perhaps with invert_depth"
    ):
        open_dataset(path, Layout(invert_depth=True))
    path = with_masks(tmp_path / "flat.zip", HARD * 255, HARD * 100)
    with pytest.raises(ValueError, match="of type uint8: depth is 8-bit closeness"):
        open_dataset(path, Layout(depth_unit="cm"))
    with pytest.raises(ValueError, match="the unit of depth is 'inch'; it is mm, cm, m, or how many"):
        Layout(depth_unit="inch")


def test_pictures_of_any_depth_and_none_transparent(tmp_path):
    """A member of another kind than the first ones is read rightly, or named."""
    path = with_masks(
        tmp_path / "deep.zip", HARD * 255, picture=lambda img: img[..., 0].astype(np.uint16) * 257
    )
    content = {n: zipfile.ZipFile(path).read(n) for n in zipfile.ZipFile(path).namelist()}
    for b in range(2):
        content[f"bg/bg_{b}.png"] = as_png(smooth(b)[..., 0])
    data = open_dataset(write_zip(tmp_path / "gray.zip", content), Layout(depth=""))
    np.testing.assert_array_equal(
        data[0]["fg_bg"], np.where(HARD > 0, 250, smooth(0)[..., 0])[None].repeat(3, 0)
    )
    content["fg_bg_mask/bg_1/img_2.png"] = as_png(np.dstack([BLACK, HARD * 255, BLACK]))
    data = open_dataset(write_zip(tmp_path / "odd.zip", content), Layout(depth=""))
    np.testing.assert_array_equal(data[2]["mask"][0], HARD * 255)
    content["fg_bg/bg_0/img_1.png"] = as_png(np.dstack([smooth(0), HARD * 255]))
    path = write_zip(tmp_path / "clear.zip", content)
    with pytest.raises(ValueError, match=r"bg_0/img_1.png: a picture is transparent in 82.1% of its pixels"):
        open_dataset(path, Layout(depth=""))


def test_a_damaged_picture_stops_it_and_keeps_what_is_done(source, tmp_path):
    content = members()
    name = "fg_bg/bg_2/img_01.jpg"
    path = write_zip(tmp_path / "all.zip", content | {name: content[name][:300]})
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=f"all.zip: {name}: damaged JPEG"):
        pack(PackConfig(path, out, LAYOUT, workers=1), progress=False)
    assert sorted(p.name for p in out.iterdir()) == ["recipe.json", "shard-00000.zip", "shard-00001.zip"]


def test_options_that_make_no_sense(source, tmp_path):
    with pytest.raises(ValueError, match="workers is 0"):
        pack(PackConfig(source, tmp_path, workers=0))
    with pytest.raises(FileNotFoundError, match="no such archive"):
        pack(PackConfig(tmp_path / "none.zip", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_command(source, packed, tmp_path, command_line):
    options = ["--invert-depth", "--placements", 2, "--cutouts", 2, "--workers", 1]
    done = command_line("pack", source, tmp_path / "out", *options)
    assert done.code == 0 and done.out.strip() == str(tmp_path / "out"), done.err
    assert contents(tmp_path / "out") == contents(packed)
    done = command_line("pack", source, tmp_path / "other", "--mask", "masks")
    assert done.code == 2 and "no pictures of mask in a folder 'masks'" in done.err


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    "turned", [("fg_bg/", "bg/"), ("fg_bg/bg_1", "fg_bg_mask/bg_0", "fg_bg_depth/", "bg/bg_2")]
)
def test_pictures_of_phones_are_turned_once(source, tmp_path, kind, turned):
    """Stored as the sensor saw them, with a tag that says how to turn them: as if they lay upright."""
    suffix = {"JPEG": "jpg", "PNG": "png"}[kind]
    upright = members(kind, suffix)
    lying = {name: lying_down(data) if name.startswith(turned) else data for name, data in upright.items()}
    layout = Layout(invert_depth=True)
    plain = open_dataset(write_zip(tmp_path / "plain.zip", upright), layout)
    phone = open_dataset(write_zip(tmp_path / "phone.zip", lying), layout)
    out = pack(PackConfig(tmp_path / "phone.zip", tmp_path / "out", layout, workers=1), progress=False)
    packed = open_dataset(out)
    assert plain.size == phone.size == packed.size == SIZE
    expected = plain.batch(range(12)) | {"bg": plain.backgrounds}
    for found in (phone, packed):
        batch = found.batch(range(12)) | {"bg": found.backgrounds}
        for name in ("bg", "fg_bg", "mask", "depth"):
            difference = np.abs(batch[name].numpy().astype(int) - expected[name].numpy())
            assert difference.mean() < 3 and difference.max() < 60, (name, difference.mean())
    for shard in sorted(out.glob("shard-*.zip")):
        archive = Archive(shard)
        for name in archive.names():
            data = archive.read(archive.find(name))
            if name.endswith((".jpg", ".png")):
                with Image.open(io.BytesIO(data)) as img:
                    assert img.size == SIZE[::-1] and 0x0112 not in img.getexif()
            if kind == "JPEG" and name.startswith("fg_bg/") and "fg_bg/" not in turned:
                number = int(name[-10:-4])  # what needs no turning keeps its bytes
                there = upright[f"fg_bg/bg_{number // 4}/img_{number % 4:02d}.jpg"]
                assert (data == there) == (number // 4 != 1)


def lying_down(data):
    """The same picture, turned by a quarter in the file, and the tag that turns it back."""
    with Image.open(io.BytesIO(data)) as img:
        exif, buffer = Image.Exif(), io.BytesIO()
        exif[0x0112] = 6  # to be turned clockwise
        img.transpose(Image.Transpose.ROTATE_90).save(buffer, img.format, quality=95, exif=exif)
        return buffer.getvalue()
