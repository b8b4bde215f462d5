"""conv2-mask: the first attempt. Down twice, up twice, no skips, mask only.

Kept because it teaches: it finds objects quickly, and its edges stay blurred however long it is trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, conv_bn_relu, init_convs


class Conv2Mask(MaskDepthNet):
    """Two blocks of two convolutions and a max-pool, two transposed convolutions; predicts no depth."""

    multiple = 4
    parts = {"encoder": ("encoder",), "mask_decoder": ("mask_decoder",)}
    cam_layers = {"mask": "encoder.4"}

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            conv_bn_relu(6, 32),
            conv_bn_relu(32, 32),
            nn.MaxPool2d(2),
            conv_bn_relu(32, 64),
            conv_bn_relu(64, 64),
            nn.MaxPool2d(2),
        )
        self.mask_decoder = nn.Sequential(
            nn.ConvTranspose2d(64, 32, 2, stride=2),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, 16, 2, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 1, 1),
        )
        init_convs(self)
        self.init_heads(self.mask_decoder[-1])

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        return MaskDepth(self.mask_decoder(self.encoder(torch.cat([bg, fg_bg], 1))), None)
