import json

import pytest

from mdlib.training.lr_range import LrRange
from mdlib.viewing.curves import lr_range_figure, read_rows, score_figure, write_lr_range

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
