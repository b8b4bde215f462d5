import pytest
import torch

from mdlib.creation.create import CreateConfig, create
from mdlib.run import open_feed


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A data set that is only a recipe, 64 px."""
    out = tmp_path_factory.mktemp("live") / "data"
    few = {"rooms": 3, "props": 3, "placements": 1, "size": 64, "workers": 1, "seed": 5}
    return create(CreateConfig(out=out, recipe_only=True, **few))


def test_size_and_batch_size_are_those_asked_for(tiny_dataset):
    feed = open_feed([tiny_dataset], device="cpu")
    for size, batch_size in ((32, 4), (None, 3)):
        for loader in feed(size, batch_size):
            batch = next(iter(loader))
            pictures = loader.to_float(batch)["fg_bg"]
            assert pictures.shape == (batch_size, 3, size or 64, size or 64)


def test_training_leaves_out_what_does_not_fill_a_batch(tiny_dataset):
    train, check = open_feed([tiny_dataset])(32, 7)
    assert len(train) == len(train.dataset) // 7
    assert len(check) == -(-len(check.dataset) // 7)
    assert len(open_feed([tiny_dataset])(32, 1000)[0]) == 1  # all that there is


def test_stored_and_live_data_are_mixed(tiny_dataset, live):
    train, check = open_feed([tiny_dataset, live], seed=1)(32, 8)
    alone = [open_feed([folder])(32, 8)[0].dataset for folder in (tiny_dataset, live)]
    assert len(train.dataset) == sum(len(data) for data in alone)
    seen = torch.cat([batch["index"] for batch in train])
    assert (seen < len(alone[0])).any()
    assert (seen >= len(alone[0])).any()
    assert train.to_float(next(iter(train)))["depth"].isfinite().any()


def test_a_folder_that_is_no_data_set(tmp_path):
    with pytest.raises(FileNotFoundError, match="dataset.json"):
        open_feed([tmp_path])
