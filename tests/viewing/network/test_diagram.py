"""The diagram of a network: what is connected with what, in which shape; drawings as a user orders them."""

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib.modeling.networks.base import freeze
from mdlib.modeling.registry import create_model, model_names, save_model
from mdlib.viewing.network.diagram import draw_blocks, trace_blocks
from mdlib.viewing.network.hooks import blocks_of


def received(model, size=(64, 64)) -> dict[str, set[str]]:
    calls, results = trace_blocks(model, size)
    return {call.name: set(call.received) for call in [*calls, *results]}


def test_the_connections_of_a_unet():
    assert received(create_model("unet-shared")) == {
        "encoder.steps.0": {"bg", "fg_bg"},
        "encoder.steps.1": {"encoder.steps.0"},
        "encoder.steps.2": {"encoder.steps.1"},
        "encoder.steps.3": {"encoder.steps.2"},
        "mask_decoder.steps.0": {"encoder.steps.3", "encoder.steps.2"},
        "mask_decoder.steps.1": {"mask_decoder.steps.0", "encoder.steps.1"},
        "mask_decoder.steps.2": {"mask_decoder.steps.1", "encoder.steps.0"},
        "mask_decoder.head": {"mask_decoder.steps.2"},
        "depth_decoder.steps.0": {"encoder.steps.3", "encoder.steps.2"},
        "depth_decoder.steps.1": {"depth_decoder.steps.0", "encoder.steps.1"},
        "depth_decoder.steps.2": {"depth_decoder.steps.1", "encoder.steps.0"},
        "depth_decoder.head": {"depth_decoder.steps.2"},
        "mask": {"mask_decoder.head"},
        "depth": {"depth_decoder.head"},
    }


def test_a_skip_is_shown_where_there_is_one():
    """Without skips the decoder is told the size of the encoder's features, which is no connection."""
    assert received(create_model("resnet18-upproj"))["mask_decoder.steps.0"] == {"mask_decoder.start"}
    with_skips = received(create_model("resnet18-upproj", skips=True))
    assert with_skips["mask_decoder.steps.0"] == {"mask_decoder.start", "encoder.layers.2"}


def test_what_is_calculated_without_gradients_is_connected_too():
    """mdnet aligns bg without gradients before its encoder sees it."""
    connections = received(create_model("mdnet"))
    assert connections["encoder.0"] == {"bg", "fg_bg"}
    assert connections["encoder.1"] == {"encoder.0"}
    assert connections["mask_decoder.edges"] == {"bg", "fg_bg"}


def test_shapes_are_told_for_the_size_asked():
    shapes = {call.name: call.shape for call in trace_blocks(create_model("mdnet"), (96, 64)).calls}
    assert shapes["encoder.0"] == (2, 16, 48, 32)  # both pictures at once
    assert shapes["compare.3"] == (1, 96, 6, 4)


@pytest.mark.parametrize("name", model_names())
def test_every_network_is_drawn_and_stays_as_it_is(name, tmp_path):
    model = create_model(name).train()
    freeze(model, ["mask_decoder"])
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    source = draw_blocks(model, tmp_path / "new/blocks.gv", (64, 64)).read_text()
    assert all(f'label="{block}\n' in source for block, _ in blocks_of(model))
    assert 'label="mask\n1 x 64 x 64"' in source and 'label="mask decoder"' in source
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert model.training and not model.get_submodule(model.parts["mask_decoder"][0]).training
    assert not any(p.requires_grad for p in model.get_submodule(model.parts["mask_decoder"][0]).parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_block_that_is_called_again_is_counted(tmp_path):
    class Twice(type(create_model("conv2-mask"))):
        def predict(self, bg, fg_bg):
            first = super().predict(bg, fg_bg)
            return first._replace(mask_logits=first.mask_logits + super().predict(fg_bg, bg).mask_logits)

    connections = received(Twice())
    assert connections["encoder.1 #2"] == {"encoder.0 #2"}
    assert connections["mask"] == {"mask_decoder.4", "mask_decoder.4 #2"}


def test_a_diagram_is_a_picture(graphviz, tmp_path):
    with Image.open(draw_blocks(create_model("unet-shared"), tmp_path / "blocks.png")) as img:
        assert img.height > 500


def test_draw_a_saved_model(command_line, tmp_path):
    saved, out = save_model(create_model("conv2-mask"), tmp_path / "model"), tmp_path / "new/out"
    done = command_line("draw", saved, "--out", out, "--format", "gv", "--size", 32)
    assert done.code == 0, done.err
    assert done.out.split() == [str(out / name) for name in ("summary.txt", "blocks.gv", "graph.gv")]
    assert "64 x 16 x 16" in (out / "blocks.gv").read_text()
    assert "encoder.0.0" in (out / "graph.gv").read_text()
    assert "two pictures, 3 x 32 x 32" in (out / "summary.txt").read_text()


@pytest.mark.parametrize(("name", "cells"), [("mdnet", 4), ("conv2-mask", 3)])
def test_draw_where_a_network_looks(command_line, tmp_path, name, cells):
    for i in (0, 1):
        noise = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    pictures = (tmp_path / "0.png", tmp_path / "1.png")
    done = command_line("draw", name, "--out", tmp_path / "out", "--format", "gv", "--pictures", *pictures)
    assert done.code == 0, done.err
    with Image.open(tmp_path / "out/attention.png") as img:
        assert img.width > 200 * cells


def test_drawings_go_into_a_folder(command_line, tmp_path):
    done = command_line("draw", "fcn", "--out", tmp_path / "fcn.svg")
    assert done.code == 2 and "fcn.svg is the name of a file, but --out is a folder" in done.err


def test_wrong_names_are_explained(command_line, tmp_path):
    for command in ("summary", "draw"):
        done = command_line(command, "mdnett")
        assert done.code == 2
        assert "'mdnett' is neither a folder" in done.err and "unet-twin" in done.err
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    assert "not finished" in command_line("summary", tmp_path / "run").err
    assert "expected at least 16" in command_line("summary", "fcn", "--size", 8).err
