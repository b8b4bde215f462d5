import json
from pathlib import Path

import pytest

from mdlib.training.config import FIXED, FREE, TrainConfig, check_unchanged
from mdlib.training.stages import Stage

DATA = Path("data")


def test_progress_is_that_of_the_nearest_end():
    config = TrainConfig(DATA, steps=200, epochs=3, minutes=2)
    assert config.progress(step=50, passes=0.5, elapsed_s=0) == 0.25
    assert config.progress(step=50, passes=2.5, elapsed_s=0) == pytest.approx(2.5 / 3)
    assert config.progress(step=50, passes=0.5, elapsed_s=90) == 0.75
    assert TrainConfig(DATA, epochs=0.9).progress(0, 0.1 + 0.2 + 0.6, 0) == 1  # not 0.9999999999999999


def test_without_an_end_it_is_20_minutes():
    assert TrainConfig(DATA).progress(step=10**6, passes=10, elapsed_s=600) == 0.5
    assert TrainConfig(DATA, epochs=1).progress(step=0, passes=0, elapsed_s=600) == 0


def test_without_stages_there_is_one():
    assert TrainConfig(DATA).all_stages() == [Stage(0, None, 0.0, 1.0, 16)]
    assert TrainConfig(DATA, size=96).all_stages() == [Stage(0, 96, 0.0, 1.0, 16)]
    assert [stage.size for stage in TrainConfig(DATA, stages="32:1,64:1").all_stages()] == [32, 64]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; expected more than 0"),
        ({"steps": -1}, "steps is -1; expected more than 0"),
        ({"minutes": 0.0}, "minutes is 0.0; expected more than 0"),
        ({"lr": float("nan")}, "lr is nan; expected more than 0"),
        ({"clip": -1.0}, "clip is -1.0; expected 0 or more"),
        ({"ema": 1.0}, "ema is 1.0; expected 0 to below 1"),
        ({"warmup": -0.1}, "warmup is -0.1; expected 0 to below 1"),
        ({"augment": 2.0}, "augment is 2.0; expected 0 to 1"),
        ({"size": 8}, "size is 8; expected 16 or more"),
        ({"size": 64, "stages": "32:1"}, "size 64 and stages '32:1' both say"),
        ({"stages": "big"}, "stages is 'big'; expected size:share"),
        ({"accumulate": 0}, "accumulate is 0; expected more than 0"),
        ({"momentum": 1.0}, "momentum is 1.0; expected 0 to below 1"),
        ({"drop_at": (0.5, 1.5)}, "drop_at is .* expected shares of the run between 0 and 1"),
        ({"schedule": "plateau", "checks": 0}, "checks is 0, but plateau waits for them"),
        ({"stop_checks": 3, "checks": 0}, "checks is 0, but stop_checks waits for them"),
        ({"optimizer": "rmsprop", "fused": True}, "rmsprop has no fused form"),
    ],
)
def test_settings_that_make_no_sense(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(DATA, **setting)


def test_every_setting_is_fixed_or_free_or_a_folder():
    names = set(TrainConfig.__dataclass_fields__)
    assert set(FIXED) | set(FREE) | {"data", "mix", "run"} == names
    assert not set(FIXED) & set(FREE)


@pytest.mark.parametrize(
    ("settings", "lr", "decay"),
    [
        ({}, 2e-3, 0.01),
        ({"optimizer": "sgd"}, 0.01, 0.0),
        ({"optimizer": "rmsprop"}, 1e-3, 0.0),
        ({"optimizer": "adam", "lr": 0.5, "weight_decay": 0.25}, 0.5, 0.25),
        ({"weight_decay": 0.0, "stages": "64:1:lr=0.125"}, 0.125, 0.0),
    ],
)
def test_learning_rate_and_decay_are_the_optimizers_unless_given(settings, lr, decay):
    config = TrainConfig(DATA, **settings)
    assert (config.highest_lr(config.all_stages()[0]), config.decay()) == (lr, decay)


def test_settings_are_json():
    settings = TrainConfig(DATA, mix=(Path("more"),), drop_at=(0.25,)).as_json()
    assert (settings["data"], settings["mix"], settings["drop_at"]) == ("data", ["more"], [0.25])
    assert json.loads(json.dumps(settings)) == settings


def test_a_change_names_both_values():
    before = TrainConfig(DATA).fixed(samples=100)
    check_unchanged(before, TrainConfig(DATA, lr=1.0, steps=5).fixed(samples=100))
    with pytest.raises(ValueError, match="number of training samples 100 and cannot go on with 90"):
        check_unchanged(before, TrainConfig(DATA).fixed(samples=90))
    with pytest.raises(ValueError, match="model_options {} and cannot go on with {'width': 2}"):
        check_unchanged(before, TrainConfig(DATA, model_options={"width": 2}).fixed(samples=100))
