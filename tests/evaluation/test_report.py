"""The table of an evaluation."""

import pytest
import torch

from mdlib.evaluation.protocol import evaluate
from mdlib.evaluation.report import format_table
from mdlib.loading.dataset import SceneDataset, open_dataset
from mdlib.modeling.registry import create_model


@pytest.fixture(scope="module")
def data(tiny_dataset) -> SceneDataset:
    return open_dataset(tiny_dataset)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model("fcn")


@pytest.fixture(scope="module")
def result(network, data) -> dict:
    return evaluate(network, data, pairs=4)


def test_the_table_reads_well(network, result):
    table = format_table(result)
    lines = table.splitlines()
    parameters = sum(p.numel() for p in network.parameters())
    assert lines[0] == f"### fcn, {parameters:,} parameters"
    network = result["mean_of_ten"]["network"]["iou"]
    mean = next(line for line in lines if "mean of the ten" in line)
    assert f"**{network:.3f}**" in mean
    assert any(line.startswith("| homography (never trained on)") for line in lines)
    assert f"new_both {result['sets']['new_both']['checksum']}" in lines[-1]
    assert (
        result["dataset"]["id"][:16] in lines[-1] and f"torch {torch.__version__.split('+')[0]}" in lines[-1]
    )
    blocks = [block.splitlines() for block in table.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 3
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1 and len({len(line) for line in block}) == 1


def test_the_table_of_a_part(network, data):
    one = evaluate(network, data, pairs=1, sets=["new_fg"], conditions=["empty"])
    table = format_table(one)
    assert "Pixels marked where nothing was added" in table and "mean of the ten" not in table
