"""Grad-CAM: where the features lie that made a network answer as it did.

Selvaraju et al. 2017, equations 1 and 2: the feature maps A_k of one layer are added up with the weights
alpha_k = mean over places of dy / dA_k, and what speaks against y is cut off: relu(sum_k alpha_k A_k).
Where the answer is a picture, y is its mean over a region, as in Seg-Grad-CAM (Vinogradova et al. 2020).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdlib.modeling.networks.base import evaluation_mode
from mdlib.viewing.network.hooks import hooked

OUTPUTS = {"mask": "mask_logits", "depth": "depth"}  # how the pictures are called: names in MaskDepth


def grad_cam(
    model: nn.Module,
    bg: Tensor,
    fg_bg: Tensor,
    layers: Mapping[str, str] | None = None,
    region: Tensor | None = None,
) -> dict[str, Tensor]:
    """Grad-CAM of each output that the network has: {"mask": (B,1,H,W), "depth": (B,1,H,W)}, 0 to 1.

    bg, fg_bg: (B,3,H,W) float pictures in [0, 1]. layers: output -> name of the layer whose features are
    shown, by default the network's own `cam_layers`. region: (B,1,H,W) bool, the pixels whose answer is
    explained; by default those that the network marks (all where it marks none) for the mask, all for depth.
    Each map is divided by its maximum, and is 0 where nothing speaks for the answer. A layer that sees both
    pictures one after the other as one batch is shown for fg_bg. Modes and gradients of the model stay as
    they are.
    Raises ValueError for a layer that the network lacks, that gives no feature maps, or that the answer does
    not depend on.
    """
    layers = getattr(model, "cam_layers", {}) if layers is None else layers
    if not layers:
        raise ValueError(f"{type(model).__name__} names no cam_layers: say which layer to look at")
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        return {output: _cam(model, bg, fg_bg, output, layer, region) for output, layer in layers.items()}


def _cam(
    model: nn.Module, bg: Tensor, fg_bg: Tensor, output: str, layer: str, region: Tensor | None
) -> Tensor:
    seen: list[Tensor] = []

    module = _find(model, layer)

    def begin_here(name: str, features: object) -> Tensor:
        """The graph starts at this layer; what follows gets a copy, which it may change in place."""
        if not isinstance(features, Tensor) or features.ndim != 4:
            raise ValueError(f"layer {name!r} ({type(module).__name__}) gives no feature maps (B,C,h,w)")
        seen.append(features.detach().requires_grad_())
        return seen[-1].clone()

    with hooked([(layer, module)], after=begin_here):
        answer = getattr(model(bg, fg_bg), _known(output))
    if answer is None:
        raise ValueError(f"{type(model).__name__} answers with no {output}: leave it out of the layers")
    if region is None:
        region = answer > 0 if output == "mask" else torch.ones_like(answer, dtype=torch.bool)
        region = region | ~region.flatten(1).any(1).view(-1, 1, 1, 1)  # nothing marked: everything
    target = ((answer * region).flatten(1).sum(1) / region.flatten(1).sum(1).clamp(min=1)).sum()
    gradient = torch.autograd.grad(target, seen, allow_unused=True)[-1] if target.requires_grad else None
    if gradient is None:
        raise ValueError(f"{output} does not depend on layer {layer!r}: take another one")
    features, gradient = seen[-1].detach()[-len(bg) :], gradient[-len(bg) :]
    alpha = gradient.mean((2, 3), keepdim=True)
    cam = torch.relu((alpha * features).sum(1, keepdim=True))
    cam = F.interpolate(cam, size=bg.shape[-2:], mode="bilinear", align_corners=False)
    return cam / cam.flatten(1).amax(1).clamp(min=torch.finfo(cam.dtype).tiny).view(-1, 1, 1, 1)


def _find(model: nn.Module, layer: str) -> nn.Module:
    layers = dict(model.named_modules())
    if layer not in layers or not layer:
        some = [name for name in layers if name and name.count(".") < 2]
        raise ValueError(
            f"{type(model).__name__} has no layer {layer!r}; it has {', '.join(some)} and theirs"
        )
    return layers[layer]


def _known(output: str) -> str:
    if output not in OUTPUTS:
        raise ValueError(f"unknown output {output!r}: expected {' or '.join(OUTPUTS)}")
    return OUTPUTS[output]
