"""Stored pixel values <-> linear light (sRGB, IEC 61966-2-1), through tables.

Light is counted in levels, 0 to WHITE, so that the way back is one look-up without any rounding before it.
"""

from functools import lru_cache

import numpy as np
import torch

_LEVELS = 65536  # about 20 to a stored value where these lie closest
WHITE = float(_LEVELS - 1)
ALPHA = 255.0  # of what is not transparent; the unit of a stored mask


def to_linear(stored: torch.Tensor) -> torch.Tensor:
    """uint8 sRGB to float32 linear light in levels."""
    return _tables(stored.device)[0].index_select(0, stored.reshape(-1).int()).view(stored.shape)


def to_srgb(light: torch.Tensor) -> torch.Tensor:
    """Linear light in levels, float32 (contiguous), to uint8 sRGB."""
    return _tables(light.device)[1].index_select(0, light.int().view(-1)).view(light.shape)


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """sRGB to linear light (256 float32), and back (65,536 uint8), computed in double precision."""
    stored = np.arange(256) / 255.0
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    level = (np.arange(_LEVELS) + 0.5) / _LEVELS  # the middle of those that become this whole number
    back = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
    there, back = (linear * WHITE).astype(np.float32), np.rint(back * 255.0).astype(np.uint8)
    return torch.from_numpy(there).to(device), torch.from_numpy(back).to(device)
