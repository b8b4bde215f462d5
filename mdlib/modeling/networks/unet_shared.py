"""unet-shared: one U-Net encoder on both pictures, two decoders; 6,242,050 parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from mdlib.modeling.networks.base import MASK_PRIOR_LOGIT, MaskDepth, MaskDepthNet, init_head
from mdlib.modeling.networks.unet import UNetDecoder, UNetEncoder

ENCODER_WIDTHS = (64, 128, 256, 256)  # at 1, 1/2, 1/4, 1/8
DECODER_WIDTHS = (128, 64, 64)  # at 1/4, 1/2, 1


class UNetShared(MaskDepthNet):
    """A U-Net with 64 channels at full size and a decoder each for mask and depth."""

    multiple = 8
    parts = {"encoder": ("encoder",), "mask_decoder": ("mask_decoder",), "depth_decoder": ("depth_decoder",)}
    cam_layers = {"mask": "encoder.steps.3", "depth": "encoder.steps.3"}

    def __init__(self) -> None:
        super().__init__()
        self.encoder = UNetEncoder(ENCODER_WIDTHS)
        self.mask_decoder = UNetDecoder(ENCODER_WIDTHS, DECODER_WIDTHS)
        self.depth_decoder = UNetDecoder(ENCODER_WIDTHS, DECODER_WIDTHS)
        init_head(self.mask_decoder.head, MASK_PRIOR_LOGIT)
        init_head(self.depth_decoder.head)

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        features = self.encoder(torch.cat([bg, fg_bg], 1))
        return MaskDepth(self.mask_decoder(features), self.depth_decoder(features).sigmoid())
