import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from mdlib.training.config import FIXED, FOLDERS, Stage, TrainConfig, check_unchanged, parse_stages

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
        ({"schedule": "multistep"}, "multistep is now step: write step, and drop_at"),
        ({"schedule": "plateau", "checks": 0}, "checks is 0, but plateau waits for them"),
        ({"stop_checks": 3, "checks": 0}, "checks is 0, but stop_checks waits for them"),
        ({"optimizer": "rmsprop", "fused": True}, "rmsprop has no fused form"),
    ],
)
def test_settings_that_make_no_sense(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(DATA, **setting)


def test_every_setting_is_fixed_or_free_or_a_folder():
    before = TrainConfig(DATA).fixed(samples=100)
    with pytest.raises(ValueError, match="seed 0 and cannot go on with 1") as error:
        check_unchanged(before, TrainConfig(DATA, seed=1).fixed(samples=100))
    free = re.search(r"what may change: (.*)\)", str(error.value))[1].split(", ")
    assert sorted([*FIXED, *FOLDERS, *free]) == sorted(one.name for one in fields(TrainConfig))


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


def test_other_data_of_the_same_length_are_refused():
    before = TrainConfig(DATA).fixed(samples=100, data="ab12")
    check_unchanged(before, TrainConfig(DATA).fixed(samples=100, data="ab12"))
    with pytest.raises(ValueError, match="the data set of the id 'ab12' and cannot go on with 'cd34'"):
        check_unchanged(before, TrainConfig(DATA).fixed(samples=100, data="cd34"))
    of_earlier_versions = {name: value for name, value in before.items() if name != "data"}
    for unknown in (of_earlier_versions, TrainConfig(DATA).fixed(samples=100)):
        check_unchanged(unknown, TrainConfig(DATA).fixed(samples=100, data="cd34"))
    check_unchanged(before, TrainConfig(DATA).fixed(samples=100))


def test_stages_share_the_run():
    assert parse_stages("112:0.6,160:0.4", 16) == [Stage(0, 112, 0.0, 0.6, 16), Stage(1, 160, 0.6, 1.0, 16)]


def test_shares_are_divided_by_their_sum():
    stages = parse_stages("80:1,112:1,160:2", 16)
    assert [stage.end for stage in stages] == [0.25, 0.5, 1.0]
    assert [stage.start for stage in stages] == [0.0, 0.25, 0.5]
    assert parse_stages("80:1,80:1,80:1,80:3,80:4", 1)[2].end == 0.3


def test_a_stage_may_have_its_own_settings():
    first, second = parse_stages("112:1:32:freeze=mask_decoder, 160:1:lr=1e-3:freeze=a+b:loss=BCE + L1", 16)
    assert first == Stage(0, 112, 0.0, 0.5, 32, freeze=("mask_decoder",))
    assert second == Stage(1, 160, 0.5, 1.0, 16, lr=1e-3, loss="BCE + L1", freeze=("a", "b"))


@pytest.mark.parametrize(
    "text",
    ["112", "112:x", "a:1", "112:0.5,", "112:1:x", "1.5:1", "112:1:speed=2", "112:1:lr=fast", "112:1:2:3"],
)
def test_other_texts_are_errors(text):
    with pytest.raises(ValueError, match="expected size:share or size:share:batch_size"):
        parse_stages(text, 16)


@pytest.mark.parametrize(
    "text", ["8:1", "112:0", "112:-1,160:2", "112:nan", "112:inf", "112:1:0", "112:1:lr=0", "112:1:lr=nan"]
)
def test_other_numbers_are_errors(text):
    with pytest.raises(ValueError, match="expected sizes of 16 px or more, and shares"):
        parse_stages(text, 16)
