"""The disturbances with a strength that a person chooses, instead of a seed that draws it.

Strength 0 changes nothing, 1 is the strongest that the family draws (see `disturb`), in one fixed direction;
in between, what the family draws from moves evenly.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mdlib.evaluation.families import FAMILIES

# Draws with which a family changes nothing (they may lie outside of [0, 1)), and its strongest ones.
DRAWS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "camouflage": ((), ()),
    "shadow": ((0.9, 0.5, 0.8, 0.5, -1 / 3), (0.9, 0.5, 0.8, 0.5, 1)),  # the last: how dark
    "vignette": ((-0.5, 0.5, 0.5, 0.5, 0.5), (1, 1, 0, 1, 0)),
    "homography": ((0.5,) * 8, (0, 1, 1, 0, 0, 0, 1, 1)),
    "shift": ((-0.25, 0.1), (1, 0.1)),
    "rotate": ((0.5, 0.5), (1, 1)),
    "blur": ((-0.6,), (1,)),
    "exposure": ((3 / 7, 4 / 9), (1, 0)),
    "jitter": ((0.5,) * 4, (0, 0, 1, 1)),
    "noise": ((-0.5, 0.3, -0.5, 0.7), (1, 0.3, 1, 0.7)),
    "jpeg": ((1.45, 1.45), (0, 0)),
}
# In the order in which a photograph comes about; camouflage needs the bg that fg_bg was made of.
ADJUSTABLE = tuple(DRAWS)


def disturb_by(
    strengths: Mapping[str, float], bg: Tensor, fg_bg: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Both pictures under every family of `strengths` (name -> 0 to 1) that is above 0, one after the other.

    bg, fg_bg (B,3,H,W) float in [0, 1], mask (B,1,H,W), the true coverage; returns (bg, fg_bg), always alike.
    Raises ValueError for an unknown name or a strength outside of 0 to 1.
    """
    for name, strength in strengths.items():
        if name not in DRAWS or not 0 <= strength <= 1:
            raise ValueError(f"{name!r} at {strength}: expected 0 to 1 for one of {', '.join(ADJUSTABLE)}")
    for name in ADJUSTABLE:
        strength = strengths.get(name, 0.0)
        if strength == 0:
            continue
        nothing, most = (torch.tensor([draws], dtype=torch.float64) for draws in DRAWS[name])
        u = (nothing + strength * (most - nothing)).expand(len(bg), -1)
        changed = FAMILIES[name][0](bg, fg_bg, mask, u)
        if name == "camouflage":  # draws nothing
            changed = bg, torch.lerp(fg_bg, changed[1], strength)
        bg, fg_bg = changed
    return bg, fg_bg
