"""TensorBoard's events, read back by TensorBoard: each point once, however often a run was stopped."""

import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from mdlib.training.run_folder import Records
from mdlib.training.tensorboard_log import EventLog

LOSSES = {"step": 5, "epoch": 0, "stage": 0, "lr": 0.5, "losses": {"total": 2.0, "mask_bce": 1.5}}
SCORES = {"step": 5, "scores": {"iou": 0.25}, "elapsed_s": 3.0}
LATER = {"step": 10, "epoch": 1, "stage": 0, "lr": 0.25, "losses": {"total": 1.0}, "memory_mb": {"gpu": None}}


def read(folder) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    found.Reload()
    return found


def points(folder) -> dict[str, list[tuple[int, float]]]:
    found = read(folder)
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }


def points_of(run) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard should show of a run, from its metrics."""
    expected: dict = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        single = {name: row[name] for name in ("lr", "samples_per_s", "data_wait") if name in row}
        groups = {"training": single, **{name: x for name, x in row.items() if isinstance(x, dict)}}
        for group, values in groups.items():
            for name, value in values.items():
                if value is not None:
                    point = (row["step"], pytest.approx(value, rel=1e-6))
                    expected.setdefault(f"{group}/{name}", []).append(point)
    return expected


def test_rows_become_points(tmp_path):
    log = EventLog(tmp_path)
    log.begin([])
    log.add(LOSSES)
    log.add(SCORES)
    assert points(tmp_path) == {
        "training/lr": [(5, 0.5)],
        "losses/total": [(5, 2.0)],
        "losses/mask_bce": [(5, 1.5)],
        "scores/iou": [(5, 0.25)],
    }


def write(folder, before: list, rows: list) -> None:
    log = EventLog(folder)
    log.begin(before)
    for row in rows:
        log.add(row)


@pytest.mark.parametrize("written", range(4))
def test_going_on_shows_each_row_once(tmp_path, written):
    """However much was written before the end, a run goes on from the rows of its last checkpoint."""
    rows = [LOSSES, SCORES, LATER]
    write(tmp_path / "whole", [], rows)
    for kept in range(written + 1):
        folder = tmp_path / str(kept)
        write(folder, [], rows[:written])
        write(folder, rows[:kept], rows[kept:])
        assert points(folder) == points(tmp_path / "whole")


def test_a_sheet_is_a_picture(tmp_path):
    log = EventLog(tmp_path)
    log.begin([])
    log.add_sheet(3, Image.new("RGB", (40, 30), (200, 100, 50)))
    (event,) = read(tmp_path).Images("samples")
    assert (event.step, event.width, event.height) == (3, 40, 30)


def test_histograms_of_weights_and_gradients(tmp_path):
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 4.0]]))
    log = EventLog(tmp_path)
    log.begin([])
    log.add_weights(1, layer)  # no gradients yet
    layer.weight.grad = torch.tensor([[2.0, torch.nan], [torch.inf, 2.0]])
    log.add_weights(2, layer)
    found = read(tmp_path)
    first, second = (event.histogram_value for event in found.Histograms("weights/weight"))
    assert (first.min, first.max, first.num, first.sum, first.sum_squares) == (0, 4, 4, 6, 18)
    at = np.cumsum(first.bucket)[np.searchsorted(first.bucket_limit, [0.5, 2, 4])]
    assert at.tolist() == [1, 3, 4]
    assert second == first
    (gradients,) = found.Histograms("gradients/weight")
    assert (gradients.step, gradients.histogram_value.num, gradients.histogram_value.sum) == (2, 2, 4)


def test_events_are_written_where_tensorboard_is(tmp_path, monkeypatch):
    def has_events(name: str, **asked) -> bool:
        Records(tmp_path / name).begin({"run_id": "a"}, b"", **asked)
        return (tmp_path / name / "events").exists()

    assert has_events("a", events=None) and has_events("b", events=True)
    assert not has_events("c", events=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(
        "mdlib.training.tensorboard_log.find_spec", lambda name: None
    )  # what it says without the package
    assert not has_events("d", events=None)
    with pytest.raises(ImportError, match=r"not installed: pip install tensorboard"):
        has_events("e", events=True)


def test_tensorflow_is_left_alone(tmp_path, repository):
    """Where it is installed, it would take many seconds."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow/__init__.py").write_text("raise SystemExit('TensorFlow is imported')")
    code = (
        "from pathlib import Path; from mdlib.training.tensorboard_log import EventLog; "
        "log = EventLog(Path('log')); log.begin([]); log.add({'step': 1, 'lr': 0.5}); log.close()"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(repository), str(tmp_path)])}
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, **path})
    assert points(tmp_path / "log") == {"training/lr": [(1, 0.5)]}


