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
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mdlib.evaluation.families import FAMILIES

UNSEEN = ("homography", "vignette")  # never trained on, reported apart
CONDITIONS = tuple(name for name in FAMILIES if name not in UNSEEN)


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
