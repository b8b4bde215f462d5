"""The ten conditions, the two unseen ones and the hard set `empty`: what sets two pictures of a place apart.

| name | picture | what |
| --- | --- | --- |
| clean | | nothing |
| jitter | bg | brightness, contrast, saturation x U(0.82, 1.18), hue +- 0.1 of a turn |
| exposure | bg | (gain U(0.7, 1.4) times the value) to the power U(0.8, 1.25) |
| shift | bg | translation of 1 to 5 px in any direction, edge pixels repeated |
| rotate | bg | rotation by up to 1 degree, scale U(0.99, 1.01) |
| noise | both | Gaussian, sigma U(0.01, 0.03) |
| jpeg | both | JPEG of quality 30 to 75 |
| blur | bg | Gaussian, sigma U(0.6, 1.6) px |
| shadow | fg_bg | a cast shadow of the object, 0.1 to 0.4 darker |
| camouflage | fg_bg | the object's colours 80 % of the way to the mean colour of a 20 px ring around it |
| homography | bg | corners moved by up to 2 % of the picture |
| vignette | fg_bg | lens shading and another white balance |

"both" is drawn independently for the two pictures. Pixels are meant at 224 px and scale with the picture's
shorter side. A sample's draws depend on the name and on its own seed, never on the rest of the batch, and
come from the raw stream of PCG64, which numpy keeps the same on every machine and in every version.

`disturb` draws how strong a condition is, from a seed; with `disturb_by` a person chooses.
"""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mdlib.evaluation.families import FAMILIES

UNSEEN = ("homography", "vignette")  # never trained on, reported apart
CONDITIONS = tuple(name for name in FAMILIES if name not in UNSEEN)

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


def disturb(
    name: str, bg: Tensor, fg_bg: Tensor, mask: Tensor, seeds: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Both pictures under the condition `name` (one of CONDITIONS or UNSEEN), drawn from one seed per sample.

    bg, fg_bg: (B,3,H,W) float in [0, 1]; mask: (B,1,H,W), the true coverage, which stays true; seeds: B whole
    numbers from 0. Returns (bg, fg_bg) in [0, 1]; the inputs are not changed, and a picture that the
    condition leaves alone is returned as it came. Raises ValueError for an unknown name, shapes that do not
    fit or a wrong number of seeds.
    """
    if name not in FAMILIES:
        raise ValueError(f"unknown condition {name!r}: expected one of {', '.join(FAMILIES)}")
    _check(bg, fg_bg, mask, seeds)
    family, draws = FAMILIES[name]
    return family(bg, fg_bg, mask, torch.from_numpy(uniform(name, seeds, draws)))


def empty(bg: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The hard set `empty`: (B,3,H,W) backgrounds -> (bg, fg_bg), the same place under noise and jitter."""
    nothing = bg.new_zeros(len(bg), 1, *bg.shape[-2:])
    return disturb("noise", *disturb("jitter", bg, bg, nothing, seeds), nothing, seeds)


def disturb_by(
    strengths: Mapping[str, float], bg: Tensor, fg_bg: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Both pictures under every family of `strengths` (name -> 0 to 1) that is above 0, one after the other.

    Strength 1 is the strongest that the family draws, in one fixed direction; below it, what the family draws
    from moves evenly. bg, fg_bg (B,3,H,W) float in [0, 1], mask (B,1,H,W), the true coverage; returns
    (bg, fg_bg), always alike. Raises ValueError for an unknown name or a strength outside of 0 to 1.
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


def uniform(name: str, seeds: Sequence[int], count: int) -> np.ndarray:
    """(B, count) float64 draws from [0, 1): row i is a pure function of (name, seeds[i])."""
    rows = np.empty((len(seeds), count))
    for row, seed in zip(rows, seeds, strict=True):
        stream = np.random.PCG64(np.random.SeedSequence([zlib.crc32(name.encode()), int(seed)]))
        # Not Generator.random: numpy promises a stable stream for the bit generator alone (NEP 19).
        row[:] = (stream.random_raw(count) >> np.uint64(11)) * 2.0**-53
    return rows


def _check(bg: Tensor, fg_bg: Tensor, mask: Tensor, seeds: Sequence[int]) -> None:
    size = tuple(bg.shape[-2:])
    for word, x, channels in (("bg", bg, 3), ("fg_bg", fg_bg, 3), ("mask", mask, 1)):
        if tuple(x.shape) != (len(bg), channels, *size) or not x.is_floating_point():
            raise ValueError(
                f"{word} is {tuple(x.shape)} of {x.dtype}, but expected float of shape "
                f"{(len(bg), channels, *size)}: give one batch of pictures in [0, 1] and its masks"
            )
    if len(seeds) != len(bg):
        raise ValueError(f"{len(seeds)} seeds for {len(bg)} samples: give one seed per sample")
