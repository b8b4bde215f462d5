"""Learning rates computed by hand, and beside those of torch.optim.lr_scheduler; averaged weights."""

import math
import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from mdlib.training.config import TrainConfig
from mdlib.training.optim import (
    AveragedModel,
    Plateau,
    learning_rate,
    momentum,
    new_optimizer,
    set_rates,
)

STEPS = 100


def config(**settings) -> TrainConfig:
    return TrainConfig(Path("data"), steps=STEPS, **settings)


def rate(progress: float, plateau: Plateau | None = None, **settings) -> float:
    return learning_rate(config(**settings), progress, 2.0, plateau or Plateau())


def torchs(make_scheduler, optimizer="sgd") -> tuple[list[float], list[float]]:
    """Learning rates and momenta of STEPS + 1 steps, from 2.0, as a scheduler of torch sets them."""
    weights = [nn.Parameter(torch.zeros(1))]
    if optimizer == "sgd":
        optimizer = torch.optim.SGD(weights, lr=2.0, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(weights, lr=2.0)
    scheduler, rates, momenta = make_scheduler(optimizer), [], []
    for step in range(STEPS + 1):
        group = optimizer.param_groups[0]
        rates.append(group["lr"])
        momenta.append(group["momentum"] if "momentum" in group else group["betas"][0])
        optimizer.step()
        if step < STEPS:
            scheduler.step()
    return rates, momenta


def ours(**settings) -> tuple[list[float], list[float]]:
    chosen = config(**settings)
    shares = [chosen.progress(step, 0, 0) for step in range(STEPS + 1)]
    rates = [learning_rate(chosen, share, 2.0, Plateau()) for share in shares]
    return rates, [momentum(chosen, share) for share in shares]


@pytest.mark.parametrize(
    ("progress", "kind", "expected"),
    [
        (0.0, "cosine", 0.0),
        (0.05, "cosine", 1.0),
        (0.1, "cosine", 2.0),
        (0.55, "cosine", 1.0),  # half of the cosine
        (0.325, "cosine", 1 + math.sqrt(0.5)),  # a quarter of it
        (1.0, "cosine", 0.0),
        (1.2, "cosine", 0.0),  # a run that ends by time may overshoot
        (0.05, "constant", 1.0),
        (0.9, "constant", 2.0),
        (0.05, "step", 1.0),
        (0.29, "step", 2.0),
        (0.3, "step", 0.2),
        (0.9, "step", 0.002),
        (0.61, "step", 0.02),
        (0.5, "plateau", 2.0),
        (0.0, "onecycle", 2 / 25),
        (0.05, "onecycle", (2 + 2 / 25) / 2),
        (0.1, "onecycle", 2.0),
        (1.0, "onecycle", 2 / 25 / 1e4),
    ],
)
def test_learning_rate(progress, kind, expected):
    assert rate(progress, schedule=kind, warmup=0.1) == pytest.approx(expected, abs=1e-12)


def test_no_warm_up_begins_at_the_top():
    for kind in ("cosine", "constant", "step", "onecycle"):
        assert rate(0.0, schedule=kind, warmup=0.0) == 2.0


def test_momentum_is_as_given_but_in_a_onecycle():
    assert momentum(config(momentum=0.7), 0.3) == 0.7
    cycle = config(schedule="onecycle", warmup=0.5)
    assert [momentum(cycle, at) for at in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.95, 0.9, 0.85, 0.95])


def test_constant_is_torchs():
    assert ours(schedule="constant", warmup=0.0)[0] == torchs(lambda o: lr_scheduler.ConstantLR(o, 1.0))[0]


def test_cosine_with_warm_up_is_torchs():
    # LinearLR cannot begin at 0, so the first step is left out.
    expected, _ = torchs(
        lambda o: lr_scheduler.SequentialLR(
            o,
            [lr_scheduler.LinearLR(o, 1e-9, 1.0, 20), lr_scheduler.CosineAnnealingLR(o, STEPS - 20)],
            milestones=[20],
        )
    )
    assert ours(schedule="cosine", warmup=0.2)[0] == pytest.approx(expected, abs=1e-7)


