"""The parts of mdnet by hand, half precision, export."""

import pytest
import torch
import torch.nn.functional as F

from mdlib.modeling.networks.mdnet import depth_size, local_similarity, unshuffle
from mdlib.modeling.registry import create_model


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(batch, height, width, seed=0):
    return torch.rand(2, batch, 3, height, width, generator=generator(seed))


def test_half_precision_by_autocast():
    """What training and a GPU use: pictures and weights stay 32-bit, the convolutions compute in 16."""
    model = create_model("mdnet").eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(*pictures(1, 32, 32)).mask_logits.shape == (1, 1, 32, 32)


def similarity_by_loops(query, key, radius):
    """Cosine of each query with every key up to `radius` away, outside of the picture 0."""
    _, _, height, width = query.shape
    shifts = [(dy, dx) for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1)]
    result = torch.zeros(len(query), len(shifts), height, width)
    for k, (dy, dx) in enumerate(shifts):
        for y in range(max(0, -dy), min(height, height - dy)):
            for x in range(max(0, -dx), min(width, width - dx)):
                a, b = query[:, :, y, x], key[:, :, y + dy, x + dx]
                result[:, k, y, x] = torch.nn.functional.cosine_similarity(a, b)
    return result


@pytest.mark.parametrize(("height", "width", "radius"), [(5, 7, 2), (6, 4, 1), (2, 2, 2)])
def test_local_similarity_by_hand(height, width, radius):
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 2, 3, height, width, generator=generator)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        result = local_similarity(query.to(memory_format=memory_format), key, radius)
        torch.testing.assert_close(result, similarity_by_loops(query, key, radius))


def test_blocks_of_pixels_as_channels():
    x = torch.rand(2, 3, 4, 6, generator=generator())
    assert torch.equal(unshuffle(x), F.pixel_unshuffle(x, 2))


@pytest.mark.parametrize(
    "size, seen",
    [
        ((224, 224), (160, 160)),
        ((64, 48), (160, 120)),
        ((3000, 4000), (120, 160)),
        ((100, 77), (160, 124)),
        ((16, 6000), (2, 160)),
    ],
)
def test_size_in_which_depth_is_found(size, seen):
    assert depth_size(*size) == seen


def test_depth_does_not_depend_on_the_number_of_pixels():
    model, found = create_model("mdnet").eval(), []
    torch.nn.init.normal_(model.depth_decoder.head.weight, std=0.1, generator=generator())
    model.depth_decoder.register_forward_hook(lambda module, inputs, surfaces: found.append(surfaces[1]))
    coarse = torch.rand(1, 4, 5, 6, generator=generator())
    for size, picture in (((80, 96), coarse), ((240, 288), coarse), ((80, 96), coarse.flip(3))):
        smooth = F.interpolate(picture, size, mode="bicubic", antialias=True).clamp(0, 1)
        with torch.no_grad():
            depth = model.depth(smooth[:, :3], torch.logit(smooth[:, 3:], eps=0.01))
        assert depth.shape[2:] == size
    few, many, other = found
    assert (many - few).abs().mean() < 0.1 * (other - few).abs().mean()


def test_exported_mdnet_takes_other_sizes():
    model = create_model("mdnet").eval()
    sizes = ({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},) * 2
    exported = torch.export.export(model, tuple(pictures(1, 72, 104)), dynamic_shapes=sizes).module()
    pair = pictures(1, 48, 56)
    with torch.no_grad():
        for mine, theirs in zip(exported(*pair), model(*pair), strict=True):
            torch.testing.assert_close(mine, theirs)
