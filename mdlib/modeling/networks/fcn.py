"""fcn: a fully convolutional network of constant width that never leaves full size.

Kept because it teaches: edges are sharp, but each pixel sees only a few pixels around it, and full size makes
it slow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, conv_bn, conv_bn_relu, init_convs

WIDTH = 32
BLOCKS = 4


class SkipBlock(nn.Module):
    """relu(x + two convolutions of x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn_relu(width, width), conv_bn(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class FCN(MaskDepthNet):
    """Four blocks with skips at full size, then one more block and a 1x1 head each for mask and depth."""

    cam_layers = {"mask": "encoder.4", "depth": "encoder.4"}

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(conv_bn_relu(6, WIDTH), *(SkipBlock(WIDTH) for _ in range(BLOCKS)))
        self.mask_decoder = nn.Sequential(SkipBlock(WIDTH), nn.Conv2d(WIDTH, 1, 1))
        self.depth_decoder = nn.Sequential(SkipBlock(WIDTH), nn.Conv2d(WIDTH, 1, 1))
        init_convs(self)
        self.init_heads(self.mask_decoder[-1], self.depth_decoder[-1])

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        features = self.encoder(torch.cat([bg, fg_bg], 1))
        return MaskDepth(self.mask_decoder(features), self.depth_decoder(features).sigmoid())
