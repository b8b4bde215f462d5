"""resnet18-autoencoder: a plain ResNet18 encoder and plain decoders, with or without skip connections.

Trained both ways, it shows what skips do: without them everything must pass through 1/32 of the size, and
edges come out round.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, conv_bn_relu, init_convs, upsample
from mdlib.modeling.networks.resnet import TRUNK_WIDTHS, ResNet18Trunk

DECODER_WIDTHS = (256, 128, 64, 32, 16)  # at 1/16, 1/8, 1/4, 1/2, 1
SKIP_WIDTHS = (*TRUNK_WIDTHS[-2::-1], 6)  # the last skip is the pictures themselves


class PlainDecoder(nn.Module):
    """The trunk's feature maps and the pictures -> (B, 1, H, W) before any activation."""

    def __init__(self, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        widths = (TRUNK_WIDTHS[-1], *DECODER_WIDTHS)
        self.steps = nn.ModuleList(
            conv_bn_relu(width + skip * skips, out)
            for width, skip, out in zip(widths, SKIP_WIDTHS, DECODER_WIDTHS, strict=False)
        )
        self.head = nn.Conv2d(DECODER_WIDTHS[-1], 1, 3, padding=1)
        init_convs(self)

    def forward(self, features: list[Tensor], pictures: Tensor) -> Tensor:
        x = features[-1]
        for step, skip in zip(self.steps, [*features[-2::-1], pictures], strict=True):
            x = upsample(x, like=skip)
            x = step(torch.cat([x, skip], 1) if self.skips else x)
        return self.head(x)


class ResNet18Autoencoder(MaskDepthNet):
    """ResNet18 with its 7x7 stem on both pictures, two decoders of one convolution per scale.

    `skips` concatenates the encoder's features of the same size to each step; `pretrained` starts the
    encoder, except its stem, from ImageNet weights.
    """

    multiple = 32
    cam_layers = {"mask": "encoder.layers.3", "depth": "encoder.layers.3"}

    def __init__(self, skips: bool = True, pretrained: bool = False) -> None:
        super().__init__()
        self.encoder = ResNet18Trunk(nn.Conv2d(6, 64, 7, stride=2, padding=3, bias=False), pretrained)
        self.mask_decoder = PlainDecoder(skips)
        self.depth_decoder = PlainDecoder(skips)
        self.init_heads(self.mask_decoder.head, self.depth_decoder.head)

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        pictures = torch.cat([bg, fg_bg], 1)
        features = self.encoder(pictures)
        depth = self.depth_decoder(features, pictures).sigmoid()
        return MaskDepth(self.mask_decoder(features, pictures), depth)
