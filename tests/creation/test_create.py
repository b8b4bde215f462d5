"""Creating a data set: the same bytes whatever happens on the way, and a sentence when it cannot go on."""

import csv
import dataclasses
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib.creation.create import CreateConfig, check_space, create
from mdlib.creation.live import live_dataset
from mdlib.creation.workers import executor_of, run_all
from mdlib.creation.writing.shard import Composer
from mdlib.creation.writing.statistics import Statistics, combine
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset
from mdlib.loading.format import shard_name


def quiet(out, **options):
    return create(CreateConfig(out=out, **options), progress=False)


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict:
    """Folders of 4 backgrounds, one of them a mirror image of another, and 3 cut-outs."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "bg").mkdir(), (folder / "fg").mkdir()
    rng = np.random.default_rng(0)
    rooms = [Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)) for _ in range(3)]
    rooms = [np.asarray(room.resize((120, 90), Image.Resampling.BICUBIC)) for room in rooms]
    for i, room in enumerate([*rooms, rooms[1][:, ::-1]]):
        Image.fromarray(np.ascontiguousarray(room)).save(folder / f"bg/room{i}.png")
    for i in range(3):
        h, w = 40 + 10 * i, 30
        y, x = np.mgrid[:h, :w]
        alpha = np.clip((0.48 - np.hypot((y - h / 2) / h, (x - w / 2) / w)) * 20, 0, 1) * 255
        colour = rng.integers(0, 256, (h, w, 3))
        Image.fromarray(np.dstack([colour, alpha]).astype(np.uint8)).save(folder / f"fg/thing{i}.png")
    return {"bg": folder / "bg", "fg": folder / "fg"}


@pytest.fixture(scope="module")
def small(pictures, tmp_path_factory) -> Path:
    """4 backgrounds x 3 cut-outs x 2 flips x 3 placements at 64 x 80, made in this process."""
    return quiet(tmp_path_factory.mktemp("small") / "set", **pictures, placements=3, size=(64, 80), workers=1)


def test_shards_are_ordinary_archives_laid_out_as_designed(small):
    assert list(files(small)) == [
        "card.md", "card_distributions.png", "card_samples.jpg",
        "dataset.json", "recipe.json", *(f"shard-0000{i}.zip" for i in range(4)), "sources.zip"
    ]  # fmt: skip
    with zipfile.ZipFile(small / "shard-00002.zip") as shard:
        assert shard.testzip() is None
        names = shard.namelist()
        assert names[:3] == ["bg/0002.jpg", "fg_bg/000036.jpg", "mask/000036.png"]
        assert names[-4:] == ["fg_bg/000053.jpg", "mask/000053.png", "placements.csv", "statistics.json"]
        assert len(names) == 1 + 2 * 18 + 2
        assert {member.compress_type for member in shard.infolist()} == {zipfile.ZIP_STORED}
        assert {member.date_time for member in shard.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        table = list(csv.DictReader(io.StringIO(shard.read("placements.csv").decode())))
        size = Image.open(io.BytesIO(shard.read("fg_bg/000040.jpg"))).size
    assert size == (80, 64)
    assert {row["bg"] for row in table} == {"0002"}
    pairs = [(row["sample"], row["fg"], row["flip"]) for row in table]
    assert pairs[:7] == [
        ("000036", "0000", "0"), ("000037", "0000", "0"), ("000038", "0000", "0"), ("000039", "0000", "1"),
        ("000040", "0000", "1"), ("000041", "0000", "1"), ("000042", "0001", "0"),
    ]  # fmt: skip
    assert {row["z_m"] for row in table} == {""}


def test_dataset_json_says_what_it_is(small):
    content = json.loads((small / "dataset.json").read_text())
    assert content["size"] == [64, 80] and content["depth"] == {"kind": "none"}
    assert content["counts"] == {
        "samples": 72, "backgrounds": 4, "cutouts": 3, "placements": 3, "flips": 2
    }  # fmt: skip
    assert [b["name"] for b in content["backgrounds"]] == [f"room{i}.png" for i in range(4)]
    groups = [b["group"] for b in content["backgrounds"]]
    assert groups[1] == groups[3] and len(set(groups)) == 3  # the mirror image
    assert len({c["group"] for c in content["cutouts"]}) == 3
    for shard in content["shards"]:
        assert shard["samples"] == 18 and (small / shard["name"]).stat().st_size == shard["bytes"]


def test_reads_back_what_was_composed(small):
    """The stored pictures are the composed ones up to the JPEG, masks exactly, in the order of the table."""
    data, composer = open_dataset(small), Composer(small)
    assert len(data) == 72
    for number in (0, 3):
        placements = composer.placements(number)
        members = dict(composer.members(number))
        for row, sample in enumerate(placements.sample.tolist()):
            stored = data[sample]
            assert (stored["mask"][0].numpy() == codec.decode(members[f"mask/{sample:06d}.png"])).all()
            assert data.placements["x_px"][sample] == placements.x_px[row]
            outside = stored["mask"][0] == 0
            change = (stored["fg_bg"].int() - stored["bg"].int()).abs().amax(0)
            assert change[outside].float().mean() < 6  # JPEG noise near the object
            assert change[stored["mask"][0] == 255].float().mean() > 15
    assert data.bg.tolist() == np.repeat(np.arange(4), 18).tolist()
    assert data.fg.tolist() == np.tile(np.repeat(np.arange(3), 6), 4).tolist()


def test_statistics_agree_with_numpy_in_double_precision(small):
    """Masks are stored without loss, so their statistics can be checked against the files."""
    statistics = json.loads((small / "dataset.json").read_text())["statistics"]
    masks = np.stack([s["mask"].numpy() for s in open_dataset(small)]).astype(np.float64) / 255
    np.testing.assert_allclose(statistics["mask"]["mean"], masks.mean(), rtol=1e-12)
    np.testing.assert_allclose(statistics["mask"]["std"], masks.std(), rtol=1e-9)
    composer = Composer(small)
    rgb = np.stack([composer.sources.background(i).rgb for i in range(4)]).astype(np.float64) / 255
    np.testing.assert_allclose(statistics["bg"]["mean"], rgb.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(statistics["bg"]["std"], rgb.std((0, 1, 2)), rtol=1e-9)
    near = (
        np.stack([s["fg_bg"].numpy() for s in open_dataset(small)]) / 255
    )  # after JPEG: only about the same
    np.testing.assert_allclose(statistics["fg_bg"]["mean"], near.mean((0, 2, 3)), atol=0.005)
    np.testing.assert_allclose(statistics["fg_bg"]["std"], near.std((0, 2, 3)), atol=0.02)


def test_statistics_of_depth_leave_out_what_is_unknown():
    depth = np.array([[0, 500, 1000], [2000, 65535, 250]], np.uint16)
    one, other = Statistics(), Statistics()
    one.add_depth(depth[:1]), other.add_depth(depth[1:])
    closeness = np.array([1, 0.5, 0.25, 500 / 65535, 1])
    result = combine([one.state(), other.state()])["depth"]
    np.testing.assert_allclose(result["mean"], closeness.mean(), rtol=1e-6)
    np.testing.assert_allclose(result["std"], closeness.std(), rtol=1e-6)
    assert result["unknown"] == 1 / 6


def test_the_bytes_do_not_depend_on_workers_or_executor(small, pictures, tmp_path):
    options = {**pictures, "placements": 3, "size": (64, 80)}
    for workers in (2, 4):
        assert files(quiet(tmp_path / f"{workers}", **options, workers=workers)) == files(small)
    with ThreadPoolExecutor(3) as threads:
        create(CreateConfig(out=tmp_path / "threads", **options), progress=False, executor=threads)
    assert files(tmp_path / "threads") == files(small)
    assert files(quiet(tmp_path / "seed", **options, workers=1, seed=1)) != files(small)


def test_a_finished_set_is_left_alone_and_a_missing_shard_is_made_again(small, pictures, tmp_path):
    options = {**pictures, "placements": 3, "size": (64, 80), "workers": 1}
    quiet(tmp_path / "set", **options)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").iterdir()}
    quiet(tmp_path / "set", **options)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").iterdir()} == stamps
    (tmp_path / "set/shard-00001.zip").unlink()
    quiet(tmp_path / "set", **options)
    assert files(tmp_path / "set") == files(small)


def command(out, pictures, **options):
    words = [sys.executable, "-m", "mdlib", "create", out, "--bg", pictures["bg"], "--fg", pictures["fg"]]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", value]
    return [str(word) for word in words]


def stop_midway(words, out, ask, shard=1):
    """Start the command, have `ask` stop it when that shard is there, wait for it and its workers."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 200
    while not (out / shard_name(shard)).exists():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.005)
    ask(process)
    message = process.communicate(timeout=200)[1]  # returns when the workers, too, have closed it
    assert not (out / "dataset.json").exists()
    return process.returncode, message


