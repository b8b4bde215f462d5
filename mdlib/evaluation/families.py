"""The families of disturbance, one function each: (bg, fg_bg, mask, u) -> (bg, fg_bg).

bg, fg_bg: (B,3,H,W) float in [0, 1]; mask: (B,1,H,W); u: (B, draws) float64 on the CPU, uniform in [0, 1),
the only chance in here. Called through disturb.disturb, which checks the arguments and makes the draws. The
warps and the blur are kornia's (bilinear, sub-pixel).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mdlib.loading import codec

REFERENCE_PX = 224  # pixel values are meant at this size of picture
LUMA = (0.299, 0.587, 0.114)
# Hue is turned in the chroma plane of YIQ: one 3x3 matrix per picture, 20 times cheaper than through HSV,
# without its jumps at gray, and luma is kept.
RGB_TO_YIQ = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], dtype=torch.float64)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """(B,) parameters -> (B,1,1,1) of the pictures' device and type."""
    return values.reshape(-1, 1, 1, 1).to(device=like.device, dtype=like.dtype)


def _px(x: Tensor) -> float:
    """How many pixels of x one pixel at REFERENCE_PX is."""
    return min(x.shape[-2:]) / REFERENCE_PX


def clean(bg, fg_bg, mask, u):
    return bg, fg_bg


def jitter(bg, fg_bg, mask, u):
    """Brightness, contrast about the mean gray, saturation, hue, in this order: one affine map of RGB."""
    brightness, contrast, saturation = (0.82 + 0.36 * u[:, i, None, None] for i in range(3))  # (B,1,1)
    turn = 2 * math.pi * 0.1 * (2 * u[:, 3] - 1)
    one, zero = torch.ones_like(turn), torch.zeros_like(turn)
    rows = (one, zero, zero, zero, turn.cos(), -turn.sin(), zero, turn.sin(), turn.cos())
    hue = RGB_TO_YIQ.inverse() @ torch.stack(rows, 1).reshape(-1, 3, 3) @ RGB_TO_YIQ  # (B,3,3)
    to_gray = RGB_TO_YIQ[0].expand(3, 3)
    saturate = saturation * torch.eye(3, dtype=u.dtype) + (1 - saturation) * to_gray
    matrix = brightness * contrast * (hue @ saturate)
    mean_gray = (bg.mean((2, 3)) @ RGB_TO_YIQ[0].to(bg))[:, None, None]  # (B,1,1)
    # Saturation and hue leave gray as it is, so the contrast's offset passes through them unchanged.
    offset = (brightness * (1 - contrast)).to(bg) * mean_gray
    return torch.baddbmm(offset, matrix.to(bg), bg.flatten(2)).clamp_(0, 1).view_as(bg), fg_bg


def exposure(bg, fg_bg, mask, u):
    gain, gamma = _column(0.7 + 0.7 * u[:, 0], bg), _column(0.8 + 0.45 * u[:, 1], bg)
    return (bg * gain).pow_(gamma).clamp_(0, 1), fg_bg


def shift(bg, fg_bg, mask, u):
    from kornia.geometry import translate

    length, angle = (1 + 4 * u[:, 0]) * _px(bg), 2 * math.pi * u[:, 1]
    offset = torch.stack([length * angle.cos(), length * angle.sin()], 1).to(bg)  # (B,2): x, y
    return translate(bg, offset, padding_mode="border").clamp_(0, 1), fg_bg


def rotate(bg, fg_bg, mask, u):
    from kornia.geometry import get_rotation_matrix2d, warp_affine

    height, width = bg.shape[-2:]
    centre = torch.tensor([[(width - 1) / 2, (height - 1) / 2]], dtype=u.dtype).expand(len(bg), 2)
    scale = (0.99 + 0.02 * u[:, 1:]).expand(-1, 2)
    matrix = get_rotation_matrix2d(centre, 2 * u[:, 0] - 1, scale)
    return warp_affine(bg, matrix.to(bg), (height, width), padding_mode="border").clamp_(0, 1), fg_bg


