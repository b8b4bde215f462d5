"""Training pictures made harder: mirrored, recoloured, emptied, disturbed in the families of the evaluation.

| what | how often | how |
| --- | --- | --- |
| mirror | 1/2 | all four pictures at once |
| recolour | 0.4 x strength | both pictures alike, as if the room were another one: hue +- a quarter turn, |
| | | saturation x U(0.3, 1.3), red, green and blue each x U(0.8, 1.1) |
| crop | 0.25 x strength | a window of U(0.7, 1) of the sides, of all four pictures at once; depth as if the |
| | | camera had come nearer by as much (Eigen et al. 2014), so that near things may reach 1 |
| empty | 0.03 x strength | fg_bg becomes bg, mask 0: nothing was added; depth unknown behind the object |
| disturb | 0.75 x strength | half of them one family, half two families one after the other |

The families are the nine disturbances of evaluation.disturb, in its ranges, with other seeds; never the two
that are reported as unseen. Everything is drawn per sample, from that sample's seed.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdlib.evaluation.disturb import CONDITIONS, disturb

# In the order in which a photograph comes about: scene, position of the camera, lens, sensor, file.
# camouflage comes first because it needs the background under the object's soft edge unchanged.
FAMILIES = ("camouflage", "shadow", "shift", "rotate", "blur", "exposure", "jitter", "noise", "jpeg")
assert set(FAMILIES) == set(CONDITIONS) - {"clean"}

RECOLOUR_SHARE, EMPTY_SHARE, DISTURB_SHARE, TWO_FAMILIES_SHARE = 0.4, 0.03, 0.75, 0.5
CROP_SHARE, SMALLEST_CROP = 0.25, 0.7


class Draw(NamedTuple):
    """What happens to one sample."""

    mirror: bool
    empty: bool
    colours: np.ndarray | None  # (3,3) matrix of RGB
    families: tuple[str, ...]
    crop: tuple[float, float, float] | None  # left, top, side: shares of the picture


def sample_seeds(count: int, *position: int) -> list[int]:
    """`count` seeds that depend on nothing but `position`, such as (seed, stage, epoch, batch)."""
    return [int(seed) for seed in np.random.SeedSequence(position).generate_state(count, np.uint64)]


def augment(batch: dict[str, Tensor], seeds: Sequence[int], strength: float = 1.0) -> dict[str, Tensor]:
    """The float batch (bg, fg_bg, mask, depth), made harder; `seeds` has one whole number per sample.

    Shapes, ranges and unknown depth (nan) stay as they are; the tensors given are not changed.
    A strength of 0 returns the batch as it is. Raises ValueError for a wrong number of seeds.
    """
    if len(seeds) != len(batch["bg"]):
        raise ValueError(f"{len(seeds)} seeds for {len(batch['bg'])} samples: give one seed per sample")
    if strength == 0:
        return batch
    draws = [draw(seed, strength) for seed in seeds]
    batch = {name: tensor.clone() for name, tensor in batch.items()}
    mirror(batch, [i for i, d in enumerate(draws) if d.mirror])
    crop(batch, [i for i, d in enumerate(draws) if d.crop], [d.crop for d in draws])
    remove_object(batch, [i for i, d in enumerate(draws) if d.empty])
    recolour(batch, [i for i, d in enumerate(draws) if d.colours is not None], [d.colours for d in draws])
    return disturb_each(batch, [d.families for d in draws], seeds)


def draw(seed: int, strength: float) -> Draw:
    """What happens to the sample with this seed, at a strength from 0 to 1."""
    rng = np.random.Generator(np.random.PCG64(seed))
    mirrored, emptied, recoloured, disturbed, twice = rng.random(5)
    turn, saturation, gains = rng.uniform(-0.25, 0.25), rng.uniform(0.3, 1.3), rng.uniform(0.8, 1.1, 3)
    two_families = rng.choice(FAMILIES, 2, replace=False).tolist()
    cropped, side, *corner = rng.random(4)
    side = SMALLEST_CROP + (1 - SMALLEST_CROP) * side
    window = (float(corner[0] * (1 - side)), float(corner[1] * (1 - side)), float(side))
    count = 0 if disturbed >= DISTURB_SHARE * strength else 2 if twice < TWO_FAMILIES_SHARE else 1
    return Draw(
        mirror=mirrored < 0.5,
        empty=emptied < EMPTY_SHARE * strength,
        colours=colour_matrix(turn, saturation, gains) if recoloured < RECOLOUR_SHARE * strength else None,
        families=tuple(two_families[:count]),
        crop=window if cropped < CROP_SHARE * strength else None,
    )


def colour_matrix(turn: float, saturation: float, gains: Sequence[float]) -> np.ndarray:
    """(3,3) map of RGB: hue by `turn` (1 = all around), saturation, then gains of red, green and blue.

    Hue is turned about the gray axis (Rodrigues' rotation formula), so that gray stays gray.
    """
    angle = 2 * math.pi * turn
    gray = np.full((3, 3), 1 / 3)
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    rotation = math.cos(angle) * np.eye(3) + math.sin(angle) * across + (1 - math.cos(angle)) * gray
    return np.diag(gains) @ (saturation * rotation + (1 - saturation) * gray)


def mirror(batch: dict[str, Tensor], chosen: list[int]) -> None:
    """Swap left and right of all pictures of the chosen samples, in place."""
    if chosen:
        for tensor in batch.values():
            tensor[chosen] = tensor[chosen].flip(-1)


def crop(
    batch: dict[str, Tensor], chosen: list[int], windows: Sequence[tuple[float, float, float] | None]
) -> None:
    """Enlarge windows (left, top, side) of all pictures of the chosen samples to full size, in place.

    Things look 1 / side as large as before, as if they were nearer by that factor; so is their depth.
    """
    if not chosen:
        return
    left, top, side = np.array([windows[i] for i in chosen], np.float32).T
    none = np.zeros_like(side)
    views = np.stack([side, none, 2 * left + side - 1, none, side, 2 * top + side - 1], 1).reshape(-1, 2, 3)
    views = torch.from_numpy(views).to(batch["bg"])
    grid = F.affine_grid(views, [len(chosen), 1, *batch["bg"].shape[-2:]], align_corners=False)
    for name, tensor in batch.items():
        mode = "nearest" if name == "depth" else "bilinear"  # no distance where nothing is, no lost pixel
        window = F.grid_sample(tensor[chosen], grid, mode, padding_mode="border", align_corners=False)
        if name == "depth":
            window = window / views[:, :1, :1, None]
        tensor[chosen] = window.clamp(0, 1)


def remove_object(batch: dict[str, Tensor], chosen: list[int]) -> None:
    """Make the chosen samples empty, in place: what is behind the object was never measured."""
    if chosen:
        mask = batch["mask"][chosen]
        batch["depth"][chosen] = torch.where(mask > 0, torch.nan, batch["depth"][chosen])
        batch["fg_bg"][chosen] = batch["bg"][chosen]
        batch["mask"][chosen] = torch.zeros_like(mask)


def recolour(batch: dict[str, Tensor], chosen: list[int], colours: list[np.ndarray | None]) -> None:
    """Multiply the colours of both pictures of the chosen samples with a (3,3) matrix each, in place."""
    if chosen:
        matrix = torch.from_numpy(np.stack([colours[i] for i in chosen])).to(batch["bg"])
        for name in ("bg", "fg_bg"):
            pictures = batch[name][chosen]
            batch[name][chosen] = (matrix @ pictures.flatten(2)).clamp_(0, 1).view_as(pictures)


def disturb_each(
    batch: dict[str, Tensor], families: Sequence[Sequence[str]], seeds: Sequence[int]
) -> dict[str, Tensor]:
    """The batch with sample i under families[i], drawn from seeds[i].

    Each family is applied once, to all samples that have it, in the order of FAMILIES.
    """
    bg, fg_bg = batch["bg"].clone(), batch["fg_bg"].clone()
    for name in FAMILIES:
        chosen = [i for i, names in enumerate(families) if name in names]
        if chosen:
            before = bg[chosen], fg_bg[chosen]
            after = disturb(name, *before, batch["mask"][chosen], [seeds[i] for i in chosen])
            for pictures, old, new in zip((bg, fg_bg), before, after, strict=True):
                if new is not old:  # most families leave one of the two alone
                    pictures[chosen] = new
    return {**batch, "bg": bg, "fg_bg": fg_bg}


def split_batch(batch: dict[str, Tensor], parts: int) -> list[dict[str, Tensor]]:
    """The batch in `parts` parts of nearly equal size, one after the other; the batch itself for one.

    Never more parts than samples.
    """
    if parts == 1:
        return [batch]
    parts = min(parts, len(batch["mask"]))
    columns = zip(*(tensor.tensor_split(parts) for tensor in batch.values()), strict=True)
    return [dict(zip(batch, column, strict=True)) for column in columns]


def resize(batch: dict[str, Tensor], size: int | None) -> dict[str, Tensor]:
    """The float batch with a shorter side of `size` px, antialiased; None = as it is.

    Depth becomes unknown where part of what it is made of is unknown. A loader that was told the size leaves
    nothing to do here: it decodes JPEG at 1/2, 1/4 or 1/8 of the size as far as that goes, which is faster,
    then makes the pictures smaller in the same way, but takes depth from the nearest pixel.
    """
    height, width = batch["mask"].shape[-2:]
    if size is None or size == min(height, width):
        return batch
    shape = round(height * size / min(height, width)), round(width * size / min(height, width))
    return {
        name: F.interpolate(tensor, shape, mode="bilinear", antialias=True, align_corners=False)
        for name, tensor in batch.items()
    }
