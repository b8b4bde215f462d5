from pathlib import Path

import pytest

from mdlib.training.config import FIXED, FREE, TrainConfig, check_unchanged
from mdlib.training.schedule import Stage

DATA = Path("data")


def test_progress_is_that_of_the_nearest_end():
    config = TrainConfig(DATA, steps=200, epochs=3, minutes=2)
    assert config.progress(step=50, steps_per_epoch=100, elapsed_s=0) == 0.25
    assert config.progress(step=50, steps_per_epoch=20, elapsed_s=0) == pytest.approx(50 / 60)
    assert config.progress(step=50, steps_per_epoch=100, elapsed_s=90) == 0.75


def test_without_an_end_it_is_20_minutes():
    assert TrainConfig(DATA).progress(step=10**6, steps_per_epoch=10, elapsed_s=600) == 0.5
    assert TrainConfig(DATA, epochs=1).progress(step=0, steps_per_epoch=10, elapsed_s=600) == 0


def test_without_stages_there_is_one():
    assert TrainConfig(DATA).all_stages() == [Stage(0, None, 0.0, 1.0)]
    assert TrainConfig(DATA, size=96).all_stages() == [Stage(0, 96, 0.0, 1.0)]
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
    ],
)
def test_settings_that_make_no_sense(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(DATA, **setting)


def test_every_setting_is_fixed_or_free_or_a_folder():
    names = set(TrainConfig.__dataclass_fields__)
    assert set(FIXED) | set(FREE) | {"data", "run"} == names
    assert not set(FIXED) & set(FREE)


def test_a_change_names_both_values():
    before = TrainConfig(DATA).fixed(samples=100)
    check_unchanged(before, TrainConfig(DATA, lr=1.0, steps=5).fixed(samples=100))
    with pytest.raises(ValueError, match="number of training samples 100 and cannot go on with 90"):
        check_unchanged(before, TrainConfig(DATA).fixed(samples=90))
    with pytest.raises(ValueError, match="model_options {} and cannot go on with {'width': 2}"):
        check_unchanged(before, TrainConfig(DATA, model_options={"width": 2}).fixed(samples=100))
