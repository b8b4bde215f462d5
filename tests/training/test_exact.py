"""What must be exact: going on with every optimizer and schedule, parts of batches, frozen parts."""

import pytest
import torch
from torch import nn

from mdlib.loading.dataset import Mixture, open_dataset
from mdlib.loading.loader import make_loader
from mdlib.training.checkpoint import Checkpoints, read
from mdlib.training.config import Stage

STAGES = "16:0.5:6,24:0.5:3:freeze=encoder:lr=0.002"  # 6 steps each of the 12


@pytest.fixture
def tiny(script_names):
    """tiny(normalised=...): a network of three convolutions."""
    return script_names["Tiny"]


@pytest.fixture
def train(fit, tiny):
    """train(run, **settings): 12 steps of the tiny network."""

    def run(folder, model=None, **settings):
        common = {"steps": 12, "size": None, "stages": STAGES, "checks": 6, "check_pairs": 2, "log_every": 4}
        return fit(folder, model=model or tiny(), **{**common, **settings})

    return run


def last(run) -> dict[str, torch.Tensor]:
    return read(Checkpoints(run / "checkpoints").paths()[-1]).tensors


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        ("adamw", "cosine"),
        ("adamw", "onecycle"),
        ("adam", "step"),
        ("rmsprop", "step"),
        ("rmsprop", "plateau"),
        ("sgd", "onecycle"),
        ("sgd", "plateau"),
        ("sgd", "constant"),
    ],
)
def test_a_stopped_run_ends_like_one_that_was_not(
    train, loaders, stop_before, same_end, tmp_path, optimizer, schedule
):
    settings = {
        "optimizer": optimizer,
        "schedule": schedule,
        "drop_at": (0.2, 0.4, 0.6, 0.8),
        "plateau_checks": 1,
        "drop": 0.5,
    }
    assert train(tmp_path / "one", **settings).finished
    for count in (3, 3, 2):  # in each stage, and at the step at which they change
        stopping = stop_before(loaders, count)
        assert not train(tmp_path / "two", make_loaders=stopping, **settings).finished
    assert train(tmp_path / "two", **settings).finished
    same_end(tmp_path / "one", tmp_path / "two")
    state = read(Checkpoints(tmp_path / "two/checkpoints").paths()[-1]).state
    assert schedule != "plateau" or state["position"]["plateau"]["factor"] < 1  # it has dropped the rate


def test_fused_steps_go_on_too(train, loaders, stop_before, same_end, tmp_path):
    for optimizer in ("adamw", "adam", "sgd"):
        one, two = tmp_path / optimizer / "one", tmp_path / optimizer / "two"
        settings = {"optimizer": optimizer, "fused": True, "channels_last": False}
        train(one, **settings)
        assert not train(two, make_loaders=stop_before(loaders, 8), **settings).finished
        assert train(two, **settings).finished
        same_end(one, two)