def test_step_is_torchs():
    expected, _ = torchs(lambda o: lr_scheduler.StepLR(o, 30, 0.1))
    assert ours(schedule="step", warmup=0.0, drop_at=(0.3, 0.6, 0.9))[0] == pytest.approx(expected, rel=1e-12)


def test_steps_of_unlike_length_are_torchs_multistep():
    expected, _ = torchs(lambda o: lr_scheduler.MultiStepLR(o, [29, 58, 77], 0.5))
    settings = {"schedule": "step", "warmup": 0.0, "drop": 0.5, "drop_at": (0.29, 0.58, 0.77)}
    assert ours(**settings)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_onecycle_is_torchs(optimizer):
    # torch's cycle of N steps has its top at step pct_start * N - 1 and its end at step N - 1.
    total = STEPS + 1
    expected = torchs(
        lambda o: lr_scheduler.OneCycleLR(o, 2.0, total_steps=total, pct_start=(0.3 * STEPS + 1) / total),
        optimizer,
    )
    for found, known in zip(ours(schedule="onecycle", warmup=0.3), expected, strict=True):
        assert found == pytest.approx(known, rel=1e-9)


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_plateau_is_torchs(patience):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.5, patience=patience - 1)
    rng, plateau = random.Random(patience), Plateau()
    for check in range(40):
        score = 0.9 - 0.5 / (1 + check) + rng.choice([0.0, 0.00001, 0.03])
        scheduler.step(score)
        plateau.add(score, patience, 0.5)
        found = rate(0.5, plateau, schedule="plateau")
        assert found == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-6)  # torch stops at 1e-8
    assert plateau.factor < 1


def test_plateau_by_hand():
    plateau, seen = Plateau(), []
    for score in (0.5, 0.6, 0.6, 0.6, 0.55, 0.7, 0.7):
        plateau.add(score, 2, 0.1)
        seen.append((plateau.best, plateau.waited, round(plateau.factor, 12)))
    assert seen == [
        (0.5, 0, 1),
        (0.6, 0, 1),
        (0.6, 1, 1),
        (0.6, 2, 0.1),
        (0.6, 3, 0.1),
        (0.7, 0, 0.1),
        (0.7, 1, 0.1),
    ]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "rmsprop", "sgd"])
def test_rates_reach_the_optimizer(optimizer):
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1))
    made = new_optimizer(config(optimizer=optimizer, weight_decay=0.25), model)
    set_rates(made, 0.125, 0.5)
    decaying, plain = made.param_groups
    assert (decaying["lr"], plain["lr"]) == (0.125, 0.125)
    assert (decaying["weight_decay"], plain["weight_decay"]) == (0.25, 0.0)
    assert [weight.ndim for weight in decaying["params"]] == [4]
    if optimizer == "rmsprop":
        assert decaying["momentum"] == 0
    else:
        assert decaying["momentum"] == 0.5 if optimizer == "sgd" else decaying["betas"] == (0.5, 0.999)


def test_the_average_follows_by_its_decay():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    average = AveragedModel(model, decay=0.5)
    nn.init.constant_(model.weight, 3.0)
    average.update(step=100)
    assert average.model.weight.item() == 2.0  # 1 + 0.5 * (3 - 1)
    average.update(step=101)
    assert average.model.weight.item() == 2.5


def test_early_steps_count_more():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = AveragedModel(model, decay=0.999)
    nn.init.constant_(model.weight, 1.0)
    average.update(step=0)
    torch.testing.assert_close(average.model.weight.item(), 0.9)  # decay (1 + 0) / (10 + 0)


def test_statistics_are_averaged_and_counts_copied():
    model = nn.BatchNorm1d(1)
    average = AveragedModel(model, decay=0.5)
    model.running_mean.fill_(4.0)
    model.num_batches_tracked.fill_(7)
    average.update(step=100)
    assert average.model.running_mean.item() == 2.0
    assert average.model.num_batches_tracked.item() == 7


def test_it_takes_no_gradient_and_stays_in_evaluation_mode():
    model = nn.BatchNorm1d(2).train()
    average = AveragedModel(model, decay=0.9)
    assert not average.model.training
    assert model.training
    assert not any(weight.requires_grad for weight in average.model.parameters())
    assert all(weight.requires_grad for weight in model.parameters())
