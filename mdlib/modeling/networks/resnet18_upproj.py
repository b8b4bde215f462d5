"""resnet18-upproj: a ResNet18 on both pictures and two decoders of up-projections (Laina et al. 2016).

As published: 16,181,090 parameters. Its documentation promises skip connections from the encoder that its
code lacks; `skips=True` builds them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, conv_bn, conv_bn_relu, init_convs, upsample
from mdlib.modeling.networks.resnet import TRUNK_WIDTHS, ResNet18Trunk

DECODER_WIDTHS = (256, 128, 64, 32, 16)


class UpProjection(nn.Module):
    """Resize, then relu(branch A + branch B), where A is two convolutions and B is one."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.deep = nn.Sequential(
            conv_bn_relu(channels_in, channels_out, kernel=5), conv_bn(channels_out, channels_out)
        )
        self.short = conv_bn(channels_in, channels_out, kernel=5)

    def forward(self, x: Tensor, skip: Tensor, use_skip: bool) -> Tensor:
        x = upsample(x, like=skip)
        if use_skip:
            x = torch.cat([x, skip], 1)
        return torch.relu(self.deep(x) + self.short(x))


class UpProjectionDecoder(nn.Module):
    """The trunk's five feature maps -> (B, 1, H, W) before any activation."""

    def __init__(self, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.start = conv_bn_relu(TRUNK_WIDTHS[-1], DECODER_WIDTHS[0], kernel=1)
        skip_widths = TRUNK_WIDTHS[-2::-1] if skips else (0, 0, 0, 0)
        self.steps = nn.ModuleList(
            UpProjection(width + skip, out)
            for width, skip, out in zip(DECODER_WIDTHS, skip_widths, DECODER_WIDTHS[1:], strict=False)
        )
        self.head = nn.Conv2d(DECODER_WIDTHS[-1], 1, 5, padding=2)
        init_convs(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.start(features[-1])
        # The stem's features have twice the size of layer 1's: they are the size of the last step.
        for step, skip in zip(self.steps, features[-2::-1], strict=True):
            x = step(x, skip, self.skips)
        return self.head(x)


class ResNet18UpProj(MaskDepthNet):
    """ResNet18 encoder with a stride-1 stem, two up-projection decoders.

    `skips` concatenates the encoder's features to each step; `pretrained` starts the encoder, except its
    stem, from ImageNet weights.
    """

    multiple = 16
    cam_layers = {"mask": "encoder.layers.3", "depth": "encoder.layers.3"}

    def __init__(self, skips: bool = False, pretrained: bool = False) -> None:
        super().__init__()
        self.encoder = ResNet18Trunk(nn.Conv2d(6, 64, 3, padding=1, bias=False), pretrained)
        self.mask_decoder = UpProjectionDecoder(skips)
        self.depth_decoder = UpProjectionDecoder(skips)
        self.init_heads(self.mask_decoder.head, self.depth_decoder.head)

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        features = self.encoder(torch.cat([bg, fg_bg], 1))
        return MaskDepth(self.mask_decoder(features), self.depth_decoder(features).sigmoid())
