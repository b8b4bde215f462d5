"""Grad-CAM against a hand-computed map, and on every network."""

import pytest
import torch
from torch import nn

from mdlib.modeling.networks.base import MaskDepth
from mdlib.modeling.registry import create_model, model_names
from mdlib.viewing.network.grad_cam import grad_cam


class TwoFeatures(nn.Module):
    """Features: the scene's red and green at half size. mask_logits = 3 red - 2 green - 0.5, at full size."""

    cam_layers = {"mask": "pool"}

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.norm = nn.BatchNorm2d(3)
        self.frozen = nn.Parameter(torch.tensor([3.0, -2.0, 0.0]).view(1, 3, 1, 1), requires_grad=False)

    def forward(self, bg, fg_bg):
        logits = (self.frozen * self.pool(fg_bg).relu_()).sum(1, keepdim=True) - 0.5
        return MaskDepth(logits.repeat_interleave(2, 2).repeat_interleave(2, 3), None)


def pictures(batch=1, height=32, width=48):
    return torch.rand(2, batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_a_map_by_hand():
    bg, fg_bg = pictures(2, 8, 8)
    features = nn.AvgPool2d(2)(fg_bg)
    logits = 3 * features[:, 0] - 2 * features[:, 1] - 0.5
    assert (logits < 0).any() and (logits > 0).any()
    # y = mean of the logits over the n marked quarter-size pixels: dy / dA is 3 / n there and 0 elsewhere,
    # its mean over the 16 places 3 / 16, and -2 / 16 for the second map. The common factor falls out.
    expected = (3 * features[:, 0] - 2 * features[:, 1]).relu()
    expected = expected / expected.flatten(1).amax(1).view(-1, 1, 1)
    (cam,) = grad_cam(TwoFeatures(), bg, fg_bg).values()
    small = torch.nn.functional.interpolate(expected[:, None], (8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(cam, small / small.flatten(1).amax(1).view(-1, 1, 1, 1))


def test_the_region_decides_what_is_explained():
    class Sides(TwoFeatures):
        def forward(self, bg, fg_bg):
            red, green, _ = self.pool(fg_bg).relu().split(1, 1)
            left = torch.arange(red.shape[-1]) < red.shape[-1] // 2
            return MaskDepth(torch.where(left, red, green), None)  # half size is fine here

    bg, fg_bg = pictures(1, 8, 8)
    features = nn.AvgPool2d(2)(fg_bg)
    for side, colour in (("left", 0), ("right", 1)):
        region = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
        region[..., :2] = side == "left"
        region[..., 2:] = side == "right"
        cam = grad_cam(Sides(), bg, fg_bg, region=region)["mask"]
        shown = torch.nn.functional.interpolate(features[:, colour : colour + 1], (8, 8), mode="bilinear")
        torch.testing.assert_close(cam, shown / shown.max())


@pytest.mark.parametrize("name", model_names())
def test_every_network_shows_where_it_looks(name):
    torch.manual_seed(0)
    model = create_model(name).train()
    model.requires_grad_(False)  # also where everything is frozen
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    cams = grad_cam(model, *pictures(2, 37, 53))
    assert list(cams) == (["mask"] if name == "conv2-mask" else ["mask", "depth"])
    for cam in cams.values():
        assert cam.shape == (2, 1, 37, 53) and not cam.requires_grad
        assert cam.min() >= 0
        assert set(cam.flatten(1).amax(1).tolist()) <= {0.0, 1.0}  # 0: nothing speaks for the answer
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_samples_do_not_see_each_other():
    torch.manual_seed(0)
    model = create_model("unet-twin")
    bg, fg_bg = pictures(3)
    together = grad_cam(model, bg, fg_bg)
    alone = [grad_cam(model, b, f) for b, f in zip(bg.split(1), fg_bg.split(1), strict=True)]
    for name, cam in together.items():
        torch.testing.assert_close(cam, torch.cat([one[name] for one in alone]), atol=1e-3, rtol=1e-3)


def test_a_layer_that_both_pictures_pass_is_shown_for_the_scene():
    torch.manual_seed(0)
    cam = grad_cam(create_model("mdnet"), *pictures(2), layers={"mask": "encoder.2"})["mask"]
    assert cam.shape == (2, 1, 32, 48)


@pytest.mark.parametrize(
    ("name", "layers", "sentence"),
    [
        ("fcn", {"mask": "encoder.9"}, "FCN has no layer 'encoder.9'; it has encoder, encoder.0"),
        ("fcn", {"mask": "depth_decoder.0"}, "mask does not depend on layer 'depth_decoder.0'"),
        ("fcn", {"colour": "encoder.4"}, "unknown output 'colour': expected mask or depth"),
        ("conv2-mask", {"depth": "encoder.4"}, "Conv2Mask answers with no depth"),
        ("unet-shared", {"mask": "encoder"}, r"layer 'encoder' \(UNetEncoder\) gives no feature maps"),
        ("fcn", {}, "FCN names no cam_layers: say which layer"),
    ],
)
def test_wrong_layers_are_explained(name, layers, sentence):
    model = create_model(name)
    with pytest.raises(ValueError, match=sentence):
        grad_cam(model, *pictures(1, 32, 32), layers=layers)
    assert not any(module._forward_hooks for module in model.modules())
