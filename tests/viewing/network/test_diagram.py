"""The diagram of a network's blocks: what is connected with what, and in which shape."""

import pytest
import torch
from PIL import Image

from mdlib.modeling.networks.base import freeze
from mdlib.modeling.registry import create_model, model_names
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
