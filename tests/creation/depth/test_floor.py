"""Measured depth: read without averaging, its floor found, objects standing on it."""

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from mdlib.creation import recipe
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.depth.floor import add_depth, find_floor
from mdlib.creation.sources.pictures import folder_backgrounds
from mdlib.creation.writing.shard import Composer
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset
from mdlib.rooms.generate import render_room

FOCAL = 32 / np.tan(np.radians(30))  # of 64 pixels that see 60 degrees


def plane(height_m, pitch_deg=0.0, size=(48, 64), wall_m=6.0):
    """z of a level floor `height_m` below a camera that looks down by `pitch_deg`, with a wall behind."""
    y = (np.arange(size[0]) + 0.5 - size[0] / 2)[:, None] / FOCAL
    down = y * np.cos(np.radians(pitch_deg)) + np.sin(np.radians(pitch_deg))
    z = np.where(down > 1e-6, height_m / np.maximum(down, 1e-6), np.inf)
    return np.repeat(np.minimum(z, wall_m), size[1], 1), np.repeat(z < wall_m, size[1], 1)


@pytest.mark.parametrize(("height_m", "pitch_deg"), [(1.5, 0), (1.5, 15), (0.8, -5), (2.4, 30)])
def test_a_floor_is_found_as_computed_by_hand(height_m, pitch_deg):
    z, truth = plane(height_m, pitch_deg)
    floor = find_floor(z, FOCAL, seed=0)
    assert floor.camera_height_m == pytest.approx(height_m, rel=1e-3)
    pitch = np.radians(pitch_deg)
    np.testing.assert_allclose(floor.normal, [0, -np.cos(pitch), -np.sin(pitch)], atol=1e-3)
    assert (floor.mask & truth).sum() / (floor.mask | truth).sum() > 0.95


def test_a_table_is_no_floor():
    """A large level surface with the floor beneath it."""
    floor, truth = plane(1.5)
    table, on_table = plane(0.8)
    on_table[:, 40:] = False
    found = find_floor(np.where(on_table, table, floor), FOCAL, seed=0)
    assert found.camera_height_m == pytest.approx(1.5, rel=0.01)
    assert (found.mask & on_table).sum() < 0.1 * on_table.sum()


def test_no_floor_where_there_is_none():
    wall = np.full((48, 64), 3.0)
    ceiling = plane(1.2)[0][::-1]
    for z in (wall, ceiling, np.full((48, 64), np.nan)):
        assert find_floor(z, FOCAL, seed=0) is None


