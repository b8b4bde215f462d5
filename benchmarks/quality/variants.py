"""mdnet with a piece taken away or changed, for ablation.py: ROWS, and how each is made.

The package has no options for what is not used, so everything is done to a fresh network from outside.
"""

from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor, nn

from mdlib.modeling.networks import align, mdnet
from mdlib.modeling.networks.base import MASK_PRIOR_LOGIT, conv_bn_relu, init_convs, init_head, upsample
from mdlib.modeling.registry import create_model

FULL = "mdnet"


def no_alignment(model: nn.Module) -> None:
    model.align = lambda bg, fg_bg: bg


def no_correlation(model: nn.Module) -> None:
    widths = mdnet.ENCODER_WIDTHS
    model.compare = fresh(nn.ModuleList([mdnet.Compare(width, width, None) for width in widths]))


class Correlates(mdnet.Compare):
    """Without the absolute difference of the features."""

    def __init__(self, width: int, radius: int) -> None:
        super().__init__(width, width, radius)
        self.mix = conv_bn_relu(width + (2 * radius + 1) ** 2, width, kernel=1)

    def forward(self, bg: Tensor, fg_bg: Tensor) -> Tensor:
        similar = mdnet.local_similarity(self.key(fg_bg), self.key(bg), self.radius)
        return self.mix(torch.cat([fg_bg, similar], 1))


def no_difference(model: nn.Module) -> None:
    # At 1/2 the difference is all there is: there the features of bg themselves take its place.
    first, *others = mdnet.ENCODER_WIDTHS
    radii = [compare.radius for compare in model.compare[1:]]
    correlate = [Correlates(width, radius) for width, radius in zip(others, radii, strict=True)]
    model.compare = fresh(nn.ModuleList([SideBySide(first), *correlate]))


