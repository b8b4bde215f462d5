from pathlib import Path

import pytest

from mdlib.modeling.losses import PRESETS
from mdlib.modeling.registry import create_model, model_names
from mdlib.training.config import TrainConfig
from mdlib.training.reference_recipes import RECIPES, from_recipe

DATA = Path("data")


def test_every_known_network_has_a_recipe():
    assert set(RECIPES) == set(model_names())


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configs_of_their_network(name):
    config = from_recipe(name, data=DATA)
    assert config.model == name
    parts = create_model(name).parts
    for stage in config.all_stages():
        assert (stage.loss or config.loss) in PRESETS
        assert set(stage.freeze) <= set(parts)


def test_what_is_given_goes_before_the_recipe():
    config = from_recipe("resnet18-upproj", data=DATA, lr=0.5, stages="64:1", checks=3)
    assert (config.lr, config.stages, config.checks) == (0.5, "64:1", 3)
    assert (config.optimizer, config.schedule, config.ema) == ("sgd", "plateau", 0.0)


def test_ours_is_what_training_does_without_a_recipe():
    assert from_recipe("mdnet", data=DATA) == TrainConfig(DATA)


def test_resnet18_upproj_grows_from_80_to_160_px():
    stages = from_recipe("resnet18-upproj", data=DATA).all_stages()
    assert [(stage.size, stage.batch_size) for stage in stages] == [(80, 128), (160, 64)]


def test_unet_shared_learns_depth_first_and_then_the_mask_alone():
    config = from_recipe("unet-shared", data=DATA)
    stages = config.all_stages()
    assert [round(stage.end * config.epochs, 9) for stage in stages] == [1, 3, 4, 5, 6, 7, 8, 9, 10]
    assert [stage.freeze for stage in stages] == [("mask_decoder",)] * 5 + [("encoder", "depth_decoder")] * 4
    assert [config.highest_lr(stage) for stage in stages[:3]] == [0.01, 0.001, 0.01]


def test_an_unknown_recipe_is_an_error_that_names_the_known():
    with pytest.raises(ValueError, match="unknown recipe 'soup'; there are mdnet, resnet18-upproj"):
        from_recipe("soup", data=DATA)


def test_the_command_line_puts_given_options_before_the_recipe(command_line, tiny_dataset, tmp_path):
    import json

    words = ("--recipe", "conv2-mask", "--size", "32", "--batch-size", "4", "--steps", "1", "--checks", "0")
    done = command_line("train", tiny_dataset, "--run", tmp_path / "run", *words)
    assert done.code == 0, done.err
    training = json.loads((tmp_path / "run/config.json").read_text())["training"]
    assert (training["model"], training["optimizer"], training["ema"]) == ("conv2-mask", "sgd", 0.0)
    assert (training["size"], training["batch_size"]) == (32, 4)


def test_the_command_line_knows_the_recipes(command_line):
    done = command_line("train", "data", "--recipe", "soup")
    assert (done.code, "unknown recipe 'soup'" in done.err) == (2, True)
    assert "(default: conv2-mask)" in command_line("train", "--recipe", "conv2-mask", "--help").out