def homography(bg, fg_bg, mask, u):
    from kornia.geometry import get_perspective_transform, warp_perspective

    height, width = bg.shape[-2:]
    right, low = width - 1.0, height - 1.0
    corners = torch.tensor([[0, 0], [right, 0], [right, low], [0, low]], dtype=u.dtype).expand(len(bg), 4, 2)
    moved = corners + 0.02 * (2 * u.view(-1, 4, 2) - 1) * torch.tensor([width, height], dtype=u.dtype)
    matrix = get_perspective_transform(corners, moved).to(bg)
    return warp_perspective(bg, matrix, (height, width), padding_mode="border").clamp_(0, 1), fg_bg


def noise(bg, fg_bg, mask, u):
    noisy = []
    for x, sigma, key in ((bg, u[:, 0], u[:, 1]), (fg_bg, u[:, 2], u[:, 3])):
        normal = hashed_normal(key, x[0].numel(), x.device).view_as(x).to(x)
        noisy.append(torch.addcmul(x, normal, _column(0.01 + 0.02 * sigma, x)).clamp_(0, 1))
    return noisy[0], noisy[1]


def hashed_normal(key: Tensor, count: int, device: torch.device) -> Tensor:
    """(B,) keys in [0, 1) -> (B, count) standard normal values, the same on every device.

    A counter is hashed (xor-shift-multiply, T. Mueller's 32-bit constants; the products stay below 2^63) and
    the two halves of each hash give two values (Box and Muller 1958), at most 4.9 sigma.
    """
    counter = torch.arange((count + 1) // 2, device=device)
    x = counter ^ (key * 2.0**32).long().to(device)[:, None]
    for _ in range(2):
        x = (((x >> 16) ^ x) * 0x45D9F3B) & 0xFFFFFFFF
    x = (x >> 16) ^ x
    radius = ((x >> 16).float() + 0.5).div_(65536).log_().mul_(-2).sqrt_()
    angle = ((x & 0xFFFF).float() + 0.5).mul_(2 * math.pi / 65536)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]


def jpeg(bg, fg_bg, mask, u):
    return _through_jpeg(bg, u[:, 0]), _through_jpeg(fg_bg, u[:, 1])


def _through_jpeg(x: Tensor, u: Tensor) -> Tensor:
    qualities = (30 + 46 * u).long().tolist()  # whole numbers 30 to 75
    coded = [
        codec.decode(codec.encode_jpeg(img, q)) for img, q in zip(codec.to_imgs(x), qualities, strict=True)
    ]
    return codec.to_unit(torch.from_numpy(np.stack(coded)).to(x.device).permute(0, 3, 1, 2)).to(x)


def blur(bg, fg_bg, mask, u):
    return _gaussian(bg, (0.6 + u[:, 0]) * _px(bg), 1.6 * _px(bg)).clamp_(0, 1), fg_bg


def _gaussian(x: Tensor, sigma: Tensor, largest: float) -> Tensor:
    """Separable Gaussian, edges reflected; reaches 3 of the largest sigma, whatever the batch has drawn."""
    from kornia.filters import gaussian_blur2d

    reach = min(max(1, math.ceil(3 * largest)), min(x.shape[-2:]) - 1)
    return gaussian_blur2d(x, 2 * reach + 1, sigma[:, None].expand(-1, 2).to(x))


