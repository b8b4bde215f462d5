"""Creating a data set: the same bytes whatever happens on the way, and a sentence when it cannot go on."""

import csv
import io
import json
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.live import live_dataset
from mdlib.creation.writing.shard import Composer
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset


def quiet(out, **options):
    return create(CreateConfig(out=out, **options), progress=False)


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


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


def test_too_little_space_is_said_before_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2000))
    with pytest.raises(
        OSError, match="set needs about .* more, but only 2 kB are free .* fewer --placements"
    ):
        quiet(tmp_path / "set", rooms=1, props=1, placements=1, size=64, workers=1)
    assert not list(tmp_path.rglob("shard-*"))


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