@pytest.fixture(scope="module")
def longer(pictures) -> dict:
    """Options of a set that takes a few seconds."""
    return {**pictures, "placements": 50, "size": 80}


def test_killed_and_run_again_gives_the_bytes_of_an_uninterrupted_run(pictures, longer, tmp_path):
    out = tmp_path / "killed"
    words = command(out, pictures, placements=50, size=80, workers=2)
    for shard in (1, 2):  # twice
        code, _ = stop_midway(words, out, lambda process: process.send_signal(signal.SIGKILL), shard)
        assert code == -signal.SIGKILL
    for path in out.glob("shard-*.zip"):  # whatever has its final name is whole
        with zipfile.ZipFile(path) as shard:
            assert shard.testzip() is None
    finished = {name: data for name, data in files(out).items() if name[0] != "."}
    quiet(out, **longer, workers=1)
    assert files(out) == files(quiet(tmp_path / "whole", **longer, workers=1))
    assert {name: data for name, data in files(out).items() if name in finished} == finished


def test_an_interrupt_says_how_to_go_on_and_leaves_nothing_half_written(pictures, tmp_path):
    out = tmp_path / "interrupted"
    words = command(out, pictures, placements=50, size=80, workers=2)
    code, message = stop_midway(words, out, lambda process: os.killpg(process.pid, signal.SIGINT))
    assert code == 130 and "Traceback" not in message
    assert not list(out.glob(".*"))


