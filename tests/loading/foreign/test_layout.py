"""Archives of other projects, built as those were published, and every way in which they can be wrong."""

import io
import pickle
import re
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image

from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset
from mdlib.loading.foreign.find import KINDS
from mdlib.loading.foreign.folder import FolderArchive
from mdlib.loading.foreign.layout import Layout, open_source
from mdlib.loading.loader import make_loader

SIZE = (48, 64)
BACKGROUNDS, CUTOUTS, COPIES = 3, 2, 3
PER_BACKGROUND = CUTOUTS * COPIES
NUMBERED = Layout(samples_per_background=PER_BACKGROUND)
HEADER = b"fg_bg\tmask\tdepth\tbg\n"
TABLE = Layout(labels="labels.txt", fg_bg="images", mask="masks", depth="depths")


def saved(img, kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(img).save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(generator, channels=3):
    small = generator.integers(0, 256, (4, 5, channels), dtype=np.uint8)
    planes = [
        Image.fromarray(small[..., c]).resize(SIZE[::-1], Image.Resampling.BICUBIC) for c in range(channels)
    ]
    return np.stack([np.asarray(plane) for plane in planes], -1)


def scene(number):
    """(bg, fg_bg, mask, depth) of sample `number`: a soft disc on one of the backgrounds."""
    b = number // PER_BACKGROUND
    bg = smooth(np.random.default_rng(b))
    generator = np.random.default_rng(100 + number)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    centre = generator.integers(12, 36, 2)
    alpha = np.clip(10.5 - np.hypot(y - centre[0], x - centre[1]), 0, 1)
    fg_bg = bg * (1 - alpha[..., None]) + np.array([200, 30, 60]) * alpha[..., None]
    return (
        bg,
        fg_bg.round().astype(np.uint8),
        (alpha * 255).round().astype(np.uint8),
        smooth(generator, 1)[..., 0],
    )


def tree(bg="bg/bg_{b:03d}.jpg", sample="bg_{b:03d}/img_{k:04d}", names=None, mask_kind="JPEG", quality=90):
    """Member names and bytes of the whole set; `names` has a pattern of folder and file for each kind."""
    names = names or {kind: f"{kind}/{sample}.jpg" for kind in ("fg_bg", "fg_bg_mask", "fg_bg_depth")}
    members = {}
    for n in range(BACKGROUNDS * PER_BACKGROUND):
        place = {"b": n // PER_BACKGROUND + 1, "k": n % PER_BACKGROUND + 1, "n": n + 1}
        back, fg_bg, mask, depth = scene(n)
        members[bg.format(**place)] = saved(back, quality=quality)
        fg_bg_name, mask_name, depth_name = (pattern.format(**place) for pattern in names.values())
        members[fg_bg_name] = saved(fg_bg, quality=quality)
        members[mask_name] = saved(mask, mask_kind, quality=quality)
        members[depth_name] = saved(depth, quality=quality)
    return members


def zipped(path, members, method=zipfile.ZIP_STORED):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def four_zips(folder, members, method=zipfile.ZIP_STORED):
    """One archive for each top folder."""
    for top in {name.partition("/")[0] for name in members}:
        part = {name: data for name, data in members.items() if name.startswith(f"{top}/")}
        zipped(folder / f"{top}.zip", part, method)
    return folder


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


def assert_same_samples(data, other):
    assert len(data) == len(other) and data.size == other.size and data.depth_kind == other.depth_kind
    a, b = data.batch(range(len(data))), other.batch(range(len(other)))
    assert a.keys() == b.keys()
    for kind in a:
        np.testing.assert_array_equal(a[kind], b[kind], err_msg=kind)
    np.testing.assert_array_equal(data.backgrounds, other.backgrounds)
    np.testing.assert_array_equal(data.bg, other.bg)


def assert_is_the_set(data, depth=None):
    """Every sample against what was put in, up to the JPEG's error."""
    assert len(data) == BACKGROUNDS * PER_BACKGROUND and data.size == SIZE
    assert data.bg.tolist() == [n // PER_BACKGROUND for n in range(len(data))]
    for n in range(len(data)):
        sample = data[n]
        bg, fg_bg, mask, true_depth = scene(n)
        assert np.abs(sample["bg"].permute(1, 2, 0).numpy().astype(int) - bg).mean() < 3
        assert np.abs(sample["fg_bg"].permute(1, 2, 0).numpy().astype(int) - fg_bg).mean() < 3
        assert np.abs(sample["mask"][0].numpy().astype(int) - mask).mean() < 0.5
        if depth is not None:
            assert np.abs(sample["depth"][0].numpy().astype(int) - depth(true_depth.astype(int))).mean() < 3


@pytest.fixture(scope="module")
def by_folder(tmp_path_factory):
    """Four archives with folders named after the backgrounds."""
    return four_zips(tmp_path_factory.mktemp("four") / "zips", tree())


# ---- the layouts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_four_archives_with_a_folder_for_each_background(tmp_path, method):
    members = tree()
    data = open_dataset(four_zips(tmp_path, members, method), Layout())
    assert_is_the_set(data, depth=lambda x: x)
    assert data.depth_kind == "relative" and data.sample_name(7) == "bg_002/img_0002"
    np.testing.assert_allclose(
        data[7]["depth"][0], decoded(members["fg_bg_depth/bg_002/img_0002.jpg"]), atol=2
    )
    assert [entry["name"] for entry in data.info["backgrounds"]] == ["bg_001", "bg_002", "bg_003"]


def test_three_archives_with_the_masks_beside_the_pictures(tmp_path):
    members = tree()
    both = {name: data for name, data in members.items() if name.startswith(("fg_bg/", "fg_bg_mask/"))}
    zipped(tmp_path / "pictures.zip", both)
    for kind in ("bg", "fg_bg_depth"):
        zipped(tmp_path / f"{kind}.zip", {n: d for n, d in members.items() if n.startswith(f"{kind}/")})
    assert_is_the_set(open_dataset(tmp_path, Layout()), depth=lambda x: x)


def test_archives_named_like_the_folder_that_they_lack(tmp_path, by_folder):
    for name, data in tree().items():
        kind, _, rest = name.partition("/")
        with zipfile.ZipFile(tmp_path / f"{kind}.zip", "a") as archive:
            archive.writestr(rest, data)
    assert_same_samples(open_dataset(tmp_path, Layout()), open_dataset(by_folder, Layout()))


def test_one_archive_below_a_folder_with_what_a_mac_leaves(tmp_path, by_folder):
    members = {f"content/data/{name}": data for name, data in tree().items()}
    rubbish = {f"__MACOSX/content/data/fg_bg/bg_001/{name}": b"x" for name in ("._img_0001.jpg", "img_9.jpg")}
    rubbish |= {
        "content/data/fg_bg/.DS_Store": b"x",
        "content/data/fg_bg/bg_001/Thumbs.db": b"x",
        "a/b.jpg": b"x",
    }
    path = zipped(tmp_path / "all.zip", members | rubbish)
    assert_same_samples(open_dataset(path, Layout()), open_dataset(by_folder, Layout()))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("padded", [False, True])
def test_background_by_number(tmp_path, by_folder, first, padded):
    """index // samples_per_background, with names whose alphabetic order is not that of their numbers."""
    names = {
        kind: f"{kind}/{file}_{{n{':05d' if padded else ''}}}.jpg"
        for kind, file in [("fg_bg", "fg_bg"), ("fg_bg_mask", "mask"), ("fg_bg_depth", "fg_bg_depth")]
    }
    members = tree(bg="bg/{b}.jpg", names=names)
    if first == 0:
        members = tree_from_zero(members)
    path = zipped(tmp_path / "all.zip", members)
    data = open_dataset(path, NUMBERED)
    assert_same_samples(data, open_dataset(by_folder, Layout()))
    assert data.sample_name(9) == f"fg_bg_{9 + first:0{5 if padded else 1}d}"


def tree_from_zero(members):
    """The numbers of the samples one lower."""

    def lower(match):
        return f"_{int(match[1]) - 1:0{len(match[1]) if match[1][0] == '0' else 1}d}.jpg"

    return {re.sub(r"_([0-9]+)\.jpg$", lower, name): data for name, data in members.items()}


def test_a_part_of_a_numbered_set_keeps_its_backgrounds(tmp_path):
    """A sample that is missing moves no other; a background that nothing shows is left out."""
    members = tree(names={k: f"{k}/x_{{n}}.jpg" for k in ("fg_bg", "fg_bg_mask", "fg_bg_depth")})
    gone = [1 + n for n in (2, 3)] + list(range(7, 13))  # two of the first background, all of the second
    part = {n: d for n, d in members.items() if n.startswith("bg/") or int(n[:-4].split("_")[-1]) not in gone}
    data = open_dataset(zipped(tmp_path / "part.zip", part), NUMBERED)
    assert data.bg.tolist() == [0] * 4 + [1] * 6
    assert [entry["name"] for entry in data.info["backgrounds"]] == ["bg_001", "bg_003"]
    np.testing.assert_array_equal(
        data.backgrounds[1].permute(1, 2, 0), codec.decode(members["bg/bg_003.jpg"])
    )


def test_folders_and_backgrounds_that_share_only_a_number(tmp_path, by_folder):
    path = zipped(tmp_path / "all.zip", tree(bg="bg/{b}.jpeg"))
    assert_same_samples(open_dataset(path, Layout()), open_dataset(by_folder, Layout()))


def table(members, top="", header=None, order=("fg_bg", "mask", "depth", "bg"), end="\n"):
    """Rows for `table_members`, the samples in reverse."""
    rows = [] if header is None else [header]
    for n in reversed(range(BACKGROUNDS * PER_BACKGROUND)):
        cells = {
            "fg_bg": f"{top}images/{n}.jpg", "mask": f"{top}masks/{n}.png", "depth": f"{top}depths/{n}.jpg",
            "bg": f"{top}bg/{n // PER_BACKGROUND}.jpg", "-": "17",
        }  # fmt: skip
        rows.append("\t".join(cells[kind] for kind in order))
    return (end.join(rows) + end).encode()


def table_members(top=""):
    members = {}
    for n in range(BACKGROUNDS * PER_BACKGROUND):
        bg, fg_bg, mask, depth = scene(n)
        members[f"{top}bg/{n // PER_BACKGROUND}.jpg"] = saved(bg, quality=90)
        members[f"{top}images/{n}.jpg"] = saved(fg_bg, quality=90)
        members[f"{top}masks/{n}.png"] = saved(
            np.repeat(mask[..., None], 3, 2), "PNG"
        )  # gray in three channels
        members[f"{top}depths/{n}.jpg"] = saved(np.repeat(depth[..., None], 3, 2), quality=90)
    return members


@pytest.mark.parametrize(
    ("top", "label", "options"),
    [
        ("", "labels.txt", {}),
        ("set/", "set/labels.txt", {}),  # relative to the table
        ("set/", "labels.txt", {"top": "set/"}),  # relative to the top
        ("", "labels.txt", {"top": "./"}),
        ("set/", "set/labels.txt", {"top": "/content/drive/My Drive/set/"}),  # where it once was
        ("", "labels.txt", {"header": "FG_BG\tmask\tdepth\tbg"}),
        ("", "labels.txt", {"header": "bg\tfg_bg\tmask\tdepth", "order": ("bg", "fg_bg", "mask", "depth")}),
        ("", "labels.txt", {"order": ("fg_bg", "mask", "bg", "depth"), "end": "\r\n", "columns": True}),
        ("", "labels.txt", {"order": ("-", *KINDS), "header": "n\tx\ty\tz\tw", "columns": True}),
    ],
)  # fmt: skip
def test_one_archive_with_a_table(tmp_path, top, label, options):
    members = table_members(top)
    columns = options.get("order", ()) if options.pop("columns", False) else ()
    members[label] = table(members, **options)
    data = open_dataset(
        zipped(tmp_path / "all.zip", members),
        Layout(labels="labels.txt", columns=columns, fg_bg="images", mask="masks", depth="depths"),
    )
    assert len(data) == 18 and data.bg.tolist() == sorted(data.bg, reverse=True)
    for i in range(18):
        n = 17 - i
        assert data.sample_name(i).endswith(f"images/{n}.jpg")
        np.testing.assert_array_equal(data[i]["mask"][0], scene(n)[2])  # PNG: exact, not cleaned
        np.testing.assert_array_equal(
            data[i]["bg"].permute(1, 2, 0), codec.decode(members[f"{top}bg/{n // 6}.jpg"])
        )
        assert np.abs(data[i]["depth"][0].numpy().astype(int) - scene(n)[3]).mean() < 3


def test_a_table_with_bare_file_names(tmp_path):
    members = table_members()
    rows = [f"{n}.jpg\t{n}.png\t{n}.jpg\t{n // 6}.jpg" for n in range(18)]
    members["labels.txt"] = "\n".join(rows).encode()  # no newline at the end
    data = open_dataset(zipped(tmp_path / "all.zip", members), TABLE)
    assert data.bg.tolist() == [n // 6 for n in range(18)]
    np.testing.assert_array_equal(data[11]["mask"][0], scene(11)[2])


def test_without_depth(tmp_path, by_folder):
    data = open_dataset(by_folder, Layout(depth=""))
    assert data.depth_kind == "none" and "depth" not in data[0]
    members = table_members() | {"labels.txt": table({})}
    data = open_dataset(
        zipped(tmp_path / "all.zip", members), Layout(labels="labels.txt", mask="masks", depth="")
    )
    assert data.depth_kind == "none"


@pytest.mark.parametrize("kind", ["by_folder", "table"])
def test_extracted_folders_give_the_same_samples(tmp_path, by_folder, kind):
    if kind == "by_folder":
        source, layout = by_folder, Layout(invert_depth=True)
    else:
        source = zipped(tmp_path / "all.zip", table_members() | {"labels.txt": table({})})
        layout = TABLE
    for path in open_source(source).paths:
        zipfile.ZipFile(path).extractall(tmp_path / "out")
    data, extracted = open_dataset(source, layout), open_dataset(tmp_path / "out", layout)
    assert isinstance(open_source(tmp_path / "out"), FolderArchive)
    assert_same_samples(data, extracted)
    assert data.dataset_id == extracted.dataset_id
    copy = pickle.loads(pickle.dumps(extracted))
    np.testing.assert_array_equal(copy[3]["fg_bg"], data[3]["fg_bg"])


def test_the_loader_reads_a_layout_like_any_data_set(by_folder):
    data = open_dataset(by_folder, Layout())
    loader = make_loader(data, 5, shuffle=True, threads=2)
    batches = [loader.to_float(batch) for batch in loader]
    assert sum(len(batch["mask"]) for batch in batches) == 18
    assert all(batch["depth"].min() >= 0 and batch["depth"].max() <= 1 for batch in batches)
    assert {0.0, 1.0} <= set(batches[0]["mask"].unique().tolist())


# ---- what the numbers mean ------------------------------------------------------------------------------


def test_depth_that_was_stored_far_is_white(by_folder):
    plain, inverted = open_dataset(by_folder, Layout()), open_dataset(by_folder, Layout(invert_depth=True))
    for n in (0, 17):
        np.testing.assert_array_equal(inverted[n]["depth"].numpy(), 255 - plain[n]["depth"].numpy())
        np.testing.assert_array_equal(inverted[n]["mask"], plain[n]["mask"])
    assert inverted.dataset_id != plain.dataset_id  # other numbers, another data set
    assert_is_the_set(inverted, depth=lambda x: 255 - x)


def test_ringing_of_jpeg_masks_is_cleaned(tmp_path):
    """Held against the masks before they were stored; the figures of the docstring of `ringing_table`."""
    data = open_dataset(zipped(tmp_path / "all.zip", tree(quality=75)), Layout())
    off = open_dataset(tmp_path / "all.zip", Layout(mask_black=0, mask_white=255))
    true = np.stack([scene(n)[2] for n in range(18)]).astype(int)
    clean = np.stack([data[n]["mask"][0] for n in range(18)]).astype(int)
    raw = np.stack([off[n]["mask"][0] for n in range(18)]).astype(int)
    assert ((raw > 0) & (true == 0)).sum() > 500  # there is ringing in the empty area, and it goes
    assert ((clean > 0) & (true == 0)).sum() < 0.1 * ((raw > 0) & (true == 0)).sum()
    assert ((clean < 255) & (true == 255)).sum() < 0.1 * ((raw < 255) & (true == 255)).sum()
    assert np.abs(clean - true).mean() < 0.75 * np.abs(raw - true).mean()
    soft = (raw > 16) & (raw < 239)
    np.testing.assert_array_equal(clean[soft], raw[soft])


def test_ringing_on_masks_of_people(office):
    """The measurement that the docstring of `ringing_table` quotes."""
    generator = np.random.default_rng(0)
    true, raw = [], {75: [], 95: []}
    for path in sorted((office / "fg").glob("*.png"))[:40]:
        alpha = Image.open(path).getchannel("A")
        height = int(generator.integers(60, 180))
        alpha = alpha.resize((max(1, alpha.width * height // alpha.height), height), Image.Resampling.LANCZOS)
        mask = Image.new("L", (224, 224))
        mask.paste(alpha, (int(generator.integers(-20, 150)), int(generator.integers(0, 100))))
        true.append(np.asarray(mask).astype(int))
        for quality, found in raw.items():
            found.append(decoded(saved(np.asarray(mask), quality=quality)))
    true = np.stack(true)
    errors = {}
    for quality, found in raw.items():
        stored = np.stack(found)
        clean = codec.ringing_table()[stored].astype(int)
        errors[quality] = np.abs(stored - true).mean() / 255, np.abs(clean - true).mean() / 255
        if quality == 75:
            empty = true == 0
            assert (stored[empty] > 0).mean() > 0.01 and (clean[empty] > 0).mean() < 0.0003
    assert errors[75][1] < 0.0008 < 0.0009 < errors[75][0] and errors[95][1] < 0.0005


def test_tables_by_hand():
    table = codec.ringing_table()
    assert table[[0, 16, 17, 128, 238, 239, 255]].tolist() == [0, 0, 17, 128, 238, 255, 255]
    assert codec.inversion_table()[[0, 1, 255]].tolist() == [255, 254, 0]
    with pytest.raises(ValueError, match="black is 200 and white 100"):
        codec.ringing_table(200, 100)


def test_cut_outs_by_number(by_folder):
    data = open_dataset(by_folder, Layout(placements=COPIES, cutouts=CUTOUTS))
    assert data.fg.tolist() == [0, 0, 0, 1, 1, 1] * 3
    assert [entry["group"] for entry in data.info["cutouts"]] == [0, 1]
    sets = data.split()
    assert not set(sets["train"].fg) & set(sets["new_fg"].fg) and sum(map(len, sets.values())) == 18


def test_cut_outs_by_name(tmp_path):
    names = {k: f"{k}/bg{{b:03d}}_fg{{f:03d}}_{{n}}.jpg" for k in ("fg_bg", "fg_bg_mask", "fg_bg_depth")}
    members = tree(names={k: v.replace("{f:03d}", "0{k:02d}") for k, v in names.items()})
    path = zipped(tmp_path / "all.zip", members)
    layout = Layout(samples_per_background=6, cutout_pattern="_fg([0-9]+)_")
    data = open_dataset(path, layout)
    assert data.fg.tolist() == [0, 1, 2, 3, 4, 5] * 3
    assert data.info["cutouts"][5] == {"id": "006", "name": "006", "group": 5}
    with pytest.raises(ValueError, match="finds nothing in the name of sample 'bg001_fg001_1'"):
        open_dataset(path, Layout(samples_per_background=6, cutout_pattern="_object([0-9]+)_"))


def test_unknown_cut_outs_and_groups_of_backgrounds(by_folder, tmp_path):
    data = open_dataset(by_folder, Layout())
    assert data.fg.tolist() == list(range(18)) and data.info["cutouts"] == []
    assert "group" not in data.info["backgrounds"][0]  # nothing is compared before it is asked for
    sets = data.split(seed=3)
    assert sum(map(len, sets.values())) == 18 and all(map(len, sets.values()))
    assert [entry["group"] for entry in data.info["backgrounds"]] == [0, 1, 2]
    members = tree()
    members["bg/bg_003.jpg"] = members["bg/bg_001.jpg"]  # the same room twice
    for kind in ("fg_bg", "fg_bg_mask", "fg_bg_depth"):
        for k in range(1, 7):
            members[f"{kind}/bg_003/img_{k:04d}.jpg"] = members[f"{kind}/bg_001/img_{k:04d}.jpg"]
    twice = open_dataset(zipped(tmp_path / "all.zip", members), Layout())
    twice.split()
    assert [entry["group"] for entry in twice.info["backgrounds"]] == [0, 1, 0]


# ---- what is wrong is said ------------------------------------------------------------------------------


def complaint(path, layout):
    with pytest.raises(ValueError) as caught:
        open_dataset(path, layout)
    return str(caught.value)


def test_missing_members_are_named(tmp_path):
    members = tree()
    gone = "fg_bg_mask/bg_002/img_0003.jpg"
    path = zipped(tmp_path / "a.zip", {n: d for n, d in members.items() if n != gone})
    text = complaint(path, Layout())
    assert "sample 'bg_002/img_0003' has no picture in 'fg_bg_mask'; 1 of 18 samples" in text
    path = zipped(tmp_path / "b.zip", {n: d for n, d in members.items() if n != "bg/bg_002.jpg"})
    assert "sample 'bg_002/img_0001' is on the background 'bg_002'" in complaint(path, Layout())
    path = zipped(tmp_path / "c.zip", {n: d for n, d in members.items() if not n.startswith("fg_bg_depth")})
    text = complaint(path, Layout())
    assert "no pictures of depth in a folder 'fg_bg_depth'; found bg, fg_bg/bg_001" in text
    path = zipped(tmp_path / "d.zip", {n.replace("bg_001/", ""): d for n, d in members.items()})
    assert "give the layout samples_per_background or labels" in complaint(path, Layout())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.replace(b"masks/4.png", b"masks/44.png"), "row 14: there is no 'masks/44.png'"),
        (lambda t: HEADER + t.replace(b"bg/1.jpg", b"bg/one.jpg"), "row 8: there is no 'bg/one.jpg'"),
        (lambda t: re.sub(rb"(depths/[0-9]+.jp)", rb"\1e", t), "row 1: there is no 'depths/17.jpeg'"),
        (lambda t: t.replace(b"images/7.jpg\t", b"images/7.jpg "), "row 11: 3 columns, expected 4"),
        (lambda t: b"picture\tmask\tdepth\tbg\n" + t, "18 rows with the columns picture, mask, depth, bg"),
        (lambda t: HEADER, "0 rows with the columns fg_bg"),
        (lambda t: b"", "expected rows of fg_bg, mask, depth, bg"),
        (lambda t: t.replace(b"images/3.jpg", b"elsewhere/3.jpg"), "row 15: there is no 'elsewhere/3.jpg'"),
        (lambda t: t.replace(b"images/3.jpg", b"../images/3.jpg"), "row 15: there is no '../images/3.jpg'"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_explained(tmp_path, change, expected):
    path = zipped(tmp_path / "all.zip", table_members() | {"labels.txt": change(table({}))})
    assert expected in complaint(path, TABLE)
    zipfile.ZipFile(path).extractall(tmp_path / "out")
    assert expected in complaint(tmp_path / "out", TABLE)


def test_no_table(tmp_path):
    path = zipped(tmp_path / "all.zip", table_members())
    assert "no table 'labels.txt'; found bg, depths, images, masks" in complaint(path, TABLE)


def test_wrong_backgrounds_are_seen(tmp_path, by_folder):
    """Numbers that pair samples with strangers would otherwise go unnoticed."""
    members = tree(names={k: f"{k}/x_{{n}}.jpg" for k in ("fg_bg", "fg_bg_mask", "fg_bg_depth")})
    path = zipped(tmp_path / "all.zip", members)
    assert "does not look like its background bg_00" in complaint(path, Layout(samples_per_background=7))
    text = complaint(path, Layout(samples_per_background=5))
    assert "sample 'x_18' is number 17 and so on background number 3" in text
    inverted = {n: saved(255 - codec.decode(d)) if "mask" in n else d for n, d in members.items()}
    path = zipped(tmp_path / "white.zip", inverted)
    assert "masks are white where the object is" in complaint(path, NUMBERED)


def test_sizes_that_differ(tmp_path):
    members = tree()

    def smaller(name):
        return saved(np.asarray(Image.open(io.BytesIO(members[name])).resize((32, 24))))

    path = zipped(tmp_path / "bg.zip", members | {n: smaller(n) for n in members if n.startswith("bg/")})
    text = complaint(path, Layout())
    assert "sample bg_001/img_0001 has the shape (48, 64, 3), but its background bg_001 (24, 32, 3)" in text
    name = "fg_bg_depth/bg_002/img_0003.jpg"
    data = open_dataset(zipped(tmp_path / "one.zip", members | {name: smaller(name)}), Layout())
    with pytest.raises(
        ValueError, match=r"sample bg_002/img_0003, member fg_bg_depth.*\(24, 32\).*\(48, 64\)"
    ):
        data[8]


def test_a_colour_map_is_no_depth(tmp_path):
    members = tree()
    coloured = {n: members[n.replace("_depth", "")] if "_depth" in n else d for n, d in members.items()}
    text = complaint(zipped(tmp_path / "all.zip", coloured), Layout())
    assert "depth 'fg_bg_depth/bg_001/img_0001.jpg' is a colour picture" in text


def test_pictures_twice_and_names_without_order(tmp_path):
    members = tree()
    twice = members | {"fg_bg/bg_001/img_0001.png": b"x"}
    assert "are the same picture twice" in complaint(zipped(tmp_path / "a.zip", twice), Layout())
    names = {"fg_bg": "fg_bg/bg_{b:03d}/img_{k}.jpg", "fg_bg_mask": "fg_bg_mask/{n}.jpg"}
    odd = tree(names=names | {"fg_bg_depth": "fg_bg_depth/bg_{b:03d}/img_{k}.jpg"})
    assert "has no picture in 'fg_bg_mask'; 18 of 18" in complaint(zipped(tmp_path / "b.zip", odd), Layout())
    letters = {
        n.translate(str.maketrans("123456", "abcdef")) if "mask" in n else n: d for n, d in members.items()
    }
    text = complaint(zipped(tmp_path / "c.zip", letters), Layout())
    assert "the numbers in them do not tell them apart either" in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"placements": 20}, "placements is 20, cutouts 0: give both"),
        ({"samples_per_background": -1}, "cannot be negative"),
        ({"cutout_pattern": "fg[0-9]"}, "exactly one group"),
        ({"columns": ("fg_bg", "mask")}, "expected fg_bg, mask, bg"),
        ({"columns": ("fg_bg", "mask", "bg", "box")}, "expected fg_bg, mask, bg"),
        ({"mask_black": 250}, "black is 250 and white 239"),
    ],
)
def test_layouts_that_make_no_sense(options, expected):
    with pytest.raises(ValueError, match=expected):
        Layout(**options)


# ---- names and tables of other systems ------------------------------------------------------------------


def renamed(members, rename):
    return {rename(name): data for name, data in members.items()}


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_composed_in_one_folder_and_not_in_the_other(tmp_path, by_folder, forms):
    """Masks made on a Mac, pictures on Windows: the same names in other bytes."""
    picture, other = forms

    def accented(name):
        kind, _, rest = name.partition("/")
        form = picture if kind == "fg_bg" else other
        rest = rest.replace("bg_0", "caf\u00e9_0")
        return unicodedata.normalize(form, f"donn\u00e9es/{kind}/{rest}")

    path = zipped(tmp_path / "all.zip", renamed(tree(), accented))
    zipfile.ZipFile(path).extractall(tmp_path / "out")
    data, extracted = open_dataset(path, Layout()), open_dataset(tmp_path / "out", Layout())
    assert_same_samples(data, open_dataset(by_folder, Layout()))
    assert_same_samples(extracted, data)
    assert extracted.dataset_id == data.dataset_id


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_in_a_table(tmp_path, form):
    members = renamed(table_members(), lambda name: unicodedata.normalize(form, f"\u00e9t\u00e9/{name}"))
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    members["labels.txt"] = unicodedata.normalize(other, table({}, top="\u00e9t\u00e9/").decode()).encode()
    path = zipped(tmp_path / "all.zip", members)
    zipfile.ZipFile(path).extractall(tmp_path / "out")
    for source in (path, tmp_path / "out"):
        np.testing.assert_array_equal(open_dataset(source, TABLE)[17]["mask"][0], scene(0)[2])
    members["labels.txt"] = members["labels.txt"].replace(b"masks/4.png", b"masks/44.png")
    assert "row 14: there is no '\u00e9t\u00e9/masks/44.png'" in complaint(
        zipped(tmp_path / "wrong.zip", members), TABLE
    )


def test_backslashes_of_windows(tmp_path, by_folder):
    """In the names of an archive, and in a table."""
    path = zipped(tmp_path / "all.zip", tree())
    data = path.read_bytes()
    for name in tree():
        data = data.replace(name.encode(), name.replace("/", "\\").encode())
    path.write_bytes(data)
    assert_same_samples(open_dataset(path, Layout()), open_dataset(by_folder, Layout()))
    members = table_members() | {"labels.txt": table({}).replace(b"/", b"\\")}
    assert len(open_dataset(zipped(tmp_path / "table.zip", members), TABLE)) == 18


def test_an_archive_in_an_archive_is_named(tmp_path):
    four_zips(tmp_path / "in", tree())
    inner = {f"data/{path.name}": path.read_bytes() for path in (tmp_path / "in").iterdir()}
    path = zipped(tmp_path / "all.zip", inner)
    advice = f".zip' is an archive itself: extract {path} first, and give the folder of 'data/"
    assert advice in complaint(path, Layout()) and advice in complaint(path, TABLE)
    zipfile.ZipFile(path).extractall(tmp_path / "out")
    assert len(open_dataset(tmp_path / "out/data", Layout())) == 18


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    "saved_as",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.replace("\t", ",").encode(),
        lambda text: text.replace("\t", "; ").encode("utf-8-sig"),
        lambda text: re.sub("([^\t\n]+)", r'"\1"', text).replace("\t", ",").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\t", ",").replace("\n", "\r\n").encode("utf-16"),
    ],
    ids=["mark", "utf-16-le", "utf-16-be", "commas", "semicolons", "quotes", "old Mac", "spreadsheet"],
)
def test_tables_as_other_programs_save_them(tmp_path, saved_as, header):
    text = ((HEADER if header else b"") + table({})).decode()
    path = zipped(tmp_path / "all.zip", table_members() | {"labels.txt": saved_as(text)})
    data = open_dataset(path, TABLE)
    assert data.sample_name(0) == "images/17.jpg" and data.bg.tolist() == [2] * 6 + [1] * 6 + [0] * 6
    np.testing.assert_array_equal(data[17]["mask"][0], scene(0)[2])


def test_a_table_that_is_no_text(tmp_path):
    for data in (table({}).decode().encode("utf-16-le"), saved(scene(0)[0], "PNG")):
        path = zipped(tmp_path / "all.zip", table_members() | {"labels.txt": data})
        assert "labels.txt is no text, or in UTF-16 without its mark" in complaint(path, TABLE)


def crossed(sample, mask, folder="{b}/"):
    """Three backgrounds x three objects, (b, f) from 1, with these patterns of names."""
    sample, mask = folder + sample, folder + mask
    members = {}
    for b in range(1, 4):
        members[f"bg/{b}.jpg"] = saved(scene(6 * (b - 1))[0], quality=90)
        for f in range(1, 4):
            _, fg_bg, alpha, _ = scene(6 * (b - 1) + f - 1)
            members[f"fg_bg/{sample.format(b=b, f=f)}.jpg"] = saved(fg_bg, quality=90)
            members[f"fg_bg_mask/{mask.format(b=b, f=f)}.png"] = saved(alpha, "PNG")
    return members


NO_DEPTH = Layout(depth="")


@pytest.mark.parametrize("mask", ["f{f}_b{b}", "mask_F{f}_B{b}", "m_b{b}-f{f}", "{b}_{f}", "bg {b} fg {f}"])
def test_numbers_belong_together_by_the_words_before_them(tmp_path, mask):
    """Paired by their order alone, 6 of the 9 masks of `f2_b1` would go to other samples."""
    data = open_dataset(zipped(tmp_path / "all.zip", crossed("b{b}_f{f}", mask)), NO_DEPTH)
    for i in range(9):
        assert data.sample_name(i).endswith(f"b{i // 3 + 1}_f{i % 3 + 1}")
        np.testing.assert_array_equal(data[i]["mask"][0], scene(6 * (i // 3) + i % 3)[2])


@pytest.mark.parametrize("mask", ["object{f}_b{b}", "f{f}_place{b}"])
def test_numbers_in_another_order_with_other_words_are_refused(tmp_path, mask):
    text = complaint(zipped(tmp_path / "all.zip", crossed("b{b}_f{f}", mask)), NO_DEPTH)
    assert "the numbers in '1/b1_f1' stand in another order than in '1/" in text


def test_masks_of_other_samples_are_seen(tmp_path):
    """Numbers without words in another order: the pictures tell."""
    path = zipped(tmp_path / "all.zip", crossed("{b}_{f}", "{f}-{b}", folder=""))
    text = complaint(path, Layout(depth="", samples_per_background=3))
    assert "looked at" in text and "do not mark what differs from the background" in text


@pytest.mark.parametrize("value", [0, 255])
def test_masks_of_one_value_are_refused(tmp_path, value):
    flat = saved(np.full(SIZE, value, np.uint8), "PNG")
    members = {n: flat if "mask" in n else d for n, d in tree().items()}
    text = complaint(zipped(tmp_path / "all.zip", members), Layout())
    assert "the masks of 6 of the 6 samples looked at, such as sample bg_001/img_0001, do not mark" in text
    some = tree()
    for name in some:
        if (
            name.endswith("0001.jpg") and "depth" not in name
        ):  # half of those looked at: nothing is in them, as in their masks
            empty = saved(np.zeros(SIZE, np.uint8), "PNG")
            some[name] = empty if "mask" in name else some[f"bg/{name.split('/')[1]}.jpg"]
    assert len(open_dataset(zipped(tmp_path / "some.zip", some), Layout())) == 18


def test_two_samples_with_one_mask_are_refused(tmp_path):
    members = renamed(crossed("a{f}", "mask_{f}"), lambda name: name.replace("/a3", "/b2"))
    text = complaint(zipped(tmp_path / "all.zip", members), NO_DEPTH)
    assert "samples '1/a2' and '1/b2' share one picture in 'fg_bg_mask'" in text


def test_a_table_in_an_old_code_page_names_what_is_not_there(tmp_path):
    members = renamed(table_members(), lambda name: name.replace("images/", "bild\u00e4r/"))
    latin = table({}).decode().replace("images/", "bild\u00e4r/").encode("latin-1")
    path = zipped(tmp_path / "all.zip", members | {"labels.txt": latin})
    assert "row 1: there is no 'bild\ufffdr/17.jpg'" in complaint(path, TABLE)
