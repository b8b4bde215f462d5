"""What every network must do: its size, odd pictures, learning, freezing."""

import pytest
import torch

from mdlib.modeling.losses import Losses
from mdlib.modeling.networks.base import freeze
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