def test_an_interrupt_leaves_workers_alone_that_are_just_beginning(capfd):
    others = set(multiprocessing.active_children())
    with executor_of(3) as pool:
        tasks = [pool.submit(abs, number) for number in range(3)]
        workers = set(multiprocessing.active_children()) - others  # still importing, which takes seconds
        for worker in workers:
            os.kill(worker.pid, signal.SIGINT)
        assert len(workers) == 3 and [task.result() for task in tasks] == [0, 1, 2]
    assert "Traceback" not in capfd.readouterr().err


def test_a_full_disk_is_explained_and_leaves_only_whole_shards(pictures, small, tmp_path):
    """A limit on the size of files fails a write like a full disk does, in the middle of a shard."""
    words = command(tmp_path / "full", pictures, placements=3, size="64 80", workers=1)
    words[words.index("64 80") : words.index("64 80") + 1] = ["64", "80"]
    sizes = sorted(path.stat().st_size for path in small.glob("shard-*.zip"))
    limit = (sizes[0] + sizes[-1]) // 2
    assert (small / "sources.zip").stat().st_size < limit
    code = (
        "import resource, runpy, sys; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "sys.argv = sys.argv[1:]; runpy.run_module('mdlib', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words[2:]], capture_output=True, text=True)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "a file reached the size allowed here" in last and "run the same command again" in last
    assert "of 4 shards are finished" in last and str(tmp_path / "full") in last
    there = files(tmp_path / "full")
    assert "dataset.json" not in there and not [name for name in there if name.startswith(".")]
    assert all(files(small)[name] == data for name, data in there.items())
    quiet(
        tmp_path / "full", **pictures, placements=3, size=(64, 80), workers=1
    )  # with room again, it goes on
    assert files(tmp_path / "full") == files(small)


def test_too_little_space_is_said_before_the_start(tmp_path):
    check_space(tmp_path, 1000)
    with pytest.raises(
        OSError, match="needs about 1000000000.0 GB more, but only .* are free .* fewer --placements"
    ):
        check_space(tmp_path, 10**18)


