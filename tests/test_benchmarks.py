"""Benchmarks run as their first lines say: tiny ones, for what they write, not for their figures."""

import json
import subprocess
import sys

import pytest
from PIL import Image, ImageStat
from safetensors.torch import load_file

from mdlib.evaluation.disturb import CONDITIONS


@pytest.fixture
def benchmark(repository):
    """benchmark("quality.leak", *words) -> standard output, run as a user does it."""

    def run(name, *words):
        command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=repository)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_leak(benchmark, tiny_dataset, tmp_path):
    few = ("--steps", 2, "--size", 32, "--batch-size", 4, "--pairs", 2)
    where = ("--runs", tmp_path / "runs", "--json", tmp_path / "leak.json")
    out = benchmark("quality.leak", tiny_dataset, *few, *where)
    found = json.loads((tmp_path / "leak.json").read_text())
    strict, leaky = found["sets"]["four sets"], found["sets"]["random split"]
    assert list(strict) == ["train", "new_fg", "new_bg", "new_both", "same pairs"]
    assert list(leaky) == ["train", "random", "same pairs"]
    assert strict["same pairs"]["checksum"] == leaky["same pairs"]["checksum"]
    gap = leaky["random"]["scores"]["iou"] - strict["new_both"]["scores"]["iou"]
    assert found["gap"]["random minus new_both"]["iou"] == gap
    assert out.endswith((tmp_path / "leak.md").read_text())
    assert (found["steps"], found["samples_seen"]) == (2, 8)


def test_networks(benchmark, tmp_path):
    few = ("--networks", "mdnet", "conv2-mask", "--size", 32, "--rounds", 1, "--threads", 1)
    out = benchmark("speed.networks", *few, "--parts", "latency", "--json", tmp_path / "networks.json")
    found = json.loads((tmp_path / "networks.json").read_text())
    assert found["networks"]["mdnet"]["parameters"] == 1_496_621
    assert found["latency"]["1 thread"]["as created"]["mdnet"]["times_reference"] == 1
    assert "| conv2-mask | 76,929 |" in out


SPEED = {  # benchmark and a tiny task -> how a line of its table begins
    "create --backgrounds 3 --props 3 --placements 1 --size 64": "| plain | ",
    "create --full --backgrounds 4 --props 4 --placements 2 --size 64 --kills 1": "64 samples, all",
    "encodings --rounds 1": "| mask, PNG level 1 | ",
    "index --members 6000 --rounds 1": "| zipfile | ",
    "live --count 4 --placements 1 --size 64 --rounds 1": "| live | ",
    "loader --samples 200 --take 100 --rounds 1 --only PIL limit": "| folders + PIL | ",
    "resume --samples 4000 --rounds 1": "| 90 % of it | ",
    "training --size 32 --batch-size 4 --steps 1 --rounds 1 --losses": "| BCE + L1 | ",
}


@pytest.mark.slow
@pytest.mark.parametrize("task", SPEED)
def test_speed(benchmark, task, tmp_path):
    out = benchmark(*f"speed.{task}".split(), "--data", tmp_path / "data", "--json", tmp_path / "found.json")
    assert "machine" in json.loads((tmp_path / "found.json").read_text())
    table = (tmp_path / "found.md").read_text()
    assert table in out
    assert any(line.startswith(SPEED[task]) for line in table.splitlines())


