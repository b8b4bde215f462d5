"""unet-shared and unet-twin, from the pieces of a U-Net (Ronneberger et al. 2015; padded, bilinear steps).

unet-shared: one encoder on both pictures, two decoders; 6,242,050 parameters. unet-twin: two U-Nets that
share nothing, a narrow one for the mask, a wider one for depth; 5,403,938.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, init_convs, upsample

SHARED_ENCODER_WIDTHS = (64, 128, 256, 256)  # at 1, 1/2, 1/4, 1/8
SHARED_DECODER_WIDTHS = (128, 64, 64)  # at 1/4, 1/2, 1


def double_conv(channels_in: int, middle: int, channels_out: int) -> nn.Sequential:
    """Twice: 3x3 convolution with bias, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, middle, 3, padding=1),
        nn.BatchNorm2d(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, channels_out, 3, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class UNetEncoder(nn.Module):
    """(B, 6, H, W) -> one feature map per width, each of half the size of the one before."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            double_conv(below, width, width) for below, width in zip((6, *widths), widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        init_convs(self)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        features = [self.steps[0](pictures)]
        for step in self.steps[1:]:
            features.append(step(self.pool(features[-1])))
        return features


class UNetDecoder(nn.Module):
    """The encoder's feature maps -> (B, 1, H, W) before any activation.

    `encoder_widths` are those of the encoder, `widths` those of the steps back, from small to full size. The
    middle width of a step is half of what it receives.
    """

    def __init__(self, encoder_widths: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        *skips, deepest = encoder_widths
        received = [below + skip for below, skip in zip((deepest, *widths), reversed(skips), strict=False)]
        self.steps = nn.ModuleList(
            double_conv(size, size // 2, width) for size, width in zip(received, widths, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], 1, 1)
        init_convs(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        *skips, x = features
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            x = step(torch.cat([skip, upsample(x, like=skip)], 1))
        return self.head(x)


class UNetShared(MaskDepthNet):
    """A U-Net with 64 channels at full size and a decoder each for mask and depth."""

    multiple = 8
    cam_layers = {"mask": "encoder.steps.3", "depth": "encoder.steps.3"}

    def __init__(self) -> None:
        super().__init__()
        self.encoder = UNetEncoder(SHARED_ENCODER_WIDTHS)
        self.mask_decoder = UNetDecoder(SHARED_ENCODER_WIDTHS, SHARED_DECODER_WIDTHS)
        self.depth_decoder = UNetDecoder(SHARED_ENCODER_WIDTHS, SHARED_DECODER_WIDTHS)
        self.init_heads(self.mask_decoder.head, self.depth_decoder.head)

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        features = self.encoder(torch.cat([bg, fg_bg], 1))
        return MaskDepth(self.mask_decoder(features), self.depth_decoder(features).sigmoid())


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
        self.init_heads(self.mask_net.decoder.head, self.depth_net.decoder.head)

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        pictures = torch.cat([bg, fg_bg], 1)
        return MaskDepth(self.mask_net(pictures), self.depth_net(pictures).sigmoid())
