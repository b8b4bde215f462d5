"""Weighted sums of loss terms: unknown depth, shares of a batch, gradients, presets."""

import numpy as np
import pytest
import torch

from mdlib.modeling import losses
from mdlib.modeling.losses import PRESETS, Losses, term_names
from mdlib.modeling.networks.base import MaskDepth

NAN = float("nan")


def picture(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def row(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


def test_bce_by_hand():
    pred = MaskDepth(torch.tensor([0.0, 2.0]).view(1, 1, 1, 2), None)
    got = Losses({"mask_bce": 1})(pred, {"mask": row(0.0, 1.0)})["mask_bce"]
    assert got.item() == pytest.approx((np.log(2) + np.log1p(np.exp(-2))) / 2, abs=1e-6)


@pytest.mark.parametrize("name", term_names())
def test_the_shares_of_parts_add_up_to_the_whole(name):
    """However unevenly the known pixels are spread; one part has none."""
    logits, depth = picture(7, 1, 24, 28, seed=1), picture(7, 1, 24, 28, seed=2)
    true = torch.where(picture(7, 1, 24, 28, seed=3) < 0.01, NAN, picture(7, 1, 24, 28, seed=4))
    true[0, :, :12], true[5:] = NAN, NAN
    pred, batch = MaskDepth(logits, depth), {"mask": picture(7, 1, 24, 28, seed=5), "depth": true}
    loss = Losses({name: 0.5})
    shares = []
    for first, last in ((0, 3), (3, 5), (5, 7)):
        part = {kind: x[first:last] for kind, x in batch.items()}
        shares.append(loss(MaskDepth(logits[first:last], depth[first:last]), part, whole=batch))
    expected = loss(pred, batch)
    for term in (name, "total"):
        total = sum(share[term].item() for share in shares)
        assert total == pytest.approx(expected[term].item(), rel=1e-5)
    if name.startswith("depth"):
        assert shares[2][name] == 0


DEPTH_TERMS = [name for name in term_names() if name.startswith("depth_")]


def losses_of(logits, depth, batch, weights):
    return Losses(weights)(MaskDepth(logits, depth), batch)


def test_depth_of_objects_by_hand_leaves_out_the_room_and_unknown_pixels():
    pred, true = row(0.7, 0.25, 0.4, 0.9, 0.5), row(0.2, 0.3, 0.4, NAN, 0.1)
    mask = row(1.0, 0.6, 0.5, 1.0, 0.0)  # on the object: above 0.5
    got = losses_of(torch.zeros_like(mask), pred, {"mask": mask, "depth": true}, {"depth_object_log_l1": 1})
    assert got["total"].item() == pytest.approx((np.log(0.7 / 0.2) + np.log(0.3 / 0.25)) / 2, abs=1e-6)


def test_pairs_by_hand():
    # Closeness of the object 0.4, of the room 0.4, 0.1 and unknown: half of the pairs compare with either,
    # as nearly as 1,024 pairs are spread.
    true = row(0.4, 0.4, 0.1, NAN)
    mask = row(0.6, 0.5, 0.0, 0.0)  # on the object: above 0.5
    batch = {"mask": mask, "depth": true}

    def pairs(*pred):
        return losses_of(torch.zeros_like(mask), row(*pred), batch, {"depth_pairs": 1})["total"].item()

    far = 0.1 + np.log(4)
    assert pairs(0.6, 0.6, 0.15, 0.9) == pytest.approx(0, abs=1e-6)  # all nearer, in the same proportion
    assert pairs(0.2, 0.4, 0.1, 0.9) == pytest.approx(np.log(2) * (1 / 0.1 + 1 / far) / 2, rel=5e-3)
    assert pairs(0.4, 0.4, 0.2, 0.9) == pytest.approx(np.log(2) / far / 2, rel=5e-3)


def test_pairs_leave_out_images_without_an_object():
    true, mask = torch.full((2, 1, 4, 4), 0.4), torch.zeros(2, 1, 4, 4)
    mask[0, 0, 1:3, 1:3] = 1
    pred = true.where(mask == 0, 0.5)
    both = losses_of(mask, pred, {"mask": mask, "depth": true}, {"depth_pairs": 1})["total"].item()
    assert both == pytest.approx(np.log(0.5 / 0.4) / 0.1, rel=1e-5)


@pytest.mark.parametrize("name", DEPTH_TERMS)
def test_unknown_depth_adds_nothing_to_loss_or_gradient(name):
    true = picture(2, 1, 32, 32, seed=3)
    true[:, :, 4:9, 6:20] = NAN
    depth = picture(2, 1, 32, 32, seed=4).requires_grad_()
    mask = torch.ones_like(true)
    mask[..., 20:] = 0
    batch = {"mask": mask, "depth": true}
    value = losses_of(torch.zeros_like(true), depth, batch, {name: 1})[name]
    value.backward()
    assert value.isfinite() and value > 0
    assert depth.grad.isfinite().all() and depth.grad.abs().sum() > 0
    assert (depth.grad[true.isnan()] == 0).all()
    elsewhere = torch.where(true.isnan(), 0.123, depth.detach())
    changed = losses_of(torch.zeros_like(true), elsewhere, batch, {name: 1})[name]
    torch.testing.assert_close(changed, value.detach())


@pytest.mark.parametrize("name", DEPTH_TERMS)
def test_batch_without_known_depth_gives_exactly_zero_with_gradient(name):
    depth = picture(2, 1, 16, 16).requires_grad_()
    batch = {"mask": torch.zeros(2, 1, 16, 16), "depth": torch.full((2, 1, 16, 16), NAN)}
    value = losses_of(torch.zeros(2, 1, 16, 16), depth, batch, {name: 1})["total"]
    value.backward()
    assert value.item() == 0
    assert (depth.grad == 0).all()


@pytest.mark.parametrize("name", term_names())
def test_gradcheck(name):
    true = picture(2, 1, 16, 16, seed=5).double()
    true[0, 0, 2:4, 3:5] = NAN if name.startswith("depth_") else 0.5
    target, kind = name.split("_", 1)
    term = losses._TERMS[target][kind]
    # Far from kinks: errors have one sign per pixel, away from zero.
    pred = (
        torch.nan_to_num(true, 0.5) * 0.5 + picture(2, 1, 16, 16, seed=6).double() * 0.4 + 0.05
    ).requires_grad_()
    if name == "depth_pairs":
        true = torch.cat([true, picture(2, 1, 16, 16, seed=7).round().double()], 1)

    def few(x):  # a numerical gradient needs two evaluations per input: check a small window of them
        return term(
            torch.cat([torch.cat([x, pred[..., :3, 3:].detach()], -1), pred[..., 3:, :].detach()], -2), true
        )

    assert torch.autograd.gradcheck(few, pred[..., :3, :3].detach().requires_grad_(), eps=1e-6, atol=1e-5)


def test_perfect_prediction_is_free():
    true = picture(2, 1, 16, 16, seed=7) * 0.8 + 0.1
    mask = (picture(2, 1, 16, 16, seed=8) > 0.5).float()
    got = losses_of((mask - 0.5) * 200, true, {"mask": mask, "depth": true}, dict.fromkeys(term_names(), 1.0))
    for name, value in got.items():
        assert value.item() == pytest.approx(0, abs=1e-5), name


def test_total_is_the_weighted_sum():
    true = picture(2, 1, 16, 16, seed=9)
    batch = {"mask": true.round(), "depth": true}
    pred = MaskDepth(picture(2, 1, 16, 16, seed=10), picture(2, 1, 16, 16, seed=11))
    got = Losses({"mask_bce": 2, "depth_l1": 0.5, "depth_mse": 0})(pred, batch)
    assert list(got) == ["mask_bce", "depth_l1", "total"]
    torch.testing.assert_close(got["total"], 2 * got["mask_bce"] + 0.5 * got["depth_l1"])


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_work_with_and_without_a_depth_head(preset):
    mask = picture(2, 1, 16, 16).round()
    batch = {"mask": mask, "depth": picture(2, 1, 16, 16, seed=1)}
    loss = Losses(PRESETS[preset])
    assert list(loss(MaskDepth(mask, batch["depth"]), batch)) == [*PRESETS[preset], "total"]
    without = loss(MaskDepth(mask, None), batch)
    assert list(without) == [*(name for name in PRESETS[preset] if name.startswith("mask_")), "total"]


def test_half_precision_networks_get_float32_losses():
    true = picture(1, 1, 16, 16)
    pred = MaskDepth(torch.zeros(1, 1, 16, 16, dtype=torch.bfloat16), true.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        got = Losses(dict.fromkeys(term_names(), 1.0))(pred, {"mask": true.round(), "depth": true})
    assert {value.dtype for value in got.values()} == {torch.float32}


@pytest.mark.parametrize(
    "weights, words",
    [
        ({"mask_dize": 1.0}, "unknown loss term 'mask_dize'; known terms: mask_bce, mask_dice"),
        ({"mask_bce": -1.0}, "weight of mask_bce is -1.0"),
        ({"mask_bce": NAN}, "weight of mask_bce is nan"),
        ({"mask_bce": 0.0}, "no loss term has a weight above 0"),
        ({}, "no loss term has a weight above 0"),
    ],
)
def test_bad_weights(weights, words):
    with pytest.raises(ValueError, match=words):
        Losses(weights)


def test_only_depth_terms_for_a_network_without_depth():
    x = torch.zeros(1, 1, 16, 16)
    with pytest.raises(ValueError, match="without depth has no use for depth_l1"):
        Losses({"depth_l1": 1.0})(MaskDepth(x, None), {"mask": x, "depth": x})
