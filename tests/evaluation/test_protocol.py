"""The protocol on a small real data set: what it measures, beside what, and what cannot change a figure."""

import json

import pytest
import torch
from torch import nn

from mdlib.evaluation.disturb import CONDITIONS
from mdlib.evaluation.protocol import ALL_CONDITIONS, evaluate
from mdlib.loading.dataset import SceneDataset, open_dataset
from mdlib.loading.splits import SETS, random_sets
from mdlib.modeling.networks.base import MaskDepth


class Difference(nn.Module):
    """A soft subtraction, and a depth that grows towards the floor: neither perfect nor hopeless."""

    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(0.1))
        self.frozen = nn.BatchNorm2d(3)

    def forward(self, bg: torch.Tensor, fg_bg: torch.Tensor) -> MaskDepth:
        assert not self.training and not self.frozen.training
        difference = (fg_bg - bg).abs().amax(1, keepdim=True)
        rows = torch.linspace(0.1, 0.4, bg.shape[-2]).view(1, 1, -1, 1)
        return MaskDepth(40 * (difference - self.threshold), rows.expand_as(difference))


@pytest.fixture(scope="module")
def data(tiny_dataset) -> SceneDataset:
    return open_dataset(tiny_dataset)


@pytest.fixture(scope="module")
def result(data) -> dict:
    return evaluate(Difference(), data, pairs=4)


def without_time(result: dict) -> dict:
    return {key: value for key, value in result.items() if key != "seconds"}


def test_without_rivals_the_network_is_measured_alone(data, result):
    alone = evaluate(Difference(), data, pairs=4, sets=["new_both"], conditions=["shift"], rivals=False)
    for kind, name in (("sets", "new_both"), ("conditions", "shift")):
        scores = alone[kind][name]["scores"]
        assert scores == {"network": result[kind][name]["scores"]["network"]}


def test_everything_is_measured_beside_the_baselines(result):
    assert list(result["sets"]) == list(SETS)
    assert list(result["conditions"]) == list(ALL_CONDITIONS)
    for scores in result["sets"].values():
        assert list(scores["scores"]) == [
            "network", "subtraction", "best threshold", "mean depth", "background depth"
        ]  # fmt: skip
        assert scores["pairs"] == 4 and len(scores["checksum"]) == 16
        assert {"iou", "conn", "boundary_f", "abs_rel", "order"} <= set(scores["scores"]["network"])
        assert "abs_rel" not in scores["scores"]["subtraction"]
        assert "iou" not in scores["scores"]["mean depth"]
    for name in ALL_CONDITIONS[:-1]:
        scores = result["conditions"][name]["scores"]
        assert scores["best threshold"]["iou"] >= scores["subtraction"]["iou"] - 1e-3
    assert set(result["conditions"]["empty"]["scores"]) == {"network", "subtraction"}
    assert 0 <= result["conditions"]["empty"]["scores"]["network"]["marked"] <= 1
    json.dumps(result, allow_nan=False)


def test_the_headline_is_the_mean_over_the_ten_conditions(result):
    ious = [result["conditions"][name]["scores"]["network"]["iou"] for name in CONDITIONS]
    assert result["mean_of_ten"]["network"]["iou"] == pytest.approx(sum(ious) / 10)
    assert result["conditions"]["clean"] == result["sets"]["new_both"]


def test_the_background_oracle_is_wrong_on_the_object_only(result):
    oracle = result["sets"]["train"]["scores"]["background depth"]
    assert oracle["abs_rel"] < 0.1 < oracle["object_abs_rel"]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_does_not_change_a_figure(data, result, batch_size):
    other = evaluate(Difference(), data, pairs=4, batch_size=batch_size, sets=["train"])
    for condition, one in other["conditions"].items():
        assert one["images"] == result["conditions"][condition]["images"]
        for model, scores in one["scores"].items():
            expected = result["conditions"][condition]["scores"][model]
            assert scores == pytest.approx(expected, rel=2e-5, abs=1e-6), (condition, model)


def test_two_runs_are_equal_and_another_seed_is_not(data, result):
    again = evaluate(Difference(), data, pairs=4)
    assert without_time(again) == without_time(result)
    other = evaluate(Difference(), data, pairs=4, seed=1, sets=["train"])
    assert other["conditions"]["noise"]["scores"] != result["conditions"]["noise"]["scores"]
    assert other["sets"]["train"]["checksum"] != result["sets"]["train"]["checksum"]


def test_the_global_random_numbers_are_left_alone(data):
    state = torch.random.get_rng_state()
    evaluate(Difference(), data, pairs=1, sets=["train"])
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_every_part_is_restored(data, training):
    model = Difference().train(training)
    model.frozen.eval()
    evaluate(model, data, pairs=1, sets=["train"], conditions=[])
    assert (model.training, model.frozen.training) == (training, False)


def test_the_mode_is_restored_after_an_error_too(data):
    class Diverged(Difference):
        def forward(self, bg, fg_bg):
            return MaskDepth(super().forward(bg, fg_bg).mask_logits * torch.nan, None)

    model = Diverged()
    with pytest.raises(ValueError, match="network answers with nan or infinite mask"):
        evaluate(model, data, pairs=1, sets=["train"])
    assert model.training


def test_a_network_without_depth_has_mask_metrics_only(data):
    def mask_only(bg, fg_bg):
        return MaskDepth((fg_bg - bg).abs().amax(1, keepdim=True) - 0.1, None)

    scores = evaluate(mask_only, data, pairs=2, sets=["train"], conditions=[])["sets"]["train"]["scores"]
    assert set(scores["network"]) == {"iou", "dice", "mad", "mse", "grad", "boundary_f", "conn"}


def test_slow_metrics_are_taken_on_the_first_pairs_only(data):
    one = evaluate(Difference(), data, pairs=6, slow_pairs=3, batch_size=2, sets=["train"], conditions=[])
    images = one["sets"]["train"]["images"]["network"]
    assert (images["iou"], images["boundary_f"], images["conn"]) == (6, 3, 3)


def test_another_size(data, result):
    one = evaluate(Difference(), data, pairs=4, size=(48, 32), sets=["train"], conditions=["clean"])
    assert one["protocol"]["size"] == [48, 32]
    iou = result["sets"]["train"]["scores"]["network"]["iou"]
    assert one["sets"]["train"]["scores"]["network"]["iou"] == pytest.approx(iou, abs=0.25)
    assert one["mean_of_ten"] == {}


def test_the_random_split_can_be_measured(data):
    sets = {name: data.subset(rows) for name, rows in random_sets(len(data)).items()}
    one = evaluate(Difference(), data, pairs=4, splits=sets, conditions=["clean"])
    assert list(one["sets"]) == ["train", "random"]
    assert one["protocol"]["disturbed_set"] == "random"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sets": ["trian"]}, "unknown set 'trian': expected some of train, new_fg"),
        ({"conditions": ["fog"]}, "unknown condition 'fog': expected some of clean, jitter"),
        ({"pairs": 0}, "pairs is 0: expected at least 1"),
        ({"batch_size": 0}, "batch_size is 0: expected 1 or more"),
        ({"seed": -1}, "seed is -1: expected 0 or more"),
        ({"slow_pairs": -2}, "slow_pairs is -2: expected 0 or more"),
    ],
)
def test_wrong_arguments_are_named(data, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluate(Difference(), data, **{"pairs": 1, **arguments})


def test_a_set_without_samples_is_named(data):
    with pytest.raises(ValueError, match="the set 'new_both' has no samples"):
        evaluate(Difference(), data, splits={"new_both": data.subset([])}, pairs=1)
