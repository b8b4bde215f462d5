"""Live data: the very pixels that are stored before their encoding, wherever a data set is used."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import mdlib
from mdlib.creation.composing.sample import backdrops_of, composed
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.live import is_recipe_only, live_dataset
from mdlib.creation.writing.shard import Composer
from mdlib.evaluation.baselines import Subtraction
from mdlib.evaluation.protocol import evaluate
from mdlib.loading import codec
from mdlib.loading.dataset import SceneDataset, open_dataset
from mdlib.loading.loader import make_loader

KINDS = ("fg_bg", "mask", "depth")


KINDS = ("fg_bg", "mask", "depth")
ROOMS = {"rooms": 6, "props": 5, "placements": 2, "size": 64}  # as tiny_dataset


def quiet(out: Path, **options) -> Path:
    return create(CreateConfig(out=out, **{"workers": 1, **options}), progress=False)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    """The recipe of tiny_dataset, without pictures of its samples."""
    return quiet(tmp_path_factory.mktemp("live") / "rooms", **ROOMS, recipe_only=True)


@pytest.fixture(scope="module")
def few_office(office, tmp_path_factory) -> dict:
    """3 of the real rooms and 4 of the real people."""
    folder = tmp_path_factory.mktemp("few")
    for name, count in (("bg", 3), ("fg", 4)):
        (folder / name).mkdir()
        for path in sorted((office / name).iterdir())[:count]:
            shutil.copy(path, folder / name)
    return {"bg": folder / "bg", "fg": folder / "fg", "placements": 3, "size": 160}


def before_encoding(folder: Path) -> dict[str, np.ndarray]:
    """All samples as creation composes them, background after background."""
    composer, parts = Composer(folder), []
    for number in range(len(composer.sources.backgrounds)):
        placements = composer.placements(number)
        scene = backdrops_of(composer.sources.background(number), composer.recipe)
        samples = len(np.unique(placements.sample))
        made, _ = composed(composer.recipe, composer.sprites, scene.expand(samples), placements)
        parts.append(made)
    return {kind: np.concatenate([part[kind].numpy() for part in parts]) for kind in parts[0]}


def assert_same(batch: dict, expected: dict[str, np.ndarray], rows: np.ndarray) -> None:
    for kind, pictures in expected.items():
        np.testing.assert_array_equal(batch[kind].numpy(), pictures[rows], err_msg=kind)


@pytest.mark.parametrize(
    "options",
    [{}, {"encoding": "fast"}, {"feather_px": 1.0}, {"objects": 3, "shadow": True}],
    ids=["exact", "fast", "soft", "several"],
)
def test_rooms_are_composed_as_they_are_before_encoding(tmp_path, options):
    out = quiet(tmp_path / "set", rooms=3, props=4, placements=3, size=64, recipe_only=True, **options)
    data, expected = live_dataset(out), before_encoding(out)
    assert len(data) == 72 and data.depth_kind == "metric" and set(expected) == set(KINDS)
    rows = np.random.default_rng(0).permutation(72)
    assert_same(data.batch(rows), expected, rows)
    repeated = np.array([5, 5, 71, 0])
    assert_same(data.batch(repeated), expected, repeated)
    assert data.batch([])["fg_bg"].shape == (0, 3, 64, 64)
    assert data[3]["depth"].dtype == (torch.uint8 if options.get("encoding") else torch.uint16)


def test_photographs_are_composed_as_they_are_before_encoding(few_office, tmp_path):
    out = quiet(tmp_path / "set", **few_office, recipe_only=True)
    data, expected = live_dataset(out), before_encoding(out)
    assert len(data) == 72 and data.depth_kind == "none" and set(expected) == {"fg_bg", "mask"}
    rows = np.arange(72)[::-1].copy()
    assert_same(data.batch(rows), expected, rows)
    assert "depth" not in data[0]


def test_agrees_with_the_stored_samples_of_the_same_recipe(rooms, tiny_dataset):
    """Mask and exact depth are stored without loss; colour differs by its JPEG alone."""
    live, stored = live_dataset(rooms), open_dataset(tiny_dataset)
    assert len(live) == len(stored) == 120
    for name, column in stored.placements.items():
        np.testing.assert_array_equal(live.placements[name], column)
    assert live.sample_name(77) == stored.sample_name(77)
    np.testing.assert_array_equal(live.bg, stored.bg)
    np.testing.assert_array_equal(live.fg, stored.fg)
    one, other = live.batch(range(120)), stored.batch(range(120))
    for kind in ("mask", "depth", "bg_index", "index"):
        assert one[kind].dtype == other[kind].dtype
        np.testing.assert_array_equal(one[kind], other[kind])
    assert (one["fg_bg"].float() - other["fg_bg"].float()).abs().mean() < 4
    assert (live.backgrounds.float() - stored.backgrounds.float()).abs().mean() < 4
    sets = live.split(seed=1), stored.split(seed=1)
    for name in sets[0]:
        np.testing.assert_array_equal(sets[0][name].rows, sets[1][name].rows)
    part = live.subset([5, 99])
    np.testing.assert_array_equal(part[1]["mask"], stored[99]["mask"])


def test_a_stored_data_set_can_be_composed_live_too(rooms, tiny_dataset):
    alone, beside = live_dataset(rooms), live_dataset(tiny_dataset)
    assert alone.dataset_id == beside.dataset_id != open_dataset(tiny_dataset).dataset_id
    for kind in KINDS:
        np.testing.assert_array_equal(alone[50][kind], beside[50][kind])


@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_smaller_pictures_are_averaged_like_stored_ones(rooms, tiny_dataset, reduce):
    one, other = (data.batch(range(8), reduce) for data in (live_dataset(rooms), open_dataset(tiny_dataset)))
    for kind in ("mask", "depth"):
        assert one[kind].shape[2:] == (64 // reduce, 64 // reduce)
        np.testing.assert_array_equal(one[kind], other[kind])
    assert (one["fg_bg"].float() - other["fg_bg"].float()).abs().mean() < 3


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("late", [False, True])
def test_same_batches_however_they_are_fetched(rooms, threads, late):
    data = live_dataset(rooms)
    loader = make_loader(data, 16, shuffle=True, seed=4, decode_on_device=late, threads=threads)
    loader.set_epoch(2, start=3)
    for batch in loader:
        assert ("fg_bg" in batch) is not late
        direct = data.batch(batch["index"].numpy())
        unit = loader.to_float(batch)
        for kind in ("fg_bg", "mask"):
            torch.testing.assert_close(unit[kind], codec.to_unit(direct[kind]), rtol=0, atol=0)
        depth = codec.depth_to_closeness(direct["depth"])
        torch.testing.assert_close(unit["depth"], depth, rtol=0, atol=0)
        bg = codec.to_unit(data.backgrounds[direct["bg_index"]])
        torch.testing.assert_close(unit["bg"], bg, rtol=0, atol=0)


def test_plain_dataloader_and_pickled_copy(rooms):
    data = live_dataset(rooms)
    plain = next(iter(DataLoader(data, batch_size=7)))
    forked = next(iter(DataLoader(data, batch_size=7, num_workers=1)))
    assert plain.keys() == {"bg", *KINDS, "bg_index", "index"}
    for name in plain:
        torch.testing.assert_close(plain[name], forked[name])
    copy = pickle.dumps(data)
    assert len(copy) < 100_000  # the sources stay behind
    torch.testing.assert_close(pickle.loads(copy)[3]["fg_bg"], data[3]["fg_bg"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("size", [(64, 64), (32, 32)])
def test_composed_on_a_gpu(rooms, size):
    data = live_dataset(rooms)
    here, there = (make_loader(data, 40, size=size, decode_on_device=late) for late in (False, True))
    for one, other in zip(here, there, strict=True):
        expected, given = here.to_float(one), there.to_float(other, "cuda")
        assert all(tensor.is_cuda for tensor in given.values())
        for kind in ("bg", "fg_bg", "mask"):
            assert (given[kind].cpu() - expected[kind]).abs().max() <= 1.001 / 255
        # An edge pixel whose coverage rounds to the other side of a half shows what is behind it, or not.
        off = (given["depth"].cpu() - expected["depth"]).abs() > 1.001 / 255
        assert off.float().mean() < 1e-4


def test_the_number_of_threads_changes_nothing(rooms):
    """In a process of its own, with as many threads as torch likes."""
    code = (
        "import sys, torch; from mdlib.creation.live import live_dataset; torch.set_num_threads(3); "
        "batch = live_dataset(sys.argv[1]).batch(range(24)); torch.save(batch, sys.argv[2])"
    )
    file = rooms.parent / "batch.pt"
    subprocess.run([sys.executable, "-c", code, str(rooms), str(file)], check=True)
    batch, direct = torch.load(file), live_dataset(rooms).batch(range(24))
    for kind in KINDS:
        torch.testing.assert_close(batch[kind], direct[kind], rtol=0, atol=0)


def test_what_is_stored(rooms, tiny_dataset):
    names = sorted(path.name for path in rooms.iterdir())
    tables = [f"placements-0000{i}.zip" for i in range(6)]
    assert names == ["card.md", "card_samples.jpg", "dataset.json", *tables, "recipe.json", "sources.zip"]
    for name in ("recipe.json", "sources.zip"):
        assert (rooms / name).read_bytes() == (tiny_dataset / name).read_bytes()
    for i in range(6):
        with (
            zipfile.ZipFile(rooms / f"placements-0000{i}.zip") as table,
            zipfile.ZipFile(tiny_dataset / f"shard-0000{i}.zip") as shard,
        ):
            assert table.testzip() is None and table.comment == shard.comment
            assert table.namelist() == ["placements.csv", "statistics.json"]
            assert table.read("placements.csv") == shard.read("placements.csv")
            assert table.getinfo("placements.csv").compress_type == zipfile.ZIP_DEFLATED
            assert (
                json.loads(table.read("statistics.json"))["bg"]
                == json.loads(shard.read("statistics.json"))["bg"]
            )
    content, stored = (json.loads((folder / "dataset.json").read_text()) for folder in (rooms, tiny_dataset))
    assert content["recipe_only"] and not stored["recipe_only"]
    for name in ("counts", "size", "encoding", "depth", "backgrounds", "cutouts", "recipe_sha256", "sources"):
        assert content[name] == stored[name], name


def test_it_is_told_from_a_stored_one(rooms, tiny_dataset, command_line):
    assert (
        is_recipe_only(rooms) and not is_recipe_only(tiny_dataset) and not is_recipe_only(rooms / "nothing")
    )
    with pytest.raises(ValueError, match="only a recipe.*mdlib.live_dataset.*without --recipe-only"):
        open_dataset(rooms)
    assert isinstance(mdlib.live_dataset(rooms), SceneDataset)
    done = command_line("info", rooms, "--check")
    assert done.code == 0, done.err
    assert "120 samples" in done.out and "a recipe only" in done.out and "checksums agree" in done.out


def test_folders_that_cannot_be_composed_are_explained(tiny_dataset, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such data set"):
        live_dataset(tmp_path / "nothing")
    shutil.copytree(tiny_dataset, tmp_path / "set")
    (tmp_path / "set/sources.zip").unlink()
    with pytest.raises(FileNotFoundError, match="has no sources.zip.*use open_dataset"):
        live_dataset(tmp_path / "set")


def test_going_on_to_store_the_samples(rooms, tiny_dataset, tmp_path):
    out = shutil.copytree(rooms, tmp_path / "set")
    quiet(out, **ROOMS)
    for path in tiny_dataset.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    quiet(out, **ROOMS, recipe_only=True)  # holds all of that already
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == stamps
    assert len(open_dataset(out)) == 120


def test_killed_and_run_again_gives_the_bytes_of_an_uninterrupted_run(few_office, tmp_path):
    options = {**few_office, "placements": 150, "recipe_only": True}
    out = tmp_path / "killed"
    words = [sys.executable, "-m", "mdlib", "create", out, "--bg", options["bg"], "--fg", options["fg"],
             "--placements", 150, "--size", 160, "--recipe-only", "--workers", 2]  # fmt: skip
    process = subprocess.Popen([str(word) for word in words], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not list(out.glob("placements-*.zip")):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=200)  # returns when the workers, too, have closed it
    assert not (out / "dataset.json").exists()
    with pytest.raises(FileNotFoundError, match="begun but not finished: run the same create command"):
        live_dataset(out)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.zip")}
    quiet(out, **options)
    whole = quiet(tmp_path / "whole", **options)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    one, other = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (out, whole))
    assert one == other


def test_several_objects_in_a_sample(rooms, tmp_path):
    """Every row of the table is composed, in its order; a sample counts once."""
    out = shutil.copytree(rooms, tmp_path / "set")
    path = out / "placements-00000.zip"
    with zipfile.ZipFile(path) as archive:
        members, comment = {name: archive.read(name) for name in archive.namelist()}, archive.comment
    lines = members["placements.csv"].splitlines(keepends=True)
    lines.insert(3, lines[9].replace(b"000008", b"000001", 1))  # the object of sample 8, in sample 1 as well
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        archive.writestr("placements.csv", b"".join(lines))
    content = json.loads((out / "dataset.json").read_text())
    content["shards"][0]["bytes"] = path.stat().st_size
    (out / "dataset.json").write_text(json.dumps(content))
    more, plain = live_dataset(out), live_dataset(rooms)
    assert len(more) == 120 and more.fg[1] == plain.fg[1]
    masks = [plain[i]["mask"].float() / 255 for i in (1, 8)]
    together = 1 - (1 - masks[0]) * (1 - masks[1])  # at most: the room or the first may hide the second
    assert (more[1]["mask"].float() / 255 <= together + 1 / 255).all()
    assert more[1]["mask"].float().mean() > plain[1]["mask"].float().mean()
    for i in (0, 2, 119):
        torch.testing.assert_close(more[i]["fg_bg"], plain[i]["fg_bg"], rtol=0, atol=0)


def test_trained_measured_and_looked_at_like_a_stored_one(rooms, command_line, tmp_path):
    few = ("--steps", 2, "--batch-size", 4, "--checks", 1, "--check-pairs", 4, "--device", "cpu")
    done = command_line("train", rooms, "--run", tmp_path / "run", *few)
    assert done.code == 0, done.err
    assert (tmp_path / "run/model.safetensors").is_file()
    file = tmp_path / "result.json"
    done = command_line("evaluate", rooms, "--weights", tmp_path / "run", "--json", file, "--pairs", 2)
    assert done.code == 0, done.err
    assert json.loads(file.read_text())["dataset"]["id"] == live_dataset(rooms).dataset_id
    done = command_line("sample", rooms, "--set", "new_both", "--out", tmp_path / "sample")
    assert done.code == 0, done.err
    assert (tmp_path / "sample/depth.png").is_file()


def test_measured_like_the_stored_samples(rooms, tiny_dataset):
    """The same pairs, masks and depth; subtraction errs less where there is no JPEG."""
    results = [
        evaluate(Subtraction(0.1), data, pairs=6, sets=["new_both"], conditions=["clean"])
        for data in (live_dataset(rooms), open_dataset(tiny_dataset))
    ]
    one, other = (result["sets"]["new_both"] for result in results)
    assert one["checksum"] == other["checksum"]
    assert one["scores"]["background depth"] == other["scores"]["background depth"]
    assert one["scores"]["subtraction"]["iou"] > other["scores"]["subtraction"]["iou"]