def test_a_worker_that_dies_is_reported():
    with (
        pytest.raises(RuntimeError, match="stopped from outside.*run the same command again"),
        executor_of(2) as pool,
    ):
        list(run_all(pool, [(os._exit, 3)], 2))


def test_workers_of_a_script_without_a_guard_are_explained(tmp_path):
    (tmp_path / "script.py").write_text(
        "from mdlib.creation.create import CreateConfig, create\n"
        f"create(CreateConfig({str(tmp_path / 'set')!r}, rooms=1, props=1, placements=1, size=32, workers=2))"
    )
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'belongs under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]


def test_another_recipe_in_the_same_folder_is_an_error_that_says_what_differs(small, pictures, tmp_path):
    before = files(small)
    same = {**pictures, "placements": 3, "size": (64, 80), "workers": 1}
    with pytest.raises(
        ValueError, match=r"another recipe: placements is 3 there, 4 asked\. Give another folder"
    ):
        quiet(small, **{**same, "placements": 4})
    with pytest.raises(ValueError, match="seed is 0 there, 9 asked; encoding is exact there, fast asked"):
        quiet(small, **{**same, "seed": 9, "encoding": "fast"})
    changed = tmp_path / "bg"
    changed.mkdir()
    for path in pictures["bg"].iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    quiet(small, **{**same, "bg": changed})  # the same pictures elsewhere are the same recipe
    (changed / "room0.png").rename(changed / "room9.png")
    Image.new("RGB", (200, 200)).save(changed / "room2.png")
    with pytest.raises(ValueError, match="missing now: room0.png; .* new: room9.png; .* changed: room2.png"):
        quiet(small, **{**same, "bg": changed})
    with pytest.raises(ValueError, match="backgrounds kind is folder there, rooms asked"):
        quiet(small, fg=pictures["fg"], rooms=2)
    assert files(small) == before


def test_a_folder_of_something_else_is_not_written_to(pictures, tmp_path):
    (tmp_path / "old.zip").write_bytes(b"mine")
    with pytest.raises(ValueError, match="holds old.zip but no recipe.json.*another folder"):
        quiet(tmp_path, **pictures)
    with pytest.raises(NotADirectoryError, match="is a file; give a folder"):
        quiet(tmp_path / "old.zip", **pictures)
    assert list(files(tmp_path)) == ["old.zip"]


def test_a_damaged_shard_is_named(small, pictures, tmp_path):
    for name, data in files(small).items():
        if name != "dataset.json":
            (tmp_path / name).write_bytes(data[:500] if name == "shard-00001.zip" else data)
    with pytest.raises(
        ValueError, match="shard-00001.zip is damaged .*delete it and run the same command again"
    ):
        quiet(tmp_path, **pictures, placements=3, size=(64, 80), workers=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bg": None}, "give backgrounds one way: --bg DIR for pictures, or --rooms N"),
        ({"rooms": 2}, "give backgrounds one way"),
        ({"fg": None}, "give cut-outs one way: --fg DIR for pictures, or --props N"),
        ({"props": 2}, "give cut-outs one way"),
        ({"fg": None, "props": 2, "fg_mask": Path("m")}, "--fg-mask holds masks of the pictures in --fg"),
        ({"placements": 0}, "placements is 0; it must be from 1 to"),
        ({"workers": 0}, "workers is 0"),
        ({"size": 8}, "height is 8; it must be from 16 to 4096"),
        ({"seed": -1}, "seed is -1"),
        ({"encoding": "zip"}, "encoding is 'zip'; there are 'exact' and 'fast'"),
        ({"jpeg_quality": 101}, "jpeg_quality is 101"),
        ({"scale": (0.9, 0.2)}, "scale"),
        ({"min_inside": 1.0}, "min_inside"),
        ({"objects": 0}, "objects is 0"),
        ({"objects": 2, "preset": "tiny"}, "single objects; leave out --objects"),
        ({"size": 128}, "room0.png is 120 x 90 pixels, smaller than the 128 x 128 .*--upscale"),
    ],
)
def test_options_that_make_no_sense(pictures, tmp_path, options, sentence):
    config = dataclasses.replace(CreateConfig(out=tmp_path / "set", **pictures), **options)
    with pytest.raises(ValueError, match=sentence):
        create(config, progress=False)
    assert not list(tmp_path.glob("set/*.zip"))


