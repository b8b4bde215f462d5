"""One wiring: the loaders of a config, and a run from a config to a trained network."""

from dataclasses import replace

import pytest
import torch

import mdlib
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.modeling.registry import load_model
from mdlib.run import new_model, open_feed
from mdlib.training.config import TrainConfig


def loaders(*folders, **settings):
    """(training loader, validation loader) of the one stage of a training."""
    config = TrainConfig(folders[0], mix=folders[1:], **settings)
    return open_feed(config)(config.all_stages()[0])


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A data set that is only a recipe, 64 px."""
    out = tmp_path_factory.mktemp("live") / "data"
    few = {"rooms": 3, "props": 3, "placements": 1, "size": 64, "workers": 1, "seed": 5}
    return create(CreateConfig(out=out, recipe_only=True, **few))


def test_size_and_batch_size_are_those_asked_for(tiny_dataset):
    for size, batch_size in ((32, 4), (None, 3)):
        for loader in loaders(tiny_dataset, size=size, batch_size=batch_size, device="cpu"):
            batch = next(iter(loader))
            pictures = loader.to_float(batch)["fg_bg"]
            assert pictures.shape == (batch_size, 3, size or 64, size or 64)


def test_training_leaves_out_what_does_not_fill_a_batch(tiny_dataset):
    train, check = loaders(tiny_dataset, size=32, batch_size=7)
    assert len(train) == len(train.dataset) // 7
    assert len(check) == -(-len(check.dataset) // 7)
    assert len(loaders(tiny_dataset, size=32, batch_size=1000)[0]) == 1  # all that there is


def test_stored_and_live_data_are_mixed(tiny_dataset, live):
    train, check = loaders(tiny_dataset, live, size=32, batch_size=8, seed=1)
    alone = [loaders(folder, size=32, batch_size=8)[0].dataset for folder in (tiny_dataset, live)]
    assert len(train.dataset) == sum(len(data) for data in alone)
    seen = torch.cat([batch["index"] for batch in train])
    assert (seen < len(alone[0])).any()
    assert (seen >= len(alone[0])).any()
    assert train.to_float(next(iter(train)))["depth"].isfinite().any()


def test_a_folder_that_is_no_data_set(tmp_path):
    with pytest.raises(FileNotFoundError, match="dataset.json"):
        open_feed(TrainConfig(tmp_path))


def test_a_config_is_all_that_training_needs(tiny_dataset, tmp_path):
    few = {"steps": 2, "size": 16, "batch_size": 4, "checks": 0, "device": "cpu", "tensorboard": False}
    config = TrainConfig(tiny_dataset, tmp_path / "run", model="conv2-mask", **few)
    first = new_model(config)
    fitted = mdlib.train(config)
    assert fitted.finished and fitted.step == 2
    trained = load_model(fitted.run).state_dict()
    assert any(not torch.equal(trained[name], weight) for name, weight in first.state_dict().items())
    assert mdlib.train(config).finished  # and nothing more to do


def test_a_network_may_come_with_weights_of_its_own(tiny_dataset, tmp_path):
    few = {"steps": 1, "size": 16, "batch_size": 4, "checks": 0, "device": "cpu", "lr": 1e-9, "ema": 0.0}
    config = TrainConfig(tiny_dataset, tmp_path / "run", model="conv2-mask", tensorboard=False, **few)
    model = new_model(replace(config, seed=5))
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    after = dict(load_model(mdlib.train(config, model).run).named_parameters())
    assert all(torch.allclose(after[name], weight, atol=1e-6) for name, weight in before.items())


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Data sets of equal length: seeds 1 and 2 stored, 1 and 2 as recipes, and 1 made once more elsewhere."""
    folder = tmp_path_factory.mktemp("others")
    few = {"rooms": 4, "props": 3, "placements": 1, "size": 32, "workers": 1}
    kinds = {
        "one": (1, False),
        "two": (2, False),
        "live one": (1, True),
        "live two": (2, True),
        "again": (1, False),
    }
    for name, (seed, recipe_only) in kinds.items():
        create(CreateConfig(out=folder / name, seed=seed, recipe_only=recipe_only, **few))
    return folder


@pytest.mark.parametrize(
    ("first", "then", "same"),
    [
        (["one"], ["one"], True),
        (["one"], ["again"], True),
        (["one"], ["two"], False),
        (["live one"], ["live one"], True),
        (["live one"], ["live two"], False),
        (["one", "two"], ["again", "two"], True),
        (["one", "two"], ["one", "live two"], False),
    ],
)
def test_a_run_goes_on_with_its_own_data_alone(others, tmp_path, first, then, same):
    """Made anew from other backgrounds, a data set has the same length."""
    few = {"size": 16, "batch_size": 4, "checks": 0, "device": "cpu", "tensorboard": False}

    def run(names, steps):
        data, *mix = (others / name for name in names)
        config = TrainConfig(data, tmp_path / "run", mix=tuple(mix), model="conv2-mask", steps=steps, **few)
        return mdlib.train(config).step

    assert run(first, 2) == 2
    if same:
        assert run(then, 3) == 3
    else:
        with pytest.raises(ValueError, match="was started with the data set of the id '[0-9a-f]{64}'"):
            run(then, 3)