def shadow(bg, fg_bg, mask, u):
    """The mask sheared about its lowest point, squeezed to 0.3 to 0.6 of its height, blurred by 2 to 5 px."""
    from kornia.geometry import warp_affine

    height, width = mask.shape[-2:]
    row_numbers = torch.arange(height, device=mask.device)
    lowest = ((mask > 0.5).any(3).squeeze(1) * row_numbers).amax(1).to("cpu", u.dtype)  # (B,)
    side = torch.where(u[:, 0] < 0.5, -1.0, 1.0)
    shear, squeeze = side * (0.3 + 0.7 * u[:, 1]), 0.3 + 0.3 * u[:, 2]
    one, zero = torch.ones_like(shear), torch.zeros_like(shear)
    rows = (one, -shear, shear * lowest, zero, squeeze, (1 - squeeze) * lowest)
    matrix = torch.stack(rows, 1).reshape(-1, 2, 3).to(mask)
    cast = warp_affine(mask, matrix, (height, width))
    cast = _gaussian(cast, (2 + 3 * u[:, 3]) * _px(mask), 5 * _px(mask))
    dark = _column(0.1 + 0.3 * u[:, 4], mask) * cast * (1 - mask)
    return bg, (fg_bg * (1 - dark)).clamp_(0, 1)


def camouflage(bg, fg_bg, mask, u):
    """The ring reaches 20 px to each side of the mask; no object, or no ring around it: nothing changes.

    Needs the bg that fg_bg was made of, so it comes before anything that changes bg.
    """
    free = mask < 0.01
    ring = (_widened(mask > 0.5, max(1, round(20 * _px(mask)))) & free).to(mask)
    weight = ring.sum((2, 3), keepdim=True)
    ring_colour = (fg_bg * ring).sum((2, 3), keepdim=True) / weight.clamp(min=1)  # (B,3,1,1)
    # The object's own colour, unmixed from what shines through: else soft edges would keep a dark rim.
    colour = (fg_bg - (1 - mask) * bg).div_(mask.clamp(min=1 / 255)).clamp_(0, 1)
    return bg, (fg_bg + 0.8 * mask * (weight >= 1) * (ring_colour - colour)).clamp_(0, 1)


def _widened(marked: Tensor, reach: int) -> Tensor:
    """(B,1,H,W) bool, grown by `reach` along both axes; ORs of doubling offsets cost less than a max-pool."""
    for axis, pad in ((-1, (reach, reach)), (-2, (0, 0, reach, reach))):
        marked, window = torch.nn.functional.pad(marked, pad), 1
        while window < 2 * reach + 1:
            step = min(window, 2 * reach + 1 - window)
            kept = marked.shape[axis] - step
            marked = marked.narrow(axis, 0, kept) | marked.narrow(axis, step, kept)
            window += step
    return marked


def vignette(bg, fg_bg, mask, u):
    """0.15 to 0.45 darker towards the corners, the centre up to 10 % off; red and blue x U(0.88, 1.12)."""
    height, width = fg_bg.shape[-2:]
    x = torch.linspace(-1, 1, width, device=fg_bg.device, dtype=fg_bg.dtype).view(1, 1, 1, -1)
    y = torch.linspace(-1, 1, height, device=fg_bg.device, dtype=fg_bg.dtype).view(1, 1, -1, 1)
    centre_x, centre_y = (_column(0.2 * u[:, i] - 0.1, fg_bg) for i in (1, 2))
    squared_radius = ((x - centre_x) ** 2 + (y - centre_y) ** 2) / 2  # 1 in the corners of a centred lens
    shading = 1 - _column(0.15 + 0.3 * u[:, 0], fg_bg) * squared_radius
    red, blue = 0.88 + 0.24 * u[:, 3], 0.88 + 0.24 * u[:, 4]
    white = torch.stack([red, torch.ones_like(red), blue], 1)[..., None, None].to(fg_bg)  # (B,3,1,1)
    return bg, (fg_bg * shading * white).clamp_(0, 1)


# name: (function, uniform draws per sample)
FAMILIES: dict[str, tuple[Callable[..., tuple[Tensor, Tensor]], int]] = {
    "clean": (clean, 0),
    "jitter": (jitter, 4),
    "exposure": (exposure, 2),
    "shift": (shift, 2),
    "rotate": (rotate, 2),
    "noise": (noise, 4),
    "jpeg": (jpeg, 2),
    "blur": (blur, 1),
    "shadow": (shadow, 5),
    "camouflage": (camouflage, 0),
    "homography": (homography, 8),
    "vignette": (vignette, 5),
}
