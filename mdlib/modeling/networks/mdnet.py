"""mdnet: compares features of the two pictures, not their pixels.

First `bg` is brought to the camera and the light of `fg_bg` as well as least squares can (see align.py). Then
one encoder sees both pictures. At 1/4, 1/8 and 1/16 of the size, each place of `fg_bg` is compared with the
places around it in `bg` (a local correlation of unit-length features), so what still moved by a pixel or has
another brightness is recognised as "the same". The mask decoder ends in a refinement at full size that sees
the pictures themselves, and what the compositing equation says about each pixel (see matte.py). Then the
pixels that the object's outline crosses are solved once more, from the colours beside each.

Depth has an encoder of its own, which sees `fg_bg` and the mask: what tells how far a wall is tells little
about what was added, and in one encoder the mask's errors, which are easier to mend, leave depth untaught. It
sees every picture at one size, since how far a wall is does not depend on how many pixels show it. It
predicts two surfaces, the object's and the room's; the mask chooses between them at each pixel, so depth
edges are as sharp as mask edges.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdlib.modeling.networks.align import align
from mdlib.modeling.networks.base import (
    MASK_PRIOR_LOGIT,
    MaskDepth,
    MaskDepthNet,
    conv_bn,
    conv_bn_relu,
    init_convs,
    init_head,
    quarters,
    upsample,
)
from mdlib.modeling.networks.matte import matte, sharpen

ENCODER_WIDTHS = (16, 32, 64, 96)  # at 1/2, 1/4, 1/8, 1/16
CONTEXT_WIDTH = 128  # at 1/32
MASK_WIDTHS = (64, 40, 24, 24)  # at 1/8, 1/4, 1/2, and in 2 x 2 blocks of full-size pixels
DEPTH_SIDE = 160  # pixels of the longer side of what the depth encoder sees
DEPTH_ENCODER_WIDTHS = (16, 32, 64, 96, 128)  # at 1/2, 1/4, 1/8, 1/16, 1/32
DEPTH_RESIDUALS = (0, 0, 1, 2, 2)  # residual blocks at each of these
DEPTH_WIDTHS = (64, 40, 24, 16)  # at 1/16, 1/8, 1/4, 1/2
DEPTH_PRIOR_LOGIT = -1.6  # of closeness 0.17: 3 m
KEY_WIDTH = 16  # channels that the correlation compares


def halves(both: Tensor) -> tuple[Tensor, Tensor]:
    """(2B, ...) -> what belongs to `bg` and what to `fg_bg`, (B, ...) each."""
    batch = both.shape[0] // 2  # not chunk(2), which pins the batch size when the graph is exported
    return both[:batch], both[batch:]


def unshuffle(x: Tensor) -> Tensor:
    """F.pixel_unshuffle(x, 2), which is four times slower on a CPU: (B, C, H, W) -> (B, 4 C, H/2, W/2)."""
    return torch.stack(quarters(x), 2).flatten(1, 2)


class Residual(nn.Module):
    """relu(x + BN(conv(x))), the identity at the start of training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = conv_bn(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Compare(nn.Module):
    """What changed between two feature maps (B, C, h, w) of the same scale -> (B, out, h, w).

    Sees the features of `fg_bg`, the absolute difference, and the cosine similarity between each place in
    `fg_bg` and the (2 radius + 1)^2 places around it in `bg`. `radius=None` leaves the similarities out.
    """

    def __init__(self, width: int, out: int, radius: int | None) -> None:
        super().__init__()
        self.radius = radius
        shifts = 0 if radius is None else (2 * radius + 1) ** 2
        self.key = nn.Conv2d(width, KEY_WIDTH, 1) if shifts else None
        self.mix = conv_bn_relu(2 * width + shifts, out, kernel=1)

    def forward(self, bg: Tensor, fg_bg: Tensor) -> Tensor:
        seen = [fg_bg, (fg_bg - bg).abs()]
        if self.key is not None:
            seen.append(local_similarity(self.key(fg_bg), self.key(bg), self.radius))
        return self.mix(torch.cat(seen, 1))


def local_similarity(query: Tensor, key: Tensor, radius: int) -> Tensor:
    """Cosine of each query (B, C, h, w) with the keys up to `radius` away -> (B, (2 radius + 1)^2, h, w)."""
    width, shifts = query.shape[-1], 2 * radius + 1
    query, key = (F.normalize(x, dim=1, eps=1e-6).permute(0, 2, 3, 1) for x in (query, key))  # (B, h, w, C)
    key = F.pad(key, (0, 0, *(radius,) * 4))  # outside of the picture: similarity 0
    similar = []
    for dy in range(shifts):
        # Each place of a row with each of the row `dy` below: more than is needed, but a matrix product.
        rows = query @ key[:, dy : dy + query.shape[1]].transpose(2, 3)  # (B, h, w, w + 2 radius)
        # Needed are the diagonals x -> x + dx. In rows one entry longer they stand below each other.
        skewed = F.pad(rows.flatten(2), (0, width)).unflatten(2, (width, -1))
        similar.append(skewed[..., :shifts])
    return torch.cat(similar, 3).permute(0, 3, 1, 2)


class Context(nn.Module):
    """Adds to features at 1/16 what can only be seen from afar: at 1/32 and over the whole picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = conv_bn_relu(width, CONTEXT_WIDTH, stride=2)
        self.body = Residual(CONTEXT_WIDTH)
        self.everywhere = nn.Conv2d(CONTEXT_WIDTH, CONTEXT_WIDTH, 1)
        self.back = nn.Conv2d(CONTEXT_WIDTH, width, 1, bias=False)
        self.mix = conv_bn_relu(width, width)

    def forward(self, features: Tensor) -> Tensor:
        far = self.body(self.down(features))
        far = far + self.everywhere(far.mean((2, 3), keepdim=True))
        return self.mix(features + upsample(self.back(far), features))


class Step(nn.Module):
    """One decoder step: half-size features brought up, a skip added, mixed by a 3x3 convolution."""

    def __init__(self, below: int, skip: int, out: int) -> None:
        super().__init__()
        self.below = nn.Conv2d(below, out, 1, bias=False)
        self.skip = nn.Conv2d(skip, out, 1)
        self.mix = nn.Sequential(nn.BatchNorm2d(out), nn.ReLU(inplace=True), conv_bn_relu(out, out))

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        # 1x1 before the resize: the same result as after it, at a quarter of the cost.
        return self.mix(upsample(self.below(below), skip) + self.skip(skip))


class MaskDecoder(nn.Module):
    """Scales 1/16 .. 1/2 and both pictures -> mask logits at full size.

    The full-size work is done on 2 x 2 pixel blocks laid out as channels: the same arithmetic as half as many
    channels at full size, but faster to train, and each convolution sees twice as far.
    """

    def __init__(self) -> None:
        super().__init__()
        w2, w4, w8, w16 = ENCODER_WIDTHS
        m8, m4, m2, m1 = MASK_WIDTHS
        self.step8 = Step(w16, w8, m8)
        self.step4 = Step(m8, w4, m4)
        self.step2 = Step(m4, w2, m2)
        self.below = nn.Conv2d(m2, m1, 1, bias=False)
        self.coarse = nn.Conv2d(m2, 1, 1)
        self.edges = nn.Conv2d(4 * (12 + 2), m1, 3, padding=1)
        self.refine = nn.Sequential(nn.BatchNorm2d(m1), nn.ReLU(inplace=True), conv_bn_relu(m1, m1))
        self.head = nn.Conv2d(m1, 4, 3, padding=1)

    def forward(self, scales: list[Tensor], blocks: Tensor) -> Tensor:
        at2, at4, at8, at16 = scales
        features = self.step2(self.step4(self.step8(at16, at8), at4), at2)
        coarse = self.coarse(features)
        fg_bg, bg = (blocks.unflatten(1, (-1, 4))[:, at : at + 3] for at in (0, 3))  # (B, 3, 4, H/2, W/2)
        alpha = matte((bg + 1) / 2, (fg_bg + 1) / 2, coarse.sigmoid())
        features = self.refine(self.below(features) + self.edges(torch.cat([blocks, alpha], 1)))
        return F.pixel_shuffle(self.head(features) + coarse, 2)


def depth_size(height: int, width: int) -> tuple[int, int]:
    """Height and width in which the depth encoder sees pictures of this size: even, same aspect."""
    longer = torch.sym_max(height, width)  # not max, which pins the size when the graph is exported
    sides = ((DEPTH_SIDE * side + longer) // (2 * longer) for side in (height, width))
    return tuple(2 * torch.sym_max(1, half) for half in sides)


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), each pixel the mean of those it covers."""
    return F.interpolate(picture.float(), size, mode="bilinear", antialias=True).to(picture.dtype)


class DepthEncoder(nn.Module):
    """`fg_bg` and the mask, (B, 4, H, W) in [-1, 1] -> features at 1/2 .. 1/32."""

    def __init__(self) -> None:
        super().__init__()
        stages, below = [], 4
        for width, residuals in zip(DEPTH_ENCODER_WIDTHS, DEPTH_RESIDUALS, strict=True):
            more = [Residual(width) for _ in range(residuals)]
            stages.append(nn.Sequential(conv_bn_relu(below, width, stride=2), *more))
            below = width
        self.stages = nn.ModuleList(stages)
        self.everywhere = nn.Conv2d(below, below, 1)

    def forward(self, seen: Tensor) -> list[Tensor]:
        scales = []
        for stage in self.stages:
            seen = stage(seen)
            scales.append(seen)
        scales[-1] = seen + self.everywhere(seen.mean((2, 3), keepdim=True))
        return scales


class DepthDecoder(nn.Module):
    """Scales 1/2 .. 1/32 -> closeness of the object's and of the room's surface, (B, 1, h, w) each."""

    def __init__(self) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = DEPTH_ENCODER_WIDTHS
        d16, d8, d4, d2 = DEPTH_WIDTHS
        self.step16 = Step(w32, w16, d16)
        self.step8 = Step(d16, w8, d8)
        self.step4 = Step(d8, w4, d4)
        self.step2 = Step(d4, w2, d2)
        self.head = nn.Conv2d(d2, 2 * 4, 3, padding=1)

    def forward(self, scales: list[Tensor]) -> tuple[Tensor, Tensor]:
        at2, at4, at8, at16, at32 = scales
        features = self.step2(self.step4(self.step8(self.step16(at32, at16), at8), at4), at2)
        return F.pixel_shuffle(self.head(features), 2).sigmoid().chunk(2, 1)


class MDNet(MaskDepthNet):
    """Mask and depth from two pictures, small enough for a laptop; see the module's text.

    Depth reads the mask: freeze the mask decoder only after it was trained.

    Example:
        >>> mask_logits, depth = MDNet()(bg, fg_bg)  # (B,3,H,W) float in [0, 1] twice -> (B,1,H,W) twice
    """

    # As little padding as `align` and the 2 x 2 blocks allow: a network trained on padded pictures has never
    # seen a true right and bottom border, and marks them as objects where it meets them.
    multiple = 8
    parts = {
        "encoder": ("encoder", "compare", "context"),
        "mask_decoder": ("mask_decoder",),
        "depth_decoder": ("depth_encoder", "depth_decoder"),
    }
    cam_layers = {"mask": "mask_decoder.step2", "depth": "depth_decoder.step8"}
    align = staticmethod(align)
    sharpen = staticmethod(sharpen)

    def __init__(self) -> None:
        super().__init__()
        w2, w4, w8, w16 = ENCODER_WIDTHS
        self.encoder = nn.ModuleList(
            [
                nn.Sequential(conv_bn_relu(3, w2, stride=2), Residual(w2)),
                nn.Sequential(conv_bn_relu(w2, w4, stride=2), Residual(w4)),
                nn.Sequential(conv_bn_relu(w4, w8, stride=2), Residual(w8)),
                nn.Sequential(conv_bn_relu(w8, w16, stride=2), Residual(w16)),
            ]
        )
        self.compare = nn.ModuleList(
            [Compare(w2, w2, None), Compare(w4, w4, 2), Compare(w8, w8, 2), Compare(w16, w16, 1)]
        )
        self.context = Context(w16)
        self.mask_decoder = MaskDecoder()
        self.depth_encoder = DepthEncoder()
        self.depth_decoder = DepthDecoder()
        init_convs(self)
        for module in self.modules():
            if isinstance(module, Residual):
                nn.init.zeros_(module.body[1].weight)
        init_head(self.mask_decoder.coarse, MASK_PRIOR_LOGIT)
        init_head(self.mask_decoder.head)
        init_head(self.depth_decoder.head, DEPTH_PRIOR_LOGIT)
        self.to(memory_format=torch.channels_last)  # as the features: else each call would rearrange them

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        aligned = self.align(bg, fg_bg)
        # Where the alignment failed, the original is the better witness: the last layers see both.
        seen = [2 * fg_bg - 1, 2 * aligned - 1, 2 * (fg_bg - aligned).abs(), 2 * (fg_bg - bg).abs()]
        blocks = unshuffle(torch.cat(seen, 1))  # (B, 4 * 12, H/2, W/2)
        mask_logits = self.mask_decoder(self.scales(*seen[1::-1]), blocks)
        mask_logits = self.sharpen(mask_logits, aligned, fg_bg)
        return MaskDepth(mask_logits, self.depth(fg_bg, mask_logits))

    def depth(self, fg_bg: Tensor, mask_logits: Tensor) -> Tensor:
        """Closeness, (B, 1, H, W)."""
        # The mask is taught by its own loss only: depth errors would push its edges away from the truth.
        mask = mask_logits.detach().sigmoid()
        seen = resized(torch.cat([fg_bg, mask], 1), depth_size(*fg_bg.shape[-2:]))
        seen = (2 * seen - 1).contiguous(memory_format=torch.channels_last)
        surfaces = self.depth_decoder(self.depth_encoder(seen))
        object_depth, room_depth = (upsample(surface, fg_bg) for surface in surfaces)
        return mask * object_depth + (1 - mask) * room_depth

    def scales(self, bg: Tensor, fg_bg: Tensor) -> list[Tensor]:
        """What changed between two pictures in [-1, 1], at 1/2, 1/4, 1/8 and 1/16 of their size."""
        # In this memory layout convolutions are fastest.
        both = torch.cat([bg, fg_bg]).contiguous(memory_format=torch.channels_last)
        scales = []
        for encode, compare in zip(self.encoder, self.compare, strict=True):
            both = encode(both)
            scales.append(compare(*halves(both)))
        scales[-1] = self.context(scales[-1])
        return scales