def test_compare(benchmark, tiny_dataset, tmp_path):
    few = ("--samples", 8, "--batch-size", 4, "--size", 32, "--pairs", 2, "--seeds", 0, "--rounds", 1)
    what = ("--networks", "mdnet", "conv2-mask", "--rates", 1e-3, "--costs", "latency", "--cost-size", 32)
    where = ("--runs", tmp_path / "runs", "--json", tmp_path / "compare.json")
    out = benchmark("quality.compare", tiny_dataset, *few, *what, *where)
    found = json.loads((tmp_path / "compare.json").read_text())
    by_samples = {one["network"]: one for one in found["results"]["equal samples"]}
    by_time = {one["network"]: one for one in found["results"]["equal time"]}
    assert {one["samples"] for one in by_samples.values()} == {8}
    seconds = found["step_seconds"]
    assert by_time["conv2-mask"]["samples"] == round(8 * seconds["mdnet"] / seconds["conv2-mask"])
    assert by_time["mdnet"] == by_samples["mdnet"]
    (data,) = (one["data"] for one in by_samples["mdnet"]["measured"])
    assert set(data["sets"]) == {"train", "new_fg", "new_bg", "new_both"}
    mean = sum(data["scores"][name]["iou"] for name in CONDITIONS) / len(CONDITIONS)
    assert data["scores"]["mean of ten"]["iou"] == pytest.approx(mean)
    assert "abs_rel" in data["scores"]["clean"]
    assert (tmp_path / "compare.md").read_text() in out
    with Image.open(tmp_path / "compare.png") as img:
        assert img.width > 800
    finished = sorted((tmp_path / "runs").glob("*/result.json"))
    before = [path.stat().st_mtime_ns for path in finished]
    again = benchmark("quality.compare", tiny_dataset, *few, *what, *where)
    assert out.endswith(again)  # nothing is done twice
    assert [path.stat().st_mtime_ns for path in finished] == before


def test_ablation(benchmark, tiny_dataset, tmp_path):
    few = (
        "--samples",
        8,
        "--batch-size",
        4,
        "--size",
        32,
        "--pairs",
        2,
        "--rows",
        "early fusion, 6 channels",
    )
    where = ("--runs", tmp_path / "runs", "--json", tmp_path / "ablation.json")
    out = benchmark("quality.ablation", tiny_dataset, *few, *where)
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert list(found["results"]) == ["mdnet", "early fusion, 6 channels"]
    assert found["rows"]["mdnet"]["parameters"] == 1_496_621
    assert out.endswith((tmp_path / "ablation.md").read_text())