def test_small_backgrounds_are_enlarged_when_asked(pictures, tmp_path):
    out = quiet(tmp_path / "set", **pictures, placements=1, size=128, upscale=True, workers=1)
    assert open_dataset(out)[0]["fg_bg"].shape == (3, 128, 128)


def test_several_objects_and_shadows(tmp_path):
    """Masks and depth are those without shadows; live samples are the same; the table has all rows."""
    options = {"rooms": 2, "props": 3, "placements": 2, "size": 64, "workers": 1, "objects": 3}
    plain = quiet(tmp_path / "plain", **options)
    shaded = quiet(tmp_path / "shaded", **options, shadow=True)
    one, other, live = open_dataset(plain), open_dataset(shaded), live_dataset(shaded)
    assert len(one) == len(other) == len(live) == 24
    for i in range(24):
        assert torch.equal(one[i]["mask"], other[i]["mask"]) and torch.equal(
            one[i]["depth"], other[i]["depth"]
        )
        assert torch.equal(other[i]["mask"], live[i]["mask"]) and torch.equal(
            other[i]["depth"], live[i]["depth"]
        )
        change = (other[i]["fg_bg"].float() - live[i]["fg_bg"].float()).abs()
        assert change.mean() < 4  # the JPEG
    darker = [float(one[i]["fg_bg"].float().mean() - other[i]["fg_bg"].float().mean()) for i in range(24)]
    assert min(darker) > -0.02 and np.mean(darker) > 0.1
    with zipfile.ZipFile(shaded / "shard-00000.zip") as shard:
        table = list(csv.DictReader(io.StringIO(shard.read("placements.csv").decode())))
        assert sum(name.startswith("mask/") for name in shard.namelist()) == 12 < len(table) <= 36
    per_sample = [
        [row["fg"] for row in table if row["sample"] == name] for name in {r["sample"] for r in table}
    ]
    assert {len(cutouts) for cutouts in per_sample} == {1, 2, 3}
    assert [f"{fg:04d}" for fg in other.fg[:12]] == [next(r["fg"] for r in table if r["sample"] == f"{i:06d}")
                                                    for i in range(12)]  # fmt: skip


@pytest.mark.parametrize("encoding", ["exact", "fast"])
def test_rooms_have_metric_depth(encoding, tmp_path):
    """Objects stand on the floor at their contact depth; everything uncovered keeps the depth of the room."""
    out = quiet(
        tmp_path / "set", rooms=2, props=3, placements=2, size=64, workers=1, encoding=encoding
    )  # fmt: skip
    data, composer = open_dataset(out), Composer(out)
    assert data.depth_kind == "metric" and len(data) == 24
    table = data.placements
    assert (table["z_m"] >= 1).all()
    for i in range(len(data)):
        sample, room = data[i], composer.sources.background(int(data.bg[i]))
        mask, stored = sample["mask"][0].numpy(), sample["depth"][0].numpy()
        free = mask < 128
        if encoding == "exact":
            assert (stored[free] == codec.z_to_mm(room.z)[free]).all()
            assert (stored > 0).all()
            assert (stored[~free] <= codec.z_to_mm(room.z)[~free]).all()
            foot = np.flatnonzero((mask >= 64).any(1))[-1]  # thin legs fill a part of a pixel only
            contact = np.flatnonzero(((np.abs(room.z - table["z_m"][i]) < 0.0006) & room.floor).any(1))
            assert np.abs(contact - foot).min() <= 1
        else:
            closeness = np.minimum(255 * 0.5 / room.z, 255)
            assert np.abs(stored[free] - closeness[free]).mean() < 3
    info = data.info["depth"]
    if encoding == "fast":
        assert info["suffix"] == ".jpg" and 0 < info["encoding_error"]["mean"] < 0.01
    else:
        assert info["suffix"] == ".png" and info["dtype"] == "uint16"
