"""What every network shares: its inputs, its outputs, its parts.

The words for tensors, here and in the whole package, of B pictures with H x W pixels:

| word | shape | meaning, and range |
| --- | --- | --- |
| `bg`, `fg_bg` | B,3,H,W | RGB of the empty place, and of the same with something in it; float in [0, 1] |
| `mask` | B,1,H,W | soft coverage (alpha) of what was added, 0 to 1 |
| `mask_logits` | B,1,H,W | the mask before its sigmoid, any number |
| `depth` | B,1,H,W | closeness = near / z, 1 = nearest, 0 = infinitely far; `nan` = unknown (truth only) |
| `z` | B,1,H,W | distance along the optical axis in metres, metric data only; near = 0.5 m |
| `fg` | 4,h,w | a cut-out, RGBA, alpha not premultiplied; uint8 |
| `*_img` | H,W,C | a picture at the edge of the program; uint8 |

`true_*` and `pred_*` where both occur. In a loader's batch `bg` and `fg_bg` are uint8. `size` = (H, W) in px.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_SIZE = 16
MASK_PRIOR_LOGIT = -2.2  # an object covers about a tenth of a picture; sigmoid(-2.2) = 0.1


class MaskDepth(NamedTuple):
    """The output of every network: `mask_logits` (B, 1, H, W) and `depth` (B, 1, H, W) or None."""

    mask_logits: Tensor
    depth: Tensor | None


class MaskDepthNet(nn.Module):
    """Base of all networks: checks the two pictures, pads them, calls `predict`, crops the result.

    A subclass sets `multiple` (heights and widths that `predict` receives are multiples of it), `parts`
    (names of its submodules that make up "encoder", "mask_decoder", "depth_decoder", where these are not
    submodules themselves) and `cam_layers` (per output the layer that Grad-CAM shows), and defines
    `predict(bg, fg_bg) -> MaskDepth`.
    """

    multiple: int = 1
    parts = {name: (name,) for name in ("encoder", "mask_decoder", "depth_decoder")}
    cam_layers: dict[str, str] = {}

    def __init__(self) -> None:
        super().__init__()
        self.frozen: tuple[str, ...] = ()

    def init_heads(self, mask_head: nn.Conv2d, depth_head: nn.Conv2d | None = None) -> None:
        """Let the last convolutions start as `init_head` does: the mask at its prior, depth in the middle."""
        init_head(mask_head, MASK_PRIOR_LOGIT)
        if depth_head is not None:
            init_head(depth_head)

    def forward(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        """Predict mask and depth of (B, 3, H, W) float pictures in [0, 1] of any size from 16 x 16.

        Raises ValueError where the pictures' channels, sizes or dtypes do not fit.
        """
        check_pictures(bg, fg_bg)
        self._check_dtype(bg.dtype, bg.device.type)
        height, width = bg.shape[-2:]
        mask_logits, depth = self.predict(pad_to(bg, self.multiple), pad_to(fg_bg, self.multiple))
        if depth is not None:
            depth = depth[..., :height, :width]
        return MaskDepth(mask_logits[..., :height, :width], depth)

    def predict(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        """The network itself, on pictures that passed the checks and are padded to `multiple`."""
        raise NotImplementedError(f"{type(self).__name__} defines no predict(bg, fg_bg)")

    def _check_dtype(self, dtype: torch.dtype, device: str) -> None:
        """Raise ValueError where the weights are of another type, unless autocast brings them together."""
        own = next(self.parameters()).dtype
        if dtype != own and not torch.is_autocast_enabled(device):
            raise ValueError(
                f"the pictures have dtype {dtype}, but the network's weights {own}: convert one of them, "
                f"such as bg.to({own})"
            )

    def train(self, mode: bool = True) -> MaskDepthNet:
        """Switch between training and evaluation; frozen parts stay in evaluation mode."""
        super().train(mode)
        for module in self._modules_of(self.frozen):
            module.eval()
        return self

    def _modules_of(self, parts: Iterable[str]) -> Iterator[nn.Module]:
        for part in parts:
            for name in self.parts[part]:
                yield self.get_submodule(name)


def freeze(model: MaskDepthNet, parts: Iterable[str]) -> None:
    """Freeze exactly these parts of a network and make all others trainable; `()` frees everything.

    Frozen parts get no gradients, and their BatchNorm layers keep their statistics (they stay in evaluation
    mode also after `model.train()`). So "depth first, then the mask decoder alone" is
    `freeze(model, ["mask_decoder"])`, later `freeze(model, ["encoder", "depth_decoder"])`.
    Raises ValueError for a part that this network does not have.
    """
    parts = tuple(parts)
    for part in parts:
        if part not in model.parts:
            raise ValueError(
                f"{type(model).__name__} has no part {part!r} to freeze; "
                f"its parts are {', '.join(model.parts)}"
            )
    model.requires_grad_(True)
    model.frozen = parts
    for module in model._modules_of(parts):
        module.requires_grad_(False)
    model.train(model.training)


@contextlib.contextmanager
def evaluation_mode(model: object) -> Iterator[None]:
    """Evaluation mode inside, afterwards every part in the mode that it was in, also after an error.

    Parts are restored one by one, because frozen ones stay in evaluation mode while the rest trains. What is
    no module, such as a baseline, has no mode and is left alone.
    """
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, nn.Module) else []
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def check_pictures(bg: Tensor, fg_bg: Tensor) -> None:
    """Raise ValueError unless both are (B, 3, H, W) floats of the same shape and dtype, 16 x 16 or larger."""
    for name, picture in (("bg", bg), ("fg_bg", fg_bg)):
        if picture.ndim != 4 or picture.shape[1] != 3:
            raise ValueError(
                f"{name} has shape {tuple(picture.shape)}; expected (B, 3, H, W): a batch of RGB pictures"
            )
        if not picture.is_floating_point():
            raise ValueError(
                f"{name} has dtype {picture.dtype}; expected float in [0, 1]: divide uint8 pictures by 255"
            )
    if bg.dtype != fg_bg.dtype:
        raise ValueError(f"bg has dtype {bg.dtype} and fg_bg {fg_bg.dtype}: convert one to the other's")
    if bg.shape != fg_bg.shape:
        raise ValueError(
            f"bg {tuple(bg.shape)} and fg_bg {tuple(fg_bg.shape)} differ; "
            "expected two batches of the same length and size: resize one to the other"
        )
    if bg.shape[-2] < MIN_SIZE or bg.shape[-1] < MIN_SIZE:
        raise ValueError(
            f"pictures of {bg.shape[-2]} x {bg.shape[-1]} px are too small; "
            f"expected at least {MIN_SIZE} x {MIN_SIZE}: enlarge them first"
        )


def pad_to(picture: Tensor, multiple: int) -> Tensor:
    """Repeat the bottom row and right column of (B, C, H, W) until H and W are multiples of `multiple`."""
    height, width = picture.shape[-2:]
    below, right = -height % multiple, -width % multiple
    # A graph that is exported always pads: a branch on the size would pin the size.
    if not torch.compiler.is_compiling() and not below and not right:
        return picture  # F.pad would copy it
    return F.pad(picture, (0, right, 0, below), mode="replicate")


def quarters(x: Tensor) -> list[Tensor]:
    """The four pixels of every 2 x 2 block, row by row: (..., H, W) -> four (..., H/2, W/2), views."""
    blocks = x.unflatten(-2, (-1, 2)).unflatten(-1, (-1, 2))  # (..., H/2, 2, W/2, 2)
    return [blocks[..., dy, :, dx] for dy in (0, 1) for dx in (0, 1)]


def conv_bn(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (or divides it by `stride`), and its BatchNorm."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def conv_bn_relu(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """`conv_bn` followed by ReLU."""
    return conv_bn(channels_in, channels_out, kernel, stride).append(nn.ReLU(inplace=True))


def upsample(features: Tensor, like: Tensor) -> Tensor:
    """Resize (B, C, h, w) bilinearly to the height and width of `like`."""
    return F.interpolate(features, size=like.shape[-2:], mode="bilinear", align_corners=False)


def init_convs(model: nn.Module) -> None:
    """Kaiming-normal weights for ReLU networks in all convolutions, zero biases."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def init_head(head: nn.Conv2d, logit: float = 0.0) -> None:
    """Let a head start near `sigmoid(logit)` everywhere, so that the first steps are calm.

    For masks use MASK_PRIOR_LOGIT: most of a picture is no object.
    """
    nn.init.normal_(head.weight, std=0.01)
    nn.init.constant_(head.bias, logit)
