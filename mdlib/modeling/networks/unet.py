"""The pieces of a U-Net (Ronneberger et al. 2015; padded, bilinear steps) that two networks share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import init_convs, upsample


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
