"""The ResNet18 trunk that two of the networks use, in pieces that they can read features between."""

from __future__ import annotations

from torch import Tensor, nn

TRUNK_WIDTHS = (64, 64, 128, 256, 512)  # stem, layer1 .. layer4


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
