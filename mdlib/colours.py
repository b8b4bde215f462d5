"""Closeness in colours, the same in every picture: near bright, far dark, unknown gray."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Normalize

DEPTH_COLOURS = "magma"
DEPTH_GAMMA = 0.5  # closeness falls fast with the distance: without it all but the nearest would be black
UNKNOWN_RGB = (0.6, 0.6, 0.6)


def depth_range(*depths: np.ndarray | None) -> tuple[float, float]:
    """Closeness of the darkest and brightest colour for `depths`, so that they can be compared.

    The 1st and 99th percentile of the known values, at least 0.02 apart; (0, 1) where nothing is known.
    """
    known = [depth[np.isfinite(depth)] for depth in depths if depth is not None]
    values = np.concatenate(known) if known else np.empty(0)
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99])
    pad = max(0.0, 0.02 - (high - low)) / 2
    return float(low - pad), float(high + pad)


def depth_colours(depth: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """Closeness (...,H,W) in colours, (...,H,W,3) uint8: near bright, far dark, unknown (nan) gray."""
    from matplotlib import colormaps

    position = depth_norm(limits or depth_range(depth))(np.nan_to_num(depth))
    rgb = colormaps[DEPTH_COLOURS](position.filled())[..., :3]
    rgb[~np.isfinite(depth)] = UNKNOWN_RGB
    return np.rint(rgb * 255).astype(np.uint8)


def depth_norm(limits: tuple[float, float]) -> "Normalize":
    """Where closeness lies on the scale of colours from `limits[0]` to `limits[1]`, 0 to 1."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(DEPTH_GAMMA, *limits, clip=True)