class SideBySide(nn.Module):
    """Both features, and whatever a 1x1 convolution makes of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = conv_bn_relu(2 * width, width, kernel=1)

    def forward(self, bg: Tensor, fg_bg: Tensor) -> Tensor:
        return self.mix(torch.cat([fg_bg, bg], 1))


def side_by_side(model: nn.Module) -> None:
    model.compare = fresh(nn.ModuleList([SideBySide(width) for width in mdnet.ENCODER_WIDTHS]))


class Together(nn.Module):
    """Six channels go through the encoder at once; nothing is compared."""

    def __init__(self, encoder: nn.ModuleList, context: nn.Module) -> None:
        super().__init__()
        width = mdnet.ENCODER_WIDTHS[0]
        first = nn.Sequential(conv_bn_relu(6, width, stride=2), mdnet.Residual(width))
        self.encoder, self.context = nn.ModuleList([fresh(first), *encoder[1:]]), context

    def forward(self, bg: Tensor, fg_bg: Tensor) -> list[Tensor]:
        both = torch.cat([bg, fg_bg], 1).contiguous(memory_format=torch.channels_last)
        scales = []
        for encode in self.encoder:
            both = encode(both)
            scales.append(both)
        scales[-1] = self.context(scales[-1])
        return scales


def early_fusion(model: nn.Module) -> None:
    together = Together(model.encoder, model.context)
    del model.encoder, model.compare, model.context
    model.together = together
    model.scales = together.forward


def no_context(model: nn.Module) -> None:
    model.context = nn.Identity()


class CoarseMask(mdnet.MaskDecoder):
    """The mask of half the size, enlarged; the pictures themselves are not looked at again."""

    def __init__(self) -> None:
        super().__init__()
        del self.coarse, self.below, self.edges, self.refine
        self.head = nn.Conv2d(mdnet.MASK_WIDTHS[2], 1, 3, padding=1)

    def forward(self, scales: list[Tensor], blocks: Tensor) -> Tensor:
        at2, at4, at8, at16 = scales
        logits = self.head(self.step2(self.step4(self.step8(at16, at8), at4), at2))
        return upsample(logits, logits.new_empty(1, 1, 2 * logits.shape[2], 2 * logits.shape[3]))


def no_refinement(model: nn.Module) -> None:
    model.mask_decoder = fresh(CoarseMask())
    init_head(model.mask_decoder.head, MASK_PRIOR_LOGIT)


def without(channels: range) -> Callable[[nn.Module], None]:
    """The refinement at full size without these of its 14 channels, each of which it sees at 4 places."""
    kept = torch.ones(14).index_fill(0, torch.tensor(channels), 0.0).repeat_interleave(4)[:, None, None]

    def change(model: nn.Module) -> None:
        edges = model.mask_decoder.edges
        edges.register_forward_pre_hook(lambda module, inputs: (inputs[0] * kept.to(inputs[0]),))

    return change


no_original = without(range(9, 12))
no_matte = without(range(12, 14))


def not_solved_again(model: nn.Module) -> None:
    model.sharpen = lambda logits, bg, fg_bg: logits


def plain_light(model: nn.Module) -> None:
    def aligned(bg: Tensor, fg_bg: Tensor) -> Tensor:
        with patch.object(align, "WORTH", 0.0):
            return align.align(bg, fg_bg)

    model.align = aligned


class DepthOfScales(nn.Module):
    """Decodes the depth of object and room from what the mask is made from, at 1/2 .. 1/16."""

    def __init__(self) -> None:
        super().__init__()
        w2, w4, w8, w16 = mdnet.ENCODER_WIDTHS
        _, d8, d4, d2 = mdnet.DEPTH_WIDTHS
        self.start = conv_bn_relu(w16, w8)
        self.step8, self.step4 = mdnet.Step(w8, w8, d8), mdnet.Step(d8, w4, d4)
        self.step2 = mdnet.Step(d4, w2, d2)
        self.head = nn.Conv2d(d2, 2 * 4, 3, padding=1)

    def forward(self, scales: list[Tensor]) -> tuple[Tensor, Tensor]:
        at2, at4, at8, at16 = scales
        features = self.step2(self.step4(self.step8(self.start(at16), at8), at4), at2)
        return nn.functional.pixel_shuffle(self.head(features), 2).sigmoid().chunk(2, 1)


def one_encoder(model: nn.Module) -> None:
    newest, scales_of = [], model.scales

    def scales(*pictures: Tensor) -> list[Tensor]:
        newest[:] = scales_of(*pictures)
        return newest

    model.scales, model.depth_decoder = scales, fresh(DepthOfScales())
    model.depth_encoder = nn.Identity()
    model.depth_encoder.forward = lambda seen: list(newest)
    init_head(model.depth_decoder.head, mdnet.DEPTH_PRIOR_LOGIT)


class OneSurface(mdnet.DepthDecoder):
    """One depth for object and room, whatever the mask says."""

    def forward(self, scales: list[Tensor]) -> tuple[Tensor, Tensor]:
        surface = super().forward(scales)[0]
        return surface, surface


def one_surface(model: nn.Module) -> None:
    model.depth_decoder.__class__ = OneSurface


def no_mask_for_depth(model: nn.Module) -> None:
    def without_mask(encoder: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (torch.cat([inputs[0][:, :3], torch.zeros_like(inputs[0][:, 3:])], 1),)

    model.depth_encoder.register_forward_pre_hook(without_mask)


def attached(model: nn.Module) -> None:
    depth = model.depth
    model.depth = lambda fg_bg, mask_logits: depth(fg_bg, NeverDetached.of(mask_logits))


class NeverDetached(Tensor):
    """A tensor whose `detach` does nothing."""

    @classmethod
    def of(cls, x: Tensor) -> "NeverDetached":
        return x.as_subclass(cls)

    def detach(self) -> Tensor:
        return self.as_subclass(Tensor)


def fresh(module: nn.Module) -> nn.Module:
    """The module with first weights as mdnet gives them."""
    init_convs(module)
    for part in module.modules():
        if isinstance(part, mdnet.Residual):
            nn.init.zeros_(part.body[1].weight)
    return module


# row -> what is done to a fresh mdnet, and settings of its training.
ROWS: dict[str, tuple[Callable[[nn.Module], None] | None, dict[str, object]]] = {
    FULL: (None, {}),
    "no alignment": (no_alignment, {}),
    "alignment by gain and offset alone": (plain_light, {}),
    "no correlation": (no_correlation, {}),
    "no absolute difference": (no_difference, {}),
    "features side by side, not compared": (side_by_side, {}),
    "early fusion, 6 channels": (early_fusion, {}),
    "no context at 1/32": (no_context, {}),
    "no refinement at full size": (no_refinement, {}),
    "refinement without the matte": (no_matte, {}),
    "outline not solved again at full size": (not_solved_again, {}),
    "refinement without the unaligned bg": (no_original, {}),
    "one surface of depth": (one_surface, {}),
    "one encoder for mask and depth": (one_encoder, {}),
    "depth without the mask": (no_mask_for_depth, {}),
    "depth errors teach the mask": (attached, {}),
    "no augmentation": (None, {"augment": 0.0}),
    "no averaged weights": (None, {"ema": 0.0}),
    "mask by BCE alone": (None, {"loss": "BCE + L1"}),
    "depth by L1 of closeness alone": (None, {"loss": "BCE + Dice and L1 + gradient"}),
    "depth with a term for objects alone": (None, {"loss": "mdnet + depth of objects"}),
    "depth with terms for objects and pairs": (None, {"loss": "mdnet + depth of objects and pairs"}),
}


def build(row: str) -> nn.Module:
    """The network of a row, with fresh weights."""
    model, change = create_model("mdnet"), ROWS[row][0]
    if change:
        change(model)
    return model.to(memory_format=torch.channels_last)
