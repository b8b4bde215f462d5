import json

import pytest

from mdlib.training.lr_range import LrRange
from mdlib.viewing.curves import lr_range_figure, read_rows, run_figure, score_figure, write_lr_range

FOUND = LrRange([1e-3, 1e-2, 1e-1], [1.0, 0.5, 2.0], [1.0, 0.7, 1.2], 1e-3)


def test_the_range_test_is_drawn_with_its_suggestion():
    ax = lr_range_figure(FOUND).axes[0]
    assert ax.get_xscale() == "log"
    assert [line.get_label() for line in ax.lines] == ["loss of the step", "smoothed", "suggestion: 0.001"]
    assert list(ax.lines[0].get_ydata()) == FOUND.losses
    assert len(lr_range_figure(FOUND._replace(suggestion=None)).axes[0].lines) == 2
    lr_range_figure(LrRange([], [], [], None))  # not one step went well


def test_the_numbers_are_written_beside_the_picture(tmp_path):
    paths = write_lr_range(tmp_path / "new", FOUND, {"seed": 0})
    assert [path.name for path in paths] == ["lr_range.json", "lr_range.png"]
    content = json.loads(paths[0].read_text())
    assert (content["suggestion"], content["settings"]) == (1e-3, {"seed": 0})


def test_scores_are_drawn_over_minutes(tmp_path):
    rows = [
        {"step": 1, "losses": {}},
        {"step": 2, "elapsed_s": 60, "scores": {"iou": 0.5, "depth_error": 0.1}},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_rows(tmp_path) == rows
    without_depth = [{"elapsed_s": 30, "scores": {"iou": 0.25}}, {"elapsed_s": 90, "scores": {"iou": 0.75}}]
    figure = score_figure({"one": rows, "two": without_depth}, ["iou", "depth_error"])
    iou, depth = figure.axes
    assert [line.get_label() for line in iou.lines] == ["one", "two"]
    assert [tuple(line.get_xdata()) for line in iou.lines] == [(1.0,), (0.5, 1.5)]
    assert [tuple(line.get_ydata()) for line in depth.lines] == [(0.1,), ()]
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "nothing")


def test_where_a_run_is():
    losses = [
        {"total": 2.0, "mask_bce": 1.5},
        {"total": 1.0, "mask_bce": 0.5},
        {"mask_bce": 0.4, "total": 0.5},
    ]
    rows = [
        {"step": 1000 * (i + 1), "epoch": i, "stage": i // 2, "lr": 0.1, "losses": terms,
         "elapsed_s": 90.0 * i, "samples_per_s": 30.0, "data_wait": 0.02, "memory_mb": {"host": 1500.0, "gpu": None}}
        for i, terms in enumerate(losses)
    ]  # fmt: skip
    rows.insert(2, {"step": 2000, "scores": {"iou": 0.5}, "elapsed_s": 95.0})
    figure = run_figure("one", rows)
    title = figure.get_suptitle()
    for part in ("one: step 3,000", "epoch 2", "3.0 minutes", "30 samples/s", "data 2%", "memory 1.5 GB"):
        assert part in title
    assert "GPU" not in title
    loss, check, speed, rate = figure.axes
    assert [line.get_label() for line in loss.lines[:2]] == ["total", "mask_bce"]
    assert list(loss.lines[0].get_ydata()) == [2.0, 1.0, 0.5]
    assert list(check.lines[0].get_xdata()) == [2000]
    assert [list(ax.lines[-1].get_xdata()) for ax in figure.axes] == [[3000, 3000]] * 4  # a new stage
    assert "no numbers yet" in run_figure("one", []).get_suptitle()


def test_a_row_that_is_being_written_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste')
    assert read_rows(tmp_path) == [{"step": 1}, {"step": 2}]
