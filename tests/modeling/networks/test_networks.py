"""What every network must do: its size, odd pictures, learning, freezing, clear errors."""

import pytest
import torch
import torch.nn.functional as F

from mdlib.modeling.losses import Losses
from mdlib.modeling.networks.base import freeze, pad_to
from mdlib.modeling.registry import create_model, model_names

PARAMETERS = {
    "resnet18-upproj": 16_181_090,
    "unet-shared": 6_242_050,
    "unet-twin": 5_403_938,
}
WITHOUT_DEPTH = {"conv2-mask"}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(batch, height, width, seed=0):
    return torch.rand(2, batch, 3, height, width, generator=generator(seed))


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name):
    assert count(create_model(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["resnet18-upproj", "resnet18-autoencoder"])
def test_skips_add_what_the_decoders_read(name):
    plain, skipping = create_model(name, skips=False).eval(), create_model(name, skips=True).eval()
    assert count(skipping) > count(plain)
    with torch.no_grad():
        assert skipping(*pictures(1, 32, 48)).depth.shape == (1, 1, 32, 48)


@pytest.mark.parametrize("name", model_names())
def test_any_size_in_and_the_same_size_out(name):
    model = create_model(name).eval()
    for height, width in ((37, 53), (16, 16), (64, 32)):
        with torch.no_grad():
            mask_logits, depth = model(*pictures(1, height, width))
        assert mask_logits.shape == (1, 1, height, width)
        assert mask_logits.isfinite().all()
        if name in WITHOUT_DEPTH:
            assert depth is None
        else:
            assert depth.shape == (1, 1, height, width)
            assert ((depth >= 0) & (depth <= 1)).all()


@pytest.mark.parametrize("name", model_names())
def test_a_fresh_network_expects_small_objects(name):
    torch.manual_seed(0)
    model = create_model(name).train()
    mask = model(*pictures(4, 32, 32)).mask_logits.sigmoid()
    assert 0.03 < mask.mean().item() < 0.3


def one_batch():
    """Rectangles on noisy rooms, each with one depth, in front of a slope."""
    bg = pictures(2, 32, 32, seed=1)[0] * 0.5
    mask = torch.zeros(2, 1, 32, 32)
    for i in range(2):
        mask[i, :, 4 + 3 * i : 18 + 3 * i, 6 + 2 * i : 20] = 1
    colour = torch.tensor([0.9, 0.2, 0.6]).view(1, 3, 1, 1)
    room = torch.linspace(0.1, 0.6, 32).view(1, 1, 32, 1).expand(2, 1, 32, 32)
    depth = torch.where(mask > 0, 0.7, room)
    return {"bg": bg, "fg_bg": bg * (1 - mask) + colour * mask, "mask": mask, "depth": depth}


@pytest.mark.parametrize("name", model_names())
def test_loss_falls_on_one_batch(name):
    torch.manual_seed(0)
    model = create_model(name).train()
    batch, loss = one_batch(), Losses({"mask_bce": 1, "mask_dice": 1, "depth_l1": 1})
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2 if count(model) < 1e7 else 3e-3)
    totals = []
    for _ in range(60):
        total = loss(model(batch["bg"], batch["fg_bg"]), batch)["total"]
        totals.append(total.item())
        if totals[-1] < 0.1:
            break
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert totals[0] > 0.8
    assert totals[-1] < 0.1


@pytest.mark.parametrize("name", model_names())
def test_parts_cover_the_network_without_overlap(name):
    model = create_model(name)
    parts = [list(model._modules_of([part])) for part in model.parts]
    owned = [id(p) for modules in parts for module in modules for p in module.parameters()]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize("name", model_names())
def test_frozen_parts_stand_still(name):
    model = create_model(name).train()
    frozen = [part for part in model.parts if part != "mask_decoder"]
    freeze(model, frozen)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    model(*pictures(2, 32, 32)).mask_logits.sum().backward()
    optimizer.step()
    changed = {
        key.split(".")[0]
        for key, tensor in model.state_dict().items()
        if not torch.equal(tensor, before[key])
    }
    assert changed == set(model.parts["mask_decoder"])
    freeze(model, [])
    assert all(p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())


def test_freezing_keeps_a_network_in_evaluation_mode():
    model = create_model("fcn").eval()
    freeze(model, ["encoder"])
    assert not any(module.training for module in model.modules())


def test_unknown_part():
    with pytest.raises(
        ValueError, match="UNetTwin has no part 'encoder' to freeze; its parts are mask_decoder"
    ):
        freeze(create_model("unet-twin"), ["encoder"])


@pytest.mark.parametrize(
    "bg, fg_bg, words",
    [
        (
            torch.zeros(1, 1, 32, 32),
            torch.zeros(1, 3, 32, 32),
            r"bg has shape \(1, 1, 32, 32\); expected \(B, 3, H, W\)",
        ),
        (
            torch.zeros(1, 3, 32, 32),
            torch.zeros(3, 32, 32),
            r"fg_bg has shape \(3, 32, 32\); expected \(B, 3, H, W\)",
        ),
        (
            torch.zeros(1, 3, 32, 32),
            torch.zeros(1, 3, 32, 40),
            r"bg \(1, 3, 32, 32\) and fg_bg \(1, 3, 32, 40\) differ",
        ),
        (torch.zeros(2, 3, 32, 32), torch.zeros(1, 3, 32, 32), "differ"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8),) * 2 + ("dtype torch.uint8; expected float",),
        (
            torch.zeros(1, 3, 32, 32, dtype=torch.float64),
            torch.zeros(1, 3, 32, 32),
            "bg has dtype torch.float64 and fg_bg torch.float32: convert one",
        ),
        (torch.zeros(1, 3, 32, 32, dtype=torch.float64),) * 2
        + (r"dtype torch.float64, but the network's weights torch.float32: .*bg.to\(torch.float32\)",),
        (torch.zeros(1, 3, 15, 32),) * 2 + ("15 x 32 px are too small; expected at least 16 x 16",),
    ],
)
def test_wrong_pictures(bg, fg_bg, words):
    with pytest.raises(ValueError, match=words):
        create_model("conv2-mask")(bg, fg_bg)


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
    from mdlib.modeling.networks.mdnet import local_similarity

    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 2, 3, height, width, generator=generator)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        result = local_similarity(query.to(memory_format=memory_format), key, radius)
        torch.testing.assert_close(result, similarity_by_loops(query, key, radius))


def test_blocks_of_pixels_as_channels():
    from mdlib.modeling.networks.mdnet import unshuffle

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
    from mdlib.modeling.networks.mdnet import depth_size

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


def test_pictures_that_need_no_padding_are_not_copied():
    x = torch.rand(1, 3, 16, 24)
    assert pad_to(x, 8) is x
    padded = pad_to(x[..., :13, :], 8)
    assert padded.shape == x.shape and torch.equal(padded[..., 13:, :], x[..., 12:13, :].expand(1, 3, 3, 24))


def test_exported_mdnet_takes_other_sizes():
    model = create_model("mdnet").eval()
    sizes = ({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},) * 2
    exported = torch.export.export(model, tuple(pictures(1, 72, 104)), dynamic_shapes=sizes).module()
    pair = pictures(1, 48, 56)
    with torch.no_grad():
        for mine, theirs in zip(exported(*pair), model(*pair), strict=True):
            torch.testing.assert_close(mine, theirs)
