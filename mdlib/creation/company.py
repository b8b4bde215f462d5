"""Samples with several objects: further ones join the object that a sample is about."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from mdlib.creation.candidates import Rules, draw
from mdlib.creation.draws import Draws, row_seeds
from mdlib.creation.outline import Ground, Outline
from mdlib.creation.placing import Placements

_PURPOSE = 2  # keeps these draws apart from others with the same seeds


def with_company(
    placements: Placements, ground: Ground, outlines: Sequence[Outline], rules: Rules, most: int
) -> Placements:
    """The placements of one background with 0 to `most` - 1 further objects in each sample, any cut-outs.

    The objects of a sample follow one another, the farthest first, so that nearer ones cover it; without
    depth in the order in which they were drawn. Each sample depends on its own seed only.
    """
    drawn = Draws(row_seeds(placements.seed, _PURPOSE)).random(1 + 2 * (most - 1))
    count = np.floor(most * drawn[:, 0]).astype(np.int64)
    parts = [placements]
    for i in range(most - 1):
        joined = np.flatnonzero(count > i)
        fg = np.floor(len(outlines) * drawn[joined, 1 + 2 * i]).astype(np.int64)
        flip = drawn[joined, 2 + 2 * i] < 0.5
        seeds = row_seeds(placements.seed[joined], _PURPOSE, i)
        parts += [
            _placed(
                placements[joined[fg == one]], one, flip[fg == one], seeds[fg == one], ground, outlines, rules
            )
            for one in np.unique(fg).tolist()
        ]
    columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Placements)}
    everyone = Placements(**columns)
    return everyone[np.lexsort((-np.nan_to_num(everyone.z_m), everyone.sample))]  # stable: as drawn


def _placed(
    beside: Placements,
    fg: int,
    flip: np.ndarray,
    seeds: np.ndarray,
    ground: Ground,
    outlines: Sequence[Outline],
    rules: Rules,
) -> Placements:
    """Cut-out `fg` once in each of the samples of `beside`."""
    x, y, height, z = draw(seeds, ground, outlines[fg], flip, rules)
    scale, z = np.round(height / ground.size[0], 6), np.round(z, 3)
    return Placements(beside.sample, beside.bg, np.full(len(x), fg), flip, x, y, scale, z, seeds)
