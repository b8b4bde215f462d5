"""Depth without a unit: how a teacher's values become closeness, and objects get theirs.

A teacher's scale is unknown, so each background's is fixed by two percentiles of what the teacher gives for
it: `RANK` of them become the closeness `AT`. A cut-out has the closeness of the point where it stands, plus a
relief of its own that stays within `RELIEF`.

`compose` works with distances, of which the smaller hides the larger, and relief adds to them. Here they are
2 - closeness: from 1, nearest, to 2, and never 0, which would mean unknown.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mdlib.creation.items import Placements, to_whole_mm
from mdlib.creation.placing.outline import Outline

RANK = (1.0, 99.0)  # percentiles
AT = (0.05, 0.95)  # closeness; what lies beyond, and the relief of objects, has room up to 0 and 1
RELIEF = 0.05  # in closeness
_LEAST = 1e-3  # of the largest distance: nearer counts as that near


def inverse(values: np.ndarray, output: str) -> np.ndarray:
    """A teacher's values so that larger = nearer; `output` says what they are, "closeness" or "distance"."""
    if output == "closeness":
        return values
    return 1.0 / np.maximum(values, max(_LEAST * float(values.max()), 1e-6))


def scale_of(inverse_values: np.ndarray) -> tuple[float, float]:
    """The two percentiles of one background that its scale is fixed by."""
    low, high = np.percentile(inverse_values.astype(np.float64), RANK)
    return float(low), float(high)


def distance_of(inverse_values: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Distance for `compose`, float32, from values where larger = nearer and the scale of the background."""
    low, high = scale
    share = (inverse_values - low) / max(high - low, 1e-12)
    closeness = np.clip(AT[0] + (AT[1] - AT[0]) * share, 0.0, 1.0)
    return to_whole_mm(2.0 - closeness)


def closeness_of(distance: torch.Tensor) -> torch.Tensor:
    """Back from distance to closeness in [0, 1]."""
    return (2.0 - distance).clamp(0.0, 1.0)


def relief_of(inverse_values: np.ndarray, object_values: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Relief of a cut-out as `compose` takes it: how much farther each pixel is than its foot; nan outside.

    inverse_values: the teacher's answer to the whole picture of the cut-out, which gives the scale;
    object_values (h,w) the part of it that shows the object, `solid` (h,w) bool where.
    """
    low, high = scale_of(inverse_values)
    nearer = (object_values - at_foot(object_values, solid)) / max(high - low, 1e-12)
    return np.where(solid, -to_whole_mm(RELIEF * np.clip(nearer, -1.0, 1.0)), np.float32(np.nan))


def at_foot(values: np.ndarray, solid: np.ndarray) -> float:
    """The median of values (h,w) in the lowest twentieth of an object."""
    last = int(np.flatnonzero(solid.any(1))[-1])
    foot = slice(max(0, last - len(solid) // 20), last + 1)
    return float(np.median(values[foot][solid[foot]]))


def standing(placements: Placements, distance: torch.Tensor, outlines: Sequence[Outline]) -> Placements:
    """The placements with the distance of their contact points as z_m; below the picture its last row counts.

    distance (B,1,H,W), the b-th of the b-th smallest sample number, as in `compose`.
    """
    height, width = distance.shape[2:]
    maps, found = distance[:, 0].cpu().numpy(), []
    pictures = np.unique(placements.sample, return_inverse=True)[1]
    for b, fg, flip, x, y, tall in zip(
        pictures.tolist(), placements.fg.tolist(), placements.flip.tolist(), placements.x_px.tolist(),
        placements.y_px.tolist(), placements.height_px(height), strict=True,
    ):  # fmt: skip
        outline = outlines[fg]
        left, right = (x + share * int(outline.width_px(tall)) for share in outline.foot_span(flip))
        row = int(np.clip(y + round(outline.foot_row * tall) - 1, 0, height - 1))
        first = int(np.clip(np.floor(left), 0, width - 1))
        last = int(np.clip(np.ceil(right), first + 1, width))
        found.append(np.median(maps[b, row, first:last]))
    return replace(placements, z_m=np.array(found, np.float64))
