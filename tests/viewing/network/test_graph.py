"""Drawings of networks by torchviz."""

import re

import pytest
import torch
from PIL import Image

from mdlib.modeling.registry import create_model, model_names
from mdlib.viewing.network.graph import draw_graph


@pytest.mark.parametrize("name", model_names())
def test_every_network_is_drawn_with_all_its_layers_and_results(name, tmp_path):
    model = create_model(name).train()
    source = draw_graph(model, tmp_path / "new" / "graph.gv").read_text()
    layers = {key.rpartition(".")[0] for key, _ in model.named_parameters()}
    assert {layer for layer in layers if f'"{layer}\n' not in source} == set()
    assert "mask_logits" in source
    assert ("depth\n" in source) == (name != "conv2-mask")
    assert "AccumulateGrad" not in source
    assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())


def test_the_same_network_gives_the_same_source(tmp_path):
    one = draw_graph(create_model("unet-shared"), tmp_path / "1.gv").read_bytes()
    assert draw_graph(create_model("unet-shared"), tmp_path / "2.gv").read_bytes() == one


def test_frozen_parts_are_drawn_and_stay_frozen(tmp_path):
    model = create_model("conv2-mask")
    model.encoder.requires_grad_(False)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert "encoder.0.0" in draw_graph(model, tmp_path / "graph.gv").read_text()
    assert {key for key, p in model.named_parameters() if not p.requires_grad} == {
        key for key, _ in model.named_parameters() if key.startswith("encoder")
    }
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_edges_lead_from_the_first_layer_to_the_result(tmp_path):
    source = draw_graph(create_model("conv2-mask"), tmp_path / "graph.gv").read_text()
    after = dict(re.findall(r"(\d+) -> (\d+)", source))  # a chain: one successor each
    at = re.search(r'(\d+) \[label="encoder\.0\.0\nConvolution"', source)[1]
    steps = 0
    while at in after:
        at, steps = after[at], steps + 1
    assert re.search(rf'{at} \[label="mask_logits', source)
    assert steps == len(after)


def test_operations_are_framed_by_their_blocks(tmp_path):
    """Also those without a layer: the addition of a residual block lies inside of it."""
    source = draw_graph(create_model("fcn"), tmp_path / "graph.gv").read_text()
    frame = re.search(r'subgraph "?cluster_encoder\.2"? \{(.*?)\n\t\}', source, re.DOTALL)[1]
    labels = re.findall(r'(\w+)"?(?: fillcolor=\w+)?\]', frame)
    assert labels.count("Convolution") == 2 and {"Add", "Relu"} <= set(labels)


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_drawing_is_a_picture(graphviz, ending, tmp_path):
    path = draw_graph(create_model("conv2-mask"), tmp_path / f"graph.{ending}")
    if ending == "svg":
        assert "encoder.0.0" in path.read_text()
    else:
        with Image.open(path) as img:
            assert img.height > 1000  # letters of full size, however long the drawing


def test_without_graphviz_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"needs the program `dot`: install Graphviz .*graph\.gv"):
        draw_graph(create_model("conv2-mask"), tmp_path / "graph.svg")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"graph\.jpg: the name must end in \.svg, \.png, \.pdf, \.gv"):
        draw_graph(create_model("conv2-mask"), tmp_path / "graph.jpg")
