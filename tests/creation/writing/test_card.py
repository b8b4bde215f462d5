"""What `info` and the card tell, and what `info` finds wrong."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.info import info
from mdlib.creation.writing import card
from mdlib.creation.writing.card import quantiles
from mdlib.loading.codec import closeness_to_z, depth_to_closeness
from mdlib.loading.dataset import open_dataset


@pytest.fixture
def copy(tiny_dataset, tmp_path):
    return shutil.copytree(tiny_dataset, tmp_path / "copy")


def test_the_card_stands_beside_the_data_and_says_what_info_says(tiny_dataset):
    text, told = (tiny_dataset / "card.md").read_text(), info(tiny_dataset)
    statements = [line[2:] for line in text.splitlines() if line.startswith("- ")]
    assert [line for line in told.splitlines()[1:9] if line.strip() not in statements] == []
    assert f"with pictures: {tiny_dataset / 'card.md'}" in told
    pictures = re.findall(r"!\[.*\]\((.+)\)", text)
    assert pictures == ["card_samples.jpg", "card_distributions.png"]
    sizes = [Image.open(tiny_dataset / name).size for name in pictures]
    assert sizes[0] == (62 + 12 * 132, 4 + 4 * 132) and sizes[1][0] > 1000
    assert sum((tiny_dataset / name).stat().st_size for name in ["card.md", *pictures]) < 2_000_000


def test_the_card_comes_back_with_the_same_bytes(copy):
    names = ("card.md", "card_samples.jpg", "card_distributions.png")
    before = {name: (copy / name).read_bytes() for name in names}
    for name in names:
        (copy / name).unlink()
    info(copy, check=True)  # the data is whole without it
    options = {"rooms": 6, "props": 5, "placements": 2, "flip": True, "size": 64, "workers": 1}
    create(CreateConfig(out=copy, **options), progress=False)
    assert {name: (copy / name).read_bytes() for name in names} == before


def test_areas_places_and_depth_are_those_of_the_files(tiny_dataset):
    facts, data = card.collect(open_dataset(tiny_dataset)), open_dataset(tiny_dataset)
    batch = data.batch(np.arange(len(data)))
    masks = batch["mask"][:, 0].numpy().astype(np.float64) / 255
    steps = np.floor(masks.mean((1, 2)) * 1000 + 1e-9).astype(int)
    np.testing.assert_array_equal(facts.coverage["areas"], np.bincount(steps, minlength=1001))
    assert facts.coverage["cell"] == 2 and facts.coverage["samples"] == len(data)
    blocks = masks.mean(0).reshape(32, 2, 32, 2).mean((1, 3))
    np.testing.assert_allclose(facts.coverage["map"], blocks, rtol=1e-12)
    z = closeness_to_z(depth_to_closeness(batch["depth"])).numpy()
    counts, edges = facts.depth
    assert counts.sum() == z.size
    low, half, high = quantiles(counts, edges, (0.1, 0.5, 0.9))
    np.testing.assert_allclose([low, half, high], np.quantile(z, [0.1, 0.5, 0.9]), atol=0.1)


def test_quantiles_of_a_histogram():
    counts, edges = np.array([0, 2, 0, 2]), np.array([0.0, 1.0, 2.0, 4.0, 6.0])
    assert quantiles(counts, edges, (0.25, 0.75, 1.0)) == [1.5, 5.0, 6.0]