@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.95), (0.01, 0.85)])
def test_the_floor_of_rooms_agrees_with_the_true_one(noise, least):
    """At an assumed field of view of 60 degrees (in truth 55 to 65), also under sensor noise."""
    rng = np.random.default_rng(0)
    for seed in (0, 2, 3):
        room = render_room(seed, (96, 96))
        z = room.z * (1 + noise * rng.standard_normal(room.z.shape))
        z[20:24] = np.nan
        floor = find_floor(z, 48 / np.tan(np.radians(30)), seed)
        truth = room.floor & ~np.isnan(z)
        assert (floor.mask & truth).sum() / (floor.mask | truth).sum() > least
        again = find_floor(z, 48 / np.tan(np.radians(30)), seed)
        assert (again.mask == floor.mask).all()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Three rooms as folders bg and bg_depth, 96 x 128 pixels, a patch of each unknown; and the rooms."""
    folder = tmp_path_factory.mktemp("rgbd")
    (folder / "bg").mkdir(), (folder / "depth").mkdir()
    rooms = [render_room(seed, (96, 128)) for seed in (0, 3, 5)]
    for i, room in enumerate(rooms):
        Image.fromarray(room.rgb).save(folder / f"bg/{i}.png")
        mm = codec.z_to_mm(room.z)
        mm[:8, 60:70] = 0
        (folder / f"depth/{i}.png").write_bytes(codec.encode_png(mm))
    return folder, rooms


def test_rooms_as_rgb_d_keep_their_depth_and_carry_objects_on_their_floor(exported, tmp_path):
    folder, rooms = exported
    out = create(
        CreateConfig(tmp_path / "set", bg=folder / "bg", bg_depth=folder / "depth", props=3, placements=2,
                     size=96, workers=1), progress=False,
    )  # fmt: skip
    data, composer = open_dataset(out), Composer(out)
    assert data.depth_kind == "metric" and data.info["depth"]["direction"] == "larger = farther"
    floors = [composer.sources.background(i).floor for i in range(3)]
    for i in range(len(data)):
        sample, number = data[i], int(data.bg[i])
        given = codec.z_to_mm(rooms[number].z)[:, 16:112]
        given[:8, 44:54] = 0
        stored, mask = sample["depth"][0].numpy(), sample["mask"][0].numpy()
        assert (stored[mask == 0] == given[mask == 0]).all()
        here = np.abs(given / 1000 - data.placements["z_m"][i]) < 0.0006
        assert (here & floors[number]).any()  # the contact point is a pixel of the floor
        foot = np.flatnonzero((mask >= 64).any(1))[-1]
        rows = np.flatnonzero((here & floors[number]).any(1))
        assert np.abs(rows - foot).min() <= 1
    for found, room in zip(floors, rooms, strict=True):
        truth = room.floor[:, 16:112]
        assert (found & truth).sum() / (found | truth).sum() > 0.95


def test_depth_is_resized_by_the_nearest_pixel_and_used_for_placing_alone_when_asked(exported, tmp_path):
    folder, rooms = exported
    out = create(
        CreateConfig(tmp_path / "set", bg=folder / "bg", bg_depth=folder / "depth", props=1, placements=1,
                     size=48, depth="none", workers=1), progress=False,
    )  # fmt: skip
    background = Composer(out).sources.background(1)
    there = np.unique(codec.z_to_mm(rooms[1].z))
    assert np.isin(codec.z_to_mm(background.z), [0, *there]).all()
    assert background.focal_px == pytest.approx(64 / np.tan(np.radians(30)) / 2)
    with zipfile.ZipFile(out / "shard-00000.zip") as shard:
        assert not [name for name in shard.namelist() if name.startswith("depth/")]
        rows = list(csv.DictReader(io.StringIO(shard.read("placements.csv").decode())))
    assert all(float(row["z_m"]) > 0 for row in rows)


def test_depth_that_cannot_be_used_is_named(exported, tmp_path):
    folder, _ = exported
    depth = tmp_path / "depth"
    depth.mkdir()

    def error(**options):
        config = CreateConfig(tmp_path / "set", bg=folder / "bg", bg_depth=depth, props=1, size=48, workers=1)
        with pytest.raises(ValueError) as caught:
            create(config, progress=False)
        return str(caught.value)

    Image.fromarray(np.full((96, 128), 200, np.uint8)).save(depth / "0.png")
    (depth / "1.png").write_bytes(codec.encode_png(np.full((96, 96), 3000, np.uint16)))
    text = error()
    assert text.startswith("3 of 3 pictures") and "0.png is a picture of mode L; depth is 16-bit gray" in text
    assert "1.png is 96 x 96 pixels, but its picture" in text and "no picture called '2'" in text
    for i in range(3):
        (depth / f"{i}.png").write_bytes(codec.encode_png(np.full((96, 128), 3000 * (i < 2), np.uint16)))
    (tmp_path / "set/recipe.json").unlink()
    text = error()
    assert "0.png shows no floor" in text and "check --fov" in text and "2.png holds no depth" in text


def test_depth_asked_for_where_there_is_none(exported, tmp_path, command_line):
    folder, _ = exported
    common = ("create", tmp_path / "set", "--bg", folder / "bg", "--props", 1)
    done = command_line(*common, "--depth", "scene")
    assert done.code == 2 and "photographs hold no depth" in done.err and "--bg-depth DIR" in done.err
    done = command_line("create", tmp_path / "set", "--rooms", 1, "--props", 1, "--depth", "teacher")
    assert done.code == 2 and "drawn rooms have exact depth" in done.err
    done = command_line(*common, "--bg-depth", folder / "depth", "--depth", "teacher")
    assert done.code == 2 and "--bg-depth gives exact depth" in done.err
    done = command_line("create", tmp_path / "set", "--rooms", 1, "--props", 1, "--bg-depth", folder)
    assert done.code == 2 and "the pictures in --bg, which is not given" in done.err


PER_METRE = {"mm": 1000, "cm": 100, "5000": 5000, "256": 256}


def in_unit(exported, folder, per_metre, unknown=0):
    """The depth of the rooms with so many units a metre; nearer than 13 m, so that 16 bits hold it."""
    for i, room in enumerate(exported[1]):
        stored = np.rint(np.minimum(room.z, 13) * per_metre).astype(np.uint16)
        stored[:8, 60:70] = unknown
        (folder / f"{i}.png").write_bytes(codec.encode_png(stored))
    return folder


@pytest.mark.parametrize("unknown", [0, 65535])
@pytest.mark.parametrize("unit", list(PER_METRE))
def test_depth_in_any_unit_is_the_same_depth(exported, tmp_path, unit, unknown):
    depth = in_unit(exported, tmp_path, PER_METRE[unit], unknown)
    backgrounds = folder_backgrounds(exported[0] / "bg", (96, 96), fov=60)
    found = add_depth(backgrounds, exported[0] / "bg", depth, 0, unit)
    for one, room in zip(found, exported[1], strict=True):
        true = room.z[:, 16:112].copy()
        true[:8, 44:54] = np.nan
        np.testing.assert_allclose(one.z, np.minimum(true, 13), atol=0.51 / PER_METRE[unit])
        truth = room.floor[:, 16:112] & np.isfinite(true)
        assert (one.floor & truth).sum() / (one.floor | truth).sum() > 0.85


@pytest.mark.parametrize(
    ("stored", "unit", "words"),
    [
        ("5000", "mm", "with 1000 units to the metre (mm) the camera is "),  # 5 times too far
        ("256", "mm", "with 1000 units to the metre (mm) the camera is "),  # a quarter
        ("cm", "mm", "shows no floor in its depth"),  # a tenth: below what a floor may be
        ("mm", "5000", "with 5000 units to the metre (5000) the camera is "),
        ("mm", "cm", "with 100 units to the metre (cm) the camera is "),
        ("mm", "256", None),  # about 5 metres, by a number that somebody has thought of
    ],
)
def test_depth_in_another_unit_is_refused_and_the_likely_one_named(exported, tmp_path, stored, unit, words):
    depth = in_unit(exported, tmp_path, PER_METRE[stored])
    backgrounds = folder_backgrounds(exported[0] / "bg", (96, 96), fov=60)
    if words is None:
        assert len(add_depth(backgrounds, exported[0] / "bg", depth, 0, unit)) == 3
        return
    with pytest.raises(ValueError) as caught:
        add_depth(backgrounds, exported[0] / "bg", depth, 0, unit)
    assert words in str(caught.value)
    assert f"With --depth-unit {stored} it is at " in str(caught.value)


def test_the_unit_of_depth_on_the_command_line(exported, tmp_path, command_line):
    (tmp_path / "depth").mkdir()
    depth = in_unit(exported, tmp_path / "depth", 5000)
    few = ("--props", 1, "--placements", 1, "--no-flip", "--size", 48, "--workers", 1)
    common = ("create", tmp_path / "set", "--bg", exported[0] / "bg", *few)
    assert "--depth-unit 5000 it is at" in command_line(*common, "--bg-depth", depth).err
    (tmp_path / "set/recipe.json").unlink()
    done = command_line(*common, "--bg-depth", depth, "--depth-unit", 5000)
    assert done.code == 0, done.err
    assert recipe.read(tmp_path / "set")["depth_unit"] == "5000"
    wrong = command_line(*common, "--bg-depth", depth, "--depth-unit", "inch")
    assert wrong.code == 2 and "the unit of depth is 'inch'; it is mm, cm, m, or how many" in wrong.err
    wrong = command_line(*common, "--depth-unit", "cm")
    assert wrong.code == 2 and "the pictures in --bg-depth, which is not given" in wrong.err
