"""unet-twin: two U-Nets that share nothing, a narrow one for the mask, a wider one for depth; 5,403,938."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import MASK_PRIOR_LOGIT, MaskDepth, MaskDepthNet, init_head
from mdlib.modeling.networks.unet import UNetDecoder, UNetEncoder


class UNet(nn.Module):
    """(B, 6, H, W) -> (B, 1, H, W) before any activation; four halvings, `base` channels at full size."""

    def __init__(self, base: int) -> None:
        super().__init__()
        widths = (base, 2 * base, 4 * base, 8 * base, 8 * base)
        self.encoder = UNetEncoder(widths)
        self.decoder = UNetDecoder(widths, (4 * base, 2 * base, base, base))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.decoder(self.encoder(pictures))


class UNetTwin(MaskDepthNet):
    """Two separate U-Nets, one for the mask and one for depth.

    Nothing is shared, so each encoder belongs to the part of its decoder and there is no part "encoder".
    """

    multiple = 16
    parts = {"mask_decoder": ("mask_net",), "depth_decoder": ("depth_net",)}
    cam_layers = {"mask": "mask_net.encoder.steps.4", "depth": "depth_net.encoder.steps.4"}

    def __init__(self) -> None:
        super().__init__()
        self.mask_net = UNet(16)
        self.depth_net = UNet(32)
        init_head(self.mask_net.decoder.head, MASK_PRIOR_LOGIT)
        init_head(self.depth_net.decoder.head)

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        pictures = torch.cat([bg, fg_bg], 1)
        return MaskDepth(self.mask_net(pictures), self.depth_net(pictures).sigmoid())