@pytest.mark.slow
def test_ship_weights(benchmark, office, repository, tmp_path):
    for kind in ("bg", "fg"):
        (tmp_path / kind).mkdir()
        for path in sorted((office / kind).iterdir())[:6]:
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    few = ("--steps", 4, "--stages", "32:0.5,48:0.5", "--rooms", 8, "--size", 64, "--pairs", 2)
    keep = ("--keep", tmp_path / "keep", "--weights", tmp_path / "weights", "--results", tmp_path / "results")
    pictures = (tmp_path / "bg", tmp_path / "fg")
    assert "## Figures" in benchmark("release.ship_weights", *pictures, *few, *keep)
    first = load_file(tmp_path / "weights/mdnet.safetensors")
    about = json.loads((tmp_path / "weights/mdnet.json").read_text())
    assert (about["name"], about["step"], about["samples_seen"]) == ("mdnet", 4, 64)
    benchmark("release.ship_weights", *pictures, *few, *keep, "--export", "--finish", 2)
    second = load_file(tmp_path / "weights/mdnet.safetensors")
    assert first.keys() == second.keys()
    assert not all(first[name].equal(second[name]) for name in first)
    assert "the last 2 of them" in (tmp_path / "weights/mdnet.md").read_text()
    assert (tmp_path / "results/weights_training.png").stat().st_size > 10_000

    # Depth alone, then mask and depth of two runs put together.
    first, depth, both = (tmp_path / "keep" / name for name in ("run", "depth", "both"))
    alone = ("--mix", "rooms", "many-rooms", "--stages", "32:1:freeze=encoder+mask_decoder")
    benchmark("release.ship_weights", *pictures, *few, *keep, "--run", "depth", "--start", first, *alone)
    mask_of, depth_of = (load_file(run / "model.safetensors") for run in (first, depth))
    of_depth = [name for name in mask_of if name.startswith("depth_")]
    assert of_depth
    assert {name for name in mask_of if not mask_of[name].equal(depth_of[name])} == set(of_depth)
    kept = ("--steps", 1, "--stages", "32:1:lr=1e-12")
    benchmark("release.ship_weights", *pictures, *few, *keep, *kept, "--run", "both", "--start", first, depth)
    weights = load_file(both / "model.safetensors")
    parameters = [name for name in weights if not name.endswith(("running_mean", "running_var", "tracked"))]
    assert all(weights[name].equal((depth_of if name in of_depth else mask_of)[name]) for name in parameters)
    card = (tmp_path / "weights/mdnet.md").read_text()
    everything = "rooms, cutouts-in-rooms, photographs, props-in-photographs, more-rooms"
    assert f"- run: 64 samples of {everything} (stages 32:0.5,48:0.5)" in card
    assert (
        "- depth, for depth: 64 samples of rooms, many-rooms (stages 32:1:freeze=encoder+mask_decoder)"
        in card
    )
    assert "\n| many-rooms | " in card
    assert "--start KEEP/run KEEP/depth" in card
    rows = (tmp_path / "results/weights_training.jsonl").read_text().splitlines()
    assert {json.loads(row)["run"] for row in rows} == {"run", "depth", "both"}

    # On from the packaged weights, whose runs are known from what lies beside them.
    packaged = repository / "assets/weights/mdnet.safetensors"
    before = json.loads(packaged.with_suffix(".json").read_text())
    more = ("--run", "more", "--start", packaged, "--augment", 0.5, *kept)
    for again in ((), ("--export",)):
        benchmark("release.ship_weights", *pictures, *few, *keep, *more, *again)
        elsewhere = "/moved/since/assets/weights/mdnet.safetensors"  # where the project was may not matter
        (tmp_path / "keep/more/start.json").write_text(json.dumps([elsewhere]))
        about = json.loads((tmp_path / "weights/mdnet.json").read_text())
        runs = [one["run"] for one in (*before["start"], before)]
        assert [one["run"] for one in about["start"]] == runs
        assert about["samples_before"] == before["samples_before"] + before["samples_seen"]
        assert before["data"].items() <= about["data"].items()
    card = (tmp_path / "weights/mdnet.md").read_text()
    assert "--augment 0.5" in card and "--start assets/weights/mdnet.safetensors" in card
    assert "\n| rooms at 64 px | " in card
    rows = (tmp_path / "results/weights_training.jsonl").read_text().splitlines()
    assert {before["run"], "more"} <= {json.loads(row)["run"] for row in rows}


def test_course_of_the_packaged_weights_is_drawn_from_its_log(benchmark, repository, tmp_path):
    benchmark("release.weights_history", "--out", tmp_path / "curve.png")
    published = repository / "benchmarks/results/weights_training.png"
    with Image.open(tmp_path / "curve.png") as drawn, Image.open(published) as expected:
        assert drawn.size == expected.size
        assert abs(ImageStat.Stat(drawn).mean[0] - ImageStat.Stat(expected).mean[0]) < 1


def test_results_are_small(repository):
    results = sorted((repository / "benchmarks/results").iterdir())
    assert {path.suffix for path in results} == {".md", ".png", ".json", ".jsonl"}
    assert [path.name for path in results if path.stat().st_size > 200_000] == []


def test_pair_check(benchmark, tiny_dataset):
    lines = benchmark("quality.pair_check", tiny_dataset, "--pairs", 2).splitlines()
    assert len(lines) == 2 + 8
    assert lines[2].startswith("| data | clean | ")


@pytest.mark.slow
def test_panels(benchmark):
    lines = benchmark("speed.panels", "--rounds", 1, "--threads", 1).splitlines()
    assert [line.split(" | ")[0] for line in (lines[2], lines[-1])] == ["| Predict", "| Effects"]
