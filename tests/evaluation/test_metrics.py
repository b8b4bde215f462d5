"""Metrics against values by hand, torchmetrics, scikit-image and plain numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter
from skimage.segmentation import find_boundaries

from mdlib.evaluation import metrics
from mdlib.evaluation.metrics import MetricSums, depth_metrics, mask_metrics, slow_mask_metrics

NEAR_M = 0.5


def blobs(count: int, size: int = 48, seed: int = 0) -> torch.Tensor:
    """(count,1,size,size) soft masks with smooth outlines."""
    noise = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic")
    return ((smooth - 0.5) * 12).sigmoid()


def closeness(count: int, seed: int, size: int = 32) -> torch.Tensor:
    """(count,1,size,size) of rooms between 0.7 and 6 metres."""
    return NEAR_M / (0.7 + 5.3 * blobs(count, size, seed))


def one(value: float) -> pytest.approx:
    return pytest.approx(value, abs=1e-6)


# masks


def test_mask_metrics_by_hand():
    pred = torch.tensor([[0.9, 0.6], [0.2, 0.0]]).view(1, 1, 2, 2)
    true = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(1, 1, 2, 2)
    values = mask_metrics(pred, true)
    assert values["iou"].item() == one(1 / 3)
    assert values["dice"].item() == one(2 / 4)
    assert values["mad"].item() == one((0.1 + 0.6 + 0.8) / 4)
    assert values["mse"].item() == one((0.01 + 0.36 + 0.64) / 4)


def test_both_empty_is_perfect_and_a_false_alarm_is_zero():
    nothing, something = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    something[..., 4:8, 4:8] = 1
    both_empty = mask_metrics(nothing, nothing) | slow_mask_metrics(nothing, nothing)
    assert [both_empty[name].item() for name in ("iou", "dice", "boundary_f", "conn")] == [1, 1, 1, 0]
    for pair in ((nothing, something), (something, nothing)):
        wrong = mask_metrics(*pair) | slow_mask_metrics(*pair)
        assert [wrong[name].item() for name in ("iou", "dice", "boundary_f")] == [0, 0, 0]


def test_the_mask_is_cut_above_one_half():
    half = torch.full((1, 1, 4, 4), 0.5)
    assert mask_metrics(half, torch.zeros(1, 1, 4, 4))["iou"].item() == 1
    assert mask_metrics(half + 1e-6, torch.ones(1, 1, 4, 4))["iou"].item() == 1


def test_masks_agree_with_torchmetrics():
    import torchmetrics.functional as reference
    from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

    pred, true = blobs(6), blobs(6, seed=1)
    values = mask_metrics(pred, true)
    for i in range(6):
        p, t = pred[i].flatten(), true[i].flatten()
        hard = (t > 0.5).int()
        assert values["iou"][i].item() == one(binary_jaccard_index(p, hard).item())
        assert values["dice"][i].item() == one(binary_f1_score(p, hard).item())
        assert values["mad"][i].item() == one(reference.mean_absolute_error(p, t).item())
        assert values["mse"][i].item() == one(reference.mean_squared_error(p, t).item())


def f1_by_distance(pred: np.ndarray, true: np.ndarray) -> float:
    """F1 of marked pixels within 2 px, by the Euclidean distance to the nearest marked pixel of the other."""
    if not pred.any() and not true.any():
        return 1.0
    if not pred.any() or not true.any():
        return 0.0
    precision = (distance_transform_edt(~true)[pred] <= 2).mean()
    recall = (distance_transform_edt(~pred)[true] <= 2).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_boundary_f_agrees_with_scikit_image():
    pred, true = blobs(8), (blobs(8) + 0.9 * (blobs(8, seed=3) - 0.5)).clamp(0, 1)
    values = slow_mask_metrics(pred, true)["boundary_f"]
    assert 0.2 < values.mean() < 0.98
    for i in range(8):
        edges = (find_boundaries(x[i, 0].numpy() > 0.5, connectivity=1, mode="inner") for x in (pred, true))
        assert values[i].item() == one(f1_by_distance(*edges))


@pytest.mark.parametrize(("offset", "expected"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_boundary_f_forgives_two_pixels(offset, expected):
    rows = torch.arange(32).view(1, 1, -1, 1).expand(1, 1, 32, 32)
    value = slow_mask_metrics((rows < 10 + offset).float(), (rows < 10).float())["boundary_f"]
    assert value.item() == expected


@pytest.mark.parametrize("metric", [mask_metrics, slow_mask_metrics])
def test_shapes_that_do_not_fit_are_refused(metric):
    with pytest.raises(ValueError, match=r"\(2, 1, 8, 8\) and truth \(2, 1, 8, 9\) do not fit"):
        metric(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 9))
    with pytest.raises(ValueError, match=r"expected the same \(B,1,H,W\)"):
        metric(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))


# depth


def everywhere(like: torch.Tensor) -> torch.Tensor:
    """A mask whose left half is object."""
    mask = torch.zeros_like(like)
    mask[..., : like.shape[-1] // 2] = 1
    return mask


def test_depth_metrics_by_hand():
    true = NEAR_M / torch.tensor([1.0, 2.0, 4.0, torch.nan]).view(1, 1, 2, 2)
    pred = NEAR_M / torch.tensor([1.2, 2.0, 2.0, 9.0]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2)
    values = {name: value.item() for name, value in depth_metrics(pred, true, mask).items()}
    assert tuple(sorted(values)) == tuple(sorted(metrics.DEPTH_METRICS))
    assert values["abs_rel"] == one((0.2 + 0 + 0.5) / 3)
    assert values["rmse"] == one(np.sqrt((0.04 + 0 + 4) / 3))
    logs = np.log([1.2, 1.0, 0.5])
    assert values["rmse_log"] == one(np.sqrt((logs**2).mean()))
    assert values["log10"] == one(np.abs(logs).mean() / np.log(10))
    assert values["silog"] == one(logs.std())
    assert [values[f"delta{k}"] for k in (1, 2, 3)] == [one(2 / 3)] * 3
    assert values["rmse_over_std"] == one(np.sqrt(4.04 / 3) / np.std([1, 2, 4]))
    assert values["object_abs_rel"] == one((0.2 + 0.5) / 2)
    assert values["object_delta1"] == one(1 / 2)


def test_depth_metrics_agree_with_numpy_and_torchmetrics():
    import torchmetrics.functional as reference

    pred, true = closeness(5, seed=1), closeness(5, seed=2)
    true[:, :, 3:9, 5:20] = torch.nan
    values = depth_metrics(pred, true, everywhere(true))
    for i in range(5):
        known = torch.isfinite(true[i])
        p, t = (NEAR_M / x[i][known].double() for x in (pred, true))
        logs = (p / t).log().numpy()
        worse = torch.maximum(p / t, t / p).numpy()
        mape = reference.mean_absolute_percentage_error(p, t).item()
        rmse = reference.mean_squared_error(p, t, squared=False).item()
        expected = {
            "abs_rel": mape,
            "rmse": rmse,
            "rmse_log": np.sqrt((logs**2).mean()),
            "log10": np.abs(np.log10(p.numpy()) - np.log10(t.numpy())).mean(),
            "silog": np.sqrt((logs**2).mean() - logs.mean() ** 2),
            "rmse_over_std": rmse / t.numpy().std(),
        } | {f"delta{k}": (worse < 1.25**k).mean() for k in (1, 2, 3)}
        for name, value in expected.items():
            assert values[name][i].item() == pytest.approx(value, rel=1e-6, abs=1e-6), name


def test_edge_f_agrees_with_plain_numpy():
    wall = NEAR_M / torch.linspace(3, 4, 32).expand(5, 1, 32, 32)
    steps = blobs(5, 32, seed=9) > 0.6
    pred, true = wall * (1 + 0.6 * steps.roll(3, -1)), wall * (1 + 0.6 * steps)
    values = depth_metrics(pred, true, everywhere(true))["edge_f"]
    assert 0.1 < values.mean() < 0.95
    for i in range(5):
        z = [NEAR_M / x[i, 0].numpy() for x in (pred, true)]
        edges = [
            maximum_filter(a, 3, mode="nearest") / minimum_filter(a, 3, mode="nearest") > 1.15 for a in z
        ]
        assert values[i].item() == one(f1_by_distance(*edges))


def test_unknown_depth_stays_out_and_other_images_do_not_notice():
    pred, true = closeness(3, seed=1), closeness(3, seed=2)
    alone = depth_metrics(pred[:1], true[:1], everywhere(true[:1]))
    true[1] = torch.nan
    values = depth_metrics(pred, true, everywhere(true))
    for name in metrics.DEPTH_METRICS:
        assert torch.isnan(values[name][1]), name
        assert values[name][0].item() == one(alone[name].item()), name
    assert not torch.isnan(values["object_rmse"][2])


def test_without_an_object_the_object_metrics_have_no_value():
    values = depth_metrics(closeness(1, 1), closeness(1, 2), torch.zeros(1, 1, 32, 32))
    missing = {name for name, value in values.items() if torch.isnan(value[0])}
    assert missing == {"order"} | {f"object_{name}" for name in metrics.PIXEL_METRICS}


def test_predictions_are_cut_at_the_farthest_depth_that_is_stored():
    true = torch.full((1, 1, 8, 8), NEAR_M / 4)
    values = depth_metrics(torch.zeros_like(true), true, everywhere(true))
    assert values["rmse"].item() == pytest.approx(65.535 - 4, rel=1e-6)


def test_order_of_right_reversed_and_constant_maps():
    true = closeness(2, seed=4)
    mask = everywhere(true)
    assert depth_metrics(true, true, mask)["order"].tolist() == [1, 1]
    assert depth_metrics(1 - true, true, mask)["order"].tolist() == [0, 0]
    assert depth_metrics(torch.full_like(true, 0.3), true, mask)["order"].tolist() == [0, 0]
    random = torch.rand(true.shape, generator=torch.Generator().manual_seed(0))
    assert depth_metrics(random, true, mask)["order"].mean().item() == pytest.approx(0.5, abs=0.08)


def test_order_takes_pairs_from_the_whole_object_and_the_whole_rest():
    """Object nearer than the right end, farther than the middle: the share is that of the two parts."""
    true = torch.empty(1, 1, 40, 40)
    true[..., :10], true[..., 10:25], true[..., 25:] = 0.4, 0.2, 0.6
    mask = torch.zeros_like(true)
    mask[..., :10] = 1
    pred = 1 - torch.zeros_like(true)
    pred[..., 10:] = 0  # the object in front of everything: right against the middle half only
    assert depth_metrics(pred, true, mask)["order"].item() == pytest.approx(0.5, abs=0.08)


# relative depth


@given(scale=st.floats(0.05, 3), shift=st.floats(-2, 2))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_si_metrics_forgive_scale_and_shift_of_closeness(scale, shift):
    true = closeness(2, seed=5)
    values = depth_metrics(scale * true + shift, true, everywhere(true), align=True)
    assert set(values) == {f"si_{name}" for name in metrics.DEPTH_METRICS}
    assert values["si_abs_rel"].max() < 1e-4
    assert values["si_delta1"].tolist() == [1, 1]


def test_alignment_is_the_least_squares_one_over_known_pixels():
    pred, true = closeness(3, seed=6), closeness(3, seed=7)
    true[:, :, :4] = torch.nan
    values = depth_metrics(pred, true, everywhere(true), align=True)
    for i in range(3):
        known = torch.isfinite(true[i]).numpy()
        p, t = pred[i].numpy()[known].astype(np.float64), true[i].numpy()[known].astype(np.float64)
        (scale, shift), *_ = np.linalg.lstsq(np.stack([p, np.ones_like(p)], 1), t, rcond=None)
        z_p, z_t = NEAR_M / np.clip(scale * p + shift, 0.05, 1), NEAR_M / np.clip(t, 0.05, 1)
        assert values["si_rmse"][i].item() == pytest.approx(np.sqrt(((z_p - z_t) ** 2).mean()), rel=1e-5)


def test_a_constant_map_is_aligned_to_the_mean():
    true = closeness(1, seed=8)
    values = depth_metrics(torch.full_like(true, 0.9), true, everywhere(true), align=True)
    best = NEAR_M / true.mean()
    assert values["si_abs_rel"].item() == one(((best - NEAR_M / true).abs() * true / NEAR_M).mean().item())


# streaming


def all_metrics(pred: torch.Tensor, true: torch.Tensor) -> dict[str, torch.Tensor]:
    values = mask_metrics(pred, true) | slow_mask_metrics(pred, true)
    return values | depth_metrics(NEAR_M / (0.6 + 4 * pred), NEAR_M / (0.6 + 4 * true), true)


NAMES = (*metrics.MASK_METRICS, *metrics.SLOW_MASK_METRICS, *metrics.DEPTH_METRICS)


@given(cuts=st.sets(st.integers(1, 8), max_size=5))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_batch_size_changes_no_mean(cuts):
    pred, true = blobs(9, 24), blobs(9, 24, seed=1)
    whole, parts = MetricSums(NAMES), MetricSums(NAMES)
    whole.add(all_metrics(pred, true))
    edges = [0, *sorted(cuts), 9]
    for start, end in zip(edges, edges[1:], strict=False):
        parts.add(all_metrics(pred[start:end], true[start:end]))
    assert parts.counts() == whole.counts()
    for name, mean in whole.means().items():
        assert parts.means()[name] == pytest.approx(mean, rel=1e-6, abs=1e-6), name


def test_images_without_a_value_stay_out_of_the_mean():
    sums = MetricSums(("iou", "rmse", "order"))
    sums.add({"iou": torch.tensor([0.5, 1.0]), "rmse": torch.tensor([torch.nan, 2.0])})
    sums.add({"iou": torch.tensor([0.0])})
    assert sums.means() == {"iou": 0.5, "rmse": 2.0}
    assert sums.counts() == {"iou": 3, "rmse": 1}


def test_sums_refuse_what_they_do_not_know():
    with pytest.raises(ValueError, match="'dise' is not among those summed here: iou"):
        MetricSums(("iou",)).add({"dise": torch.zeros(1)})
