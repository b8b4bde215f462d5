"""Figures of an evaluation: what is drawn is what was measured."""

import numpy as np
import pytest

from mdlib.viewing.results import conditions_figure, reliability, reliability_figure


def scores(**ious) -> dict:
    return {"pairs": 40, "scores": {name.replace("_", " "): {"iou": iou} for name, iou in ious.items()}}


RESULT = {
    "network": {"name": "fcn"},
    "conditions": {
        "clean": scores(network=0.9, subtraction=0.8, best_threshold=0.85),
        "homography": scores(network=0.7, subtraction=0.2, best_threshold=0.6),
        "empty": {"pairs": 40, "scores": {"network": {"marked": 0.01}}},
    },
    "mean_of_ten": {"network": {"iou": 0.8}, "subtraction": {"iou": 0.5}, "mean depth": {"abs_rel": 1.0}},
    "sets": {"train": scores(network=0.95, subtraction=0.9), "new_both": scores(network=0.91)},
}


def test_conditions_show_every_score_at_its_row():
    ax = conditions_figure(RESULT).axes[0]
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows == ["clean", "homography (never trained on)", "mean of the ten"]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines if line.get_label()[0] != "_"}
    assert drawn == {
        "subtraction": [[0.8, 0], [0.2, 1], [0.5, 2]],
        "best threshold": [[0.85, 0], [0.6, 1]],
        "fcn": [[0.9, 0], [0.7, 1], [0.8, 2]],
    }
    assert ax.get_xlabel() == "mask IoU (40 pairs each)"


def test_nothing_to_show_is_said():
    with pytest.raises(ValueError, match="no conditions to show"):
        conditions_figure({**RESULT, "conditions": {}})
    with pytest.raises(ValueError, match="1 predicted and 0 true"):
        reliability_figure([np.zeros((2, 2))], [])


def test_reliability_by_hand():
    pred, true = np.array([0.05, 0.05, 0.72, 0.78, 1.0]), np.array([0.0, 0.1, 1.0, 0.0, 1.0])
    told, means, counts, error = reliability(pred, true)
    np.testing.assert_allclose(told, [0.05, 0.75, 1.0])
    np.testing.assert_allclose(means, [0.05, 0.5, 1.0])
    assert counts.tolist() == [2, 2, 1]
    assert error == pytest.approx(0.25 * 2 / 5)


def test_a_mask_that_can_be_believed_lies_on_the_diagonal():
    rng = np.random.default_rng(0)
    pred = rng.random((200, 200))
    figure = reliability_figure([pred], [(rng.random((200, 200)) < pred).astype(float)])
    line = figure.axes[0].lines[1].get_xydata()
    assert len(line) == 10 and np.abs(line[:, 0] - line[:, 1]).max() < 0.03