def test_a_run_that_was_stopped_has_each_point_once(
    fit, loaders, stop_before, reference, reference_settings, tmp_path
):
    run = tmp_path / "run"
    for count in (8, 9):  # batches, amid an epoch and after a check
        assert not fit(run, make_loaders=stop_before(loaders, count), **reference_settings).finished
    assert fit(run, **reference_settings).finished
    for folder in (run, reference):
        assert points(folder / "events") == points_of(folder)
        assert [event.step for event in read(folder / "events").Images("samples")] == [15, 30]
    assert len(list((run / "events").iterdir())) == 3
    for sheet in ("step-00000015.png", "step-00000030.png"):
        assert (run / "samples" / sheet).read_bytes() == (reference / "samples" / sheet).read_bytes()


def test_points_of_a_lost_folder_come_back_from_its_metrics(fit, reference, reference_settings, tmp_path):
    run = shutil.copytree(reference, tmp_path / "run")
    (run / "model.safetensors").unlink()
    shutil.rmtree(run / "events")
    assert fit(run, **{**reference_settings, "steps": 33, "checks": 0}).finished
    assert points(run / "events") == points_of(run)


def test_without_tensorboard_a_run_has_no_events(fit, tmp_path):
    fit(tmp_path, steps=1, checks=0, tensorboard=False)
    assert not (tmp_path / "events").exists()


def test_histograms_on_request(fit, tmp_path):
    fit(tmp_path, steps=4, checks=2, histograms=True)
    found = read(tmp_path / "events")
    tags = found.Tags()["histograms"]
    assert {tag.split("/")[0] for tag in tags} == {"weights", "gradients"}
    assert {tuple(event.step for event in found.Histograms(tag)) for tag in tags} == {(2, 4)}


def test_sheets_of_later_steps_go_when_a_run_goes_back(tmp_path):
    records = Records(tmp_path)
    (tmp_path / "samples").mkdir()
    for name in ("step-00000005.png", "step-00000010.png", ".step-00000010.png.host.1.tmp"):
        (tmp_path / "samples" / name).write_bytes(b"x")
    rows = "".join(json.dumps(row) + "\n" for row in (LOSSES, SCORES)).encode()
    records.begin({"run_id": "a"}, rows)
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["step-00000005.png"]


def test_training_goes_on_without_its_pictures(tmp_path):
    records = Records(tmp_path)
    records.begin({"run_id": "a"}, b"", events=True)
    shutil.rmtree(tmp_path / "events")
    (tmp_path / "events").write_text("a file in the way")
    with pytest.warns(UserWarning, match="a picture of the run is not written .*; training goes on"):
        records.add_metrics(LOSSES)
    assert (tmp_path / "metrics.jsonl").read_text() == json.dumps(LOSSES) + "\n"
    records.add_metrics(LATER)  # it is told once
    (tmp_path / "events").unlink()
    records.events.add_sheet(10, Image.new("RGB", (40, 30)))
    assert points(tmp_path / "events")["losses/total"] == [(5, 2.0), (10, 1.0)]  # made up for


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of the writer
def test_half_an_event_hides_none_that_follow(tmp_path):
    """As on a full disk: a file may not grow beyond the middle of an event, then it may again."""
    log = EventLog(tmp_path)
    log.begin([])
    log.add(LOSSES)
    (file,) = tmp_path.iterdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(OSError):
            log.add({**LOSSES, "step": 7})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    log.add(LATER)
    log.add_sheet(11, Image.new("RGB", (40, 30)))
    assert points(tmp_path)["losses/total"] == [(5, 2.0), (7, 2.0), (10, 1.0)]
