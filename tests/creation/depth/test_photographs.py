"""The real teacher code on tiny networks: both ways to use it, its direction, and every way to miss it."""

import csv
import io
import json
import shutil
import warnings
import zipfile

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.depth import photographs, relative, teacher
from mdlib.creation.writing.shard import Composer
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset


def quiet(out, **options):
    return create(CreateConfig(out, **{"workers": 1, **options}), progress=False)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def by_bg(pictures, teachers, tmp_path_factory):
    """A data set whose teacher looked at backgrounds and cut-outs; nothing in it may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return quiet(tmp_path_factory.mktemp("by") / "set", **pictures, teacher=str(teachers("near")))


def test_depth_of_backgrounds_and_objects_is_put_together(by_bg):
    data, composer = open_dataset(by_bg), Composer(by_bg)
    assert data.depth_kind == "relative" and len(data) == 24
    for i in range(len(data)):
        sample, background = data[i], composer.sources.background(int(data.bg[i]))
        stored, mask = sample["depth"][0].numpy(), sample["mask"][0].numpy()
        assert stored.dtype == np.uint8
        scene = (2 - background.z) * 255
        assert np.abs(stored[mask < 128] - scene[mask < 128]).max() <= 0.5 + 1e-3
        own = stored[mask >= 128].astype(float)
        assert (own >= scene[mask >= 128] - 0.6).all()  # what is seen lies in front of what it covers
        foot = np.flatnonzero((mask >= 128).any(1))[-1]
        part = composer.placements(int(data.bg[i]))[np.array([i % 12])]
        distance = torch.from_numpy(background.z)[None, None]
        contact = (2 - relative.standing(part, distance, composer.outlines).z_m[0]) * 255
        hidden = scene[mask >= 128] > contact - 255 * relative.RELIEF
        assert np.abs(own[~hidden] - contact).max(initial=0) <= 255 * relative.RELIEF + 1
        assert foot < 48
    first = composer.sources.background(0)
    assert np.percentile(2 - first.z, [1, 99]) == pytest.approx([0.05, 0.95], abs=0.01)
    assert np.abs(np.nan_to_num(composer.sources.cutout(0).relief)).max() <= relative.RELIEF


def test_dataset_json_tells_kind_unit_direction_and_teacher(by_bg, teachers):
    source = teacher.locate(str(teachers("near")))
    depth = open_dataset(by_bg).info["depth"]
    assert (depth["kind"], depth["unit"], depth["direction"], depth["dtype"], depth["suffix"]) == (
        "relative", "closeness / 255", "larger = nearer", "uint8", ".png"
    )  # fmt: skip
    told = depth["teacher"]
    assert told["name"] == "near" and told["sha256"] == source.sha256() and told["output"] == "closeness"
    assert told["rank_correlation"] > 0.3 and told["floor_nearer_than_ceiling"] == 1
    assert all(len(b["teacher_scale"]) == 2 for b in open_dataset(by_bg).info["backgrounds"])
    with zipfile.ZipFile(by_bg / "shard-00000.zip") as shard:
        rows = list(csv.DictReader(io.StringIO(shard.read("placements.csv").decode())))
    assert {row["z_m"] for row in rows} == {""}  # which would be metres


def test_info_names_the_teacher(by_bg, command_line):
    assert "depth: relative, guessed by near, stored as closeness / 255\n" in command_line("info", by_bg).out


@pytest.mark.slow  # two processes that import transformers
def test_the_bytes_do_not_depend_on_the_workers(by_bg, pictures, teachers, tmp_path):
    options = {**pictures, "teacher": str(teachers("near"))}
    assert files(quiet(tmp_path / "bg", **options, workers=2)) == files(by_bg)


def test_on_composites_every_worker_asks_the_teacher(pictures, teachers, tmp_path):
    options = {**pictures, "teacher": str(teachers("near"))}
    one = quiet(tmp_path / "one", **options, teacher_on="composite")
    assert files(quiet(tmp_path / "two", **options, teacher_on="composite", workers=2)) == files(one)
    # On composites the network's answer to the finished picture is stored, at the scale of the background.
    data, network = open_dataset(one), teacher.Teacher(teachers("near"))
    composer = Composer(one)
    for i in (0, 23):
        scale = composer.sources.background(int(data.bg[i])).teacher_scale
        values = network(data[i]["fg_bg"].permute(1, 2, 0).numpy()[None])  # after JPEG: nearly the same
        expected = 255 * np.clip(2 - relative.distance_of(values[0], scale), 0, 1)
        assert np.abs(expected - data[i]["depth"][0].numpy()).mean() < 8


def test_fast_encoding_is_jpeg_with_its_error_told(pictures, teachers, tmp_path):
    out = quiet(tmp_path / "set", **pictures, teacher=str(teachers("near")), encoding="fast")
    info = open_dataset(out).info["depth"]
    assert info["suffix"] == ".jpg" and 0 < info["encoding_error"]["mean"] < 0.02
    assert open_dataset(out)[0]["depth"].dtype == open_dataset(out)[0]["mask"].dtype


def test_an_inverted_teacher_is_noticed_and_turned(by_bg, pictures, teachers, tmp_path):
    with pytest.warns(UserWarning, match="teacher far is inverted.*taken as distance, and turned into clos"):
        out = quiet(tmp_path / "set", **pictures, teacher=str(teachers("far")))
    assert open_dataset(out).info["depth"]["teacher"]["output"] == "distance"
    for i in (0, 12):
        a, b = (open_dataset(path)[i]["depth"][0].numpy().ravel() for path in (out, by_bg))
        assert spearmanr(a, b)[0] > 0.95


def test_a_teacher_without_sense_of_depth_is_noticed(pictures, teachers, tmp_path):
    with pytest.warns(UserWarning) as caught:
        quiet(tmp_path / "set", **pictures, teacher=str(teachers("blind")))
    text = " ".join(str(w.message) for w in caught)
    assert "teacher blind shows no sense of depth" in text
    assert "in 2 of 2 backgrounds the top of the picture comes out as near as its bottom" in text


def test_metres_are_metres_and_need_a_floor(pictures, teachers, tmp_path):
    """The same network, configured as one that gives metres: its answer shows no level floor."""
    metric = tmp_path / "metric"
    shutil.copytree(teachers("near"), metric)
    config = json.loads((metric / "config.json").read_text())
    (metric / "config.json").write_text(json.dumps(config | {"depth_estimation_type": "metric"}))
    assert teacher.Teacher(metric).metric and not teacher.Teacher(teachers("near")).metric
    with pytest.raises(ValueError, match="0.png shows no floor in its depth"):
        quiet(tmp_path / "set", **pictures, teacher=str(metric))


def test_another_teacher_is_another_recipe(by_bg, pictures, teachers, tmp_path):
    with pytest.raises(
        ValueError, match="another recipe: teacher name is near there, far asked; teacher sha"
    ):
        quiet(by_bg, **pictures, teacher=str(teachers("far")))
    elsewhere = tmp_path / "near"
    shutil.copytree(teachers("near"), elsewhere)
    before = files(by_bg)
    assert files(quiet(by_bg, **pictures, teacher=str(elsewhere))) == before  # the same one, moved
    with pytest.raises(ValueError, match="holds another teacher than the recipe names"):
        teacher.load(str(elsewhere), "0" * 64)


def test_photographs_without_a_teacher_have_no_depth(pictures, tmp_path):
    plain = quiet(tmp_path / "plain", **{**pictures, "depth": None})
    asked = quiet(tmp_path / "asked", **{**pictures, "depth": "none"})
    assert files(plain) == files(asked)
    assert open_dataset(plain).info["depth"] == {"kind": "none"}


def test_office_pictures_with_a_teacher(office, teachers, tmp_path):
    """Real photographs and cut-outs of many shapes go through the same code."""
    for kind in ("bg", "fg"):
        (tmp_path / kind).mkdir()
        for path in sorted((office / kind).iterdir())[:3]:
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    out = quiet(tmp_path / "set", bg=tmp_path / "bg", fg=tmp_path / "fg", size=96, placements=1,
                depth="teacher", teacher=str(teachers("near")))  # fmt: skip
    for sample in open_dataset(out):
        closeness = codec.depth_to_closeness(sample["depth"])
        assert closeness.min() >= 0 and closeness.max() <= 1 and closeness.std() > 0.05


@pytest.mark.parametrize("name", ["near", "far"])
def test_a_guess_is_closeness_whatever_the_teacher_gives(teachers, name):
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    closeness = photographs.guess(str(teachers(name)), rgb)
    assert closeness.shape == (48, 64) and closeness.min() >= 0 and closeness.max() <= 1
    assert closeness[-8:].mean() > closeness[16:24].mean() + 0.2  # the floor of the corridor
