"""The two networks on a ResNet18 (He et al. 2016): resnet18-upproj and resnet18-autoencoder.

resnet18-upproj has two decoders of up-projections (Laina et al. 2016). As published: 16,181,090 parameters.
Its documentation promises skip connections from the encoder that its code lacks; `skips=True` builds them.

resnet18-autoencoder has plain decoders, with or without skip connections. Trained both ways, it shows what
skips do: without them everything must pass through 1/32 of the size, and edges come out round.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, conv_bn, conv_bn_relu, init_convs, upsample

TRUNK_WIDTHS = (64, 64, 128, 256, 512)  # stem, layer1 .. layer4
SKIP_WIDTHS = (*TRUNK_WIDTHS[-2::-1], 6)  # the last skip is the pictures themselves
DECODER_WIDTHS = (256, 128, 64, 32, 16)


class ResNet18Trunk(nn.Module):
    """ResNet18 (He et al. 2016) without its classifier, behind a stem for both pictures (6 channels).

    (B, 6, H, W) -> five feature maps: the stem's, then those of layer1 to layer4. `stem` replaces the first
    convolution; the max-pool after it halves the size, layers 2 to 4 halve it again.
    `pretrained=True` loads torchvision's ImageNet weights into all but the stem (a download the first time).
    """

    def __init__(self, stem: nn.Conv2d, pretrained: bool) -> None:
        super().__init__()
        from torchvision.models import ResNet18_Weights, resnet18

        resnet = resnet18(weights=ResNet18_Weights.IMAGENET1K_V1 if pretrained else None)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        self.stem = nn.Sequential(stem, resnet.bn1, resnet.relu)
        self.pool = resnet.maxpool
        self.layers = nn.ModuleList([resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4])

    def forward(self, pictures: Tensor) -> list[Tensor]:
        features = [self.stem(pictures)]
        x = self.pool(features[0])
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return features


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