def test_a_mixture_goes_on_too(train, stop_before, same_end, tiny_dataset, tmp_path):
    sets = open_dataset(tiny_dataset).split()
    mixture = Mixture([sets["train"].subset(range(30)), sets["new_bg"]])

    def make_loaders(stage):
        common = {"batch_size": stage.batch_size, "shuffle": True, "size": stage.size, "drop_last": True}
        return make_loader(mixture, **common), make_loader(sets["new_both"], 4)

    train(tmp_path / "one", make_loaders=make_loaders)
    assert not train(tmp_path / "two", make_loaders=stop_before(make_loaders, 5)).finished
    assert train(tmp_path / "two", make_loaders=make_loaders).finished
    same_end(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_parts_of_a_batch_make_the_step_of_the_whole(tiny, train, metric_rows, tmp_path, clip):
    settings = {"steps": 4, "stages": "32:1:8", "optimizer": "sgd", "lr": 0.1, "clip": clip, "checks": 0}
    for parts in (1, 3):  # of 3, 3 and 2 samples
        train(tmp_path / str(parts), model=tiny(normalised=False), accumulate=parts, **settings)
    whole, in_parts = last(tmp_path / "1"), last(tmp_path / "3")
    for name in whole:
        if name.startswith("model."):
            torch.testing.assert_close(in_parts[name], whole[name], atol=1e-6, rtol=0)
    losses = [metric_rows(tmp_path / name)[-1]["losses"] for name in ("1", "3")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_frozen_parts_stay_and_the_others_do_not(tiny, train, metric_rows, tmp_path):
    stages = "16:0.5:4:freeze=mask_decoder,16:0.5:4:freeze=encoder+depth_decoder"
    train(tmp_path, stages=stages, steps=6, checkpoint_steps=3, weight_decay=0.1, lr=0.05)
    first = {f"model.{name}": x for name, x in tiny().state_dict().items()}
    middle, end = (read(tmp_path / f"checkpoints/step-0000000{step}").tensors for step in (3, 6))
    for before, after, trained in ((first, middle, ("encoder", "depth")), (middle, end, ("mask",))):
        for name, tensor in first.items():
            moved = not torch.equal(before[name], after[name])
            assert moved == (name.split(".")[1] in trained), name  # statistics of BatchNorm included
            assert tensor.shape == after[name].shape
    rows = [set(row["losses"]) for row in metric_rows(tmp_path) if "losses" in row]
    assert rows[0] == {"depth_l1", "depth_log_l1", "depth_gradient", "total"}
    assert rows[-1] == {"mask_bce", "mask_dice", "total"}


def test_a_part_that_the_network_lacks_is_named(train, tmp_path):
    with pytest.raises(ValueError, match="Tiny has no part 'tail' to freeze"):
        train(tmp_path, stages="16:1:freeze=tail")


def test_both_decoders_frozen_leave_nothing_to_learn(train, tmp_path):
    with pytest.raises(
        ValueError, match="nothing of 'mdnet' is left with mask_decoder, depth_decoder frozen"
    ):
        train(tmp_path, stages="16:1:freeze=mask_decoder+depth_decoder")


def test_a_stage_may_have_its_own_loss_and_rate(train, metric_rows, tmp_path):
    stages = "16:0.5:4:loss=BCE + L1:lr=0.25,16:0.5:4"
    train(tmp_path, stages=stages, schedule="constant", warmup=0.0, lr=0.125, steps=4, log_every=2)
    rows = [row for row in metric_rows(tmp_path) if "losses" in row]
    assert [row["lr"] for row in rows] == [0.25, 0.125]
    assert set(rows[0]["losses"]) == {"mask_bce", "depth_l1", "total"}
    expected = {"mask_bce", "mask_dice", "depth_l1", "depth_log_l1", "depth_gradient", "total"}
    assert set(rows[1]["losses"]) == expected


def test_it_ends_early_where_it_becomes_no_better(tiny, train, same_end, metric_rows, tmp_path, capsys):
    """A network that marks nothing: the first of 6 checks is the best one, and the third the last."""

    def blind():
        model = tiny(normalised=False)
        nn.init.constant_(model.mask.bias, -9.0)
        return model

    early, whole = tmp_path / "early", tmp_path / "whole"
    fitted = train(early, blind(), stop_checks=2)
    assert (fitted.finished, fitted.step) == (True, 6)
    assert (early / "model.safetensors").exists()
    assert len([row for row in metric_rows(early) if "scores" in row]) == 3
    assert train(early, blind(), stop_checks=2).step == 6
    assert "is finished" in capsys.readouterr().out
    assert train(early, blind(), stop_checks=0).step == 12  # goes on as if it had never ended
    train(whole, blind())
    same_end(early, whole)


def test_epochs_are_counted_in_passes_whatever_the_batch_size(train, loaders, tmp_path):
    """Half an epoch in batches of 8, half in batches of 4."""
    samples = len(loaders(Stage(0, 16, 0, 1, 4))[0].dataset)
    fitted = train(tmp_path, steps=None, epochs=1, stages="16:0.5:8,16:0.5:4", checks=0)
    first, second = -(-(samples // 8) // 2), -(-(samples // 4) // 2)
    assert fitted.step in (first + second, first + second - 1)
