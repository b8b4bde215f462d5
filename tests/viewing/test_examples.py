"""Best and worst pairs, one by one."""

import numpy as np
import pytest
import torch

from mdlib.evaluation.protocol import evaluate
from mdlib.loading.dataset import open_dataset
from mdlib.modeling.registry import create_model
from mdlib.viewing.examples import cases_figure, embedding_figure, examine, principal_components


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("conv2-mask").eval()


@pytest.fixture(scope="module")
def cases(model, tiny_dataset):
    return examine(model, open_dataset(tiny_dataset), 6, set_name="train", condition="noise")


def test_the_mean_of_the_cases_is_what_the_protocol_measures(model, tiny_dataset, cases):
    measured = evaluate(model, open_dataset(tiny_dataset), pairs=6, sets=["train"], conditions=())
    clean = examine(model, open_dataset(tiny_dataset), 6, set_name="train", batch_size=4)
    of_protocol = measured["sets"]["train"]["scores"]["network"]["iou"]
    assert np.mean([case.iou for case in clean]) == pytest.approx(of_protocol, abs=1e-6)
    assert {case.name for case in clean} == {case.name for case in cases}


def test_the_worst_comes_first_and_everything_fits_together(cases, model):
    assert [case.iou for case in cases] == sorted(case.iou for case in cases)
    for case in cases:
        found, true = case.mask > 0.5, case.true_mask > 0.5
        assert case.iou == pytest.approx((found & true).sum() / max(1, (found | true).sum()), abs=1e-6)
        assert case.bg_img.shape == case.fg_bg_img.shape == (64, 64, 3) and case.bg_img.dtype == np.uint8
        assert case.depth is None and np.isfinite(case.true_depth).any()
        assert case.features.shape == cases[0].features.shape and case.features.ndim == 1
    assert not model.training and not any(module._forward_hooks for module in model.modules())


def test_unknown_names_are_listed(model, tiny_dataset):
    with pytest.raises(ValueError, match="unknown set 'old'.*new_both"):
        examine(model, open_dataset(tiny_dataset), set_name="old")
    with pytest.raises(ValueError, match="fog"):
        examine(model, open_dataset(tiny_dataset), 2, set_name="train", condition="fog")


def test_figures_show_the_cases(cases):
    titles = [ax.get_title() for ax in cases_figure(cases[:2], metric=True).axes]
    assert titles.count("found") == titles.count("true depth") == 2
    assert titles[0] == f"IoU {cases[0].iou:.3f}"
    assert len(embedding_figure(cases).axes[0].artists) == len(cases)
    with pytest.raises(ValueError, match="at least one"):
        cases_figure([])
    with pytest.raises(ValueError, match="at least 3"):
        embedding_figure(cases[:2])


def test_principal_components_find_the_main_direction():
    rng = np.random.default_rng(0)
    along = rng.normal(size=50)
    features = np.stack([along, 3 * along + 1, 0.2 * rng.normal(size=50), np.ones(50)], 1)
    found = principal_components(features)
    assert found.shape == (50, 2)
    assert abs(np.corrcoef(found[:, 0], along)[0, 1]) > 0.99  # the rest is noise of the third column
    assert abs(found.mean(0)).max() < 1e-9
