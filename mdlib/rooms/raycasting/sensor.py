"""From linear light to an 8-bit photograph: lens, exposure, white balance, sensor noise, tone curve."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

_WHITE = 9.0  # linear light, times the exposure, that just reaches 255
_STEPS = 4096


class Shot(NamedTuple):
    """How a picture is taken. `gains` multiply linear RGB (exposure and white balance together), `blur` is
    the lens's Gaussian blur in pixels, `noise` the sensor's noise at mid gray in 8-bit steps, `vignette` the
    light lost in the corners, `bloom` the share of light that the lens scatters."""

    gains: tuple[float, float, float]
    blur: float
    noise: float
    vignette: float
    bloom: float


def meter(rgb: Tensor, rng: np.random.Generator, key: float = 0.28) -> Shot:
    """A camera that exposes linear rgb (3, H, W) for its mean and balances white imperfectly.

    The mean is of square roots, so that a bright window does not turn the room black.
    """
    light = np.sqrt(np.clip(rgb.numpy(), 0, None))
    mean = np.square(light.reshape(3, -1).mean(1, dtype=np.float64)) + 1e-6
    gray = float(mean.mean())
    balance = (gray / mean) ** rng.uniform(0.45, 0.85) * np.exp(rng.normal(0, 0.02, 3))
    exposure = key / gray * np.exp(rng.normal(0, 0.16))
    return Shot(
        tuple((exposure * balance).tolist()), float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.4, 1.5)),
        float(rng.uniform(0, 0.25)), float(rng.uniform(0.01, 0.04)),
    )  # fmt: skip


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (C, H, W) with five taps a side; edge pixels repeat."""
    taps = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2)
    taps = (taps / taps.sum()).tolist()
    for dim, wide in ((1, (0, 0, 2, 2)), (2, (2, 2, 0, 0))):
        padded, length = pad(x[None], wide, mode="replicate")[0], x.shape[dim]
        x = padded.narrow(dim, 0, length) * taps[0]
        for k in range(1, 5):
            x = x + padded.narrow(dim, k, length) * taps[k]
    return x


def _scattered(x: Tensor) -> Tensor:
    """A wide blur at a quarter of the size: the haze around bright windows."""
    small = x[:, ::4, ::4]
    for _ in range(3):
        small = blurred(small, 2.0)
    return interpolate(small[None], size=x.shape[1:], mode="bilinear", align_corners=False)[0]


def tone(x: Tensor) -> Tensor:
    """Linear light -> 0..255 as float: a soft shoulder up to white, then the sRGB curve (IEC 61966-2-1)."""
    # A table over the square root, which is exact in floating point, gives the same bytes everywhere.
    grid = np.linspace(0, 1, _STEPS + 2) ** 2 * _WHITE
    knee = 0.6
    over = (grid - knee).clip(0) / (1 - knee)
    shoulder = knee + (1 - knee) * over / (1 + over) * (1 + over / ((_WHITE - knee) / (1 - knee)) ** 2)
    light = np.where(grid < knee, grid, shoulder)
    light = light + 0.35 * light * (1 - light) * (light - 0.18).clip(-0.18, 0.5)  # a little contrast
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clip(1e-9) ** (1 / 2.4) - 0.055)
    table = torch.tensor(255 * curve.clip(0, 1), dtype=torch.float32)
    place = (x.clamp(0, _WHITE) / _WHITE).sqrt() * _STEPS
    low = place.floor()
    first, second = table[low.long()], table[low.long() + 1]
    return first + (place - low) * (second - first)


def develop(rgb: Tensor, shot: Shot, rng: np.random.Generator) -> np.ndarray:
    """Linear rgb (3, H, W) -> photograph (H, W, 3) uint8."""
    height, width = rgb.shape[1:]
    gains = torch.tensor(shot.gains)[:, None, None]
    rgb = blurred(rgb * gains, shot.blur)
    if shot.bloom:
        rgb = rgb * (1 - shot.bloom) + _scattered(rgb.clamp_max(_WHITE)) * shot.bloom
    y = (torch.arange(height) + 0.5) / height * 2 - 1
    x = (torch.arange(width) + 0.5) / width * 2 - 1
    rgb = rgb * (1 - shot.vignette / 2 * (x * x + (y * y)[:, None]))
    return quantized(tone(rgb), shot.noise, rng)


def quantized(picture: Tensor, noise: float, rng: np.random.Generator) -> np.ndarray:
    """0..255 float (3, H, W) -> (H, W, 3) uint8 with sensor noise, stronger in brightness and in the dark."""
    shape = picture.shape[1:]
    gray = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    color = torch.from_numpy(rng.standard_normal((3, *shape), dtype=np.float32))
    strength = noise * (1.3 - picture / 255)
    picture = picture + strength * (0.8 * gray + 0.5 * color)
    return (picture + 0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
