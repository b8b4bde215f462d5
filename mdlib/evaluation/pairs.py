"""Which samples are measured: the frozen pairs of a set, and their seeds.

Everything here is a pure function of its arguments, the same on every machine and in every version.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from mdlib.loading.splits import random_order

FIRST_EVALUATION_SEED = 2**64  # training draws from 64-bit seeds, so it never meets these


def frozen_pairs(bg: np.ndarray, fg: np.ndarray, set_name: str, seed: int, pairs: int) -> np.ndarray:
    """Numbers of `pairs` samples (all, if there are fewer) that cover backgrounds and cut-outs evenly.

    bg, fg: background and cut-out number of each sample of the set. Backgrounds take turns, and each turn
    takes the sample of its background whose cut-out was taken least often so far. The first n of a longer
    selection are the selection of n.
    """
    order = random_order(len(bg), "pairs", set_name, seed)
    turns = list(dict.fromkeys(bg[order].tolist()))
    waiting = {number: order[bg[order] == number] for number in turns}
    fg_numbers, fg_of = np.unique(fg, return_inverse=True)
    taken_fg = np.zeros(len(fg_numbers), dtype=np.int64)
    chosen: list[int] = []
    while turns and len(chosen) < pairs:
        for number in turns[: pairs - len(chosen)]:
            samples = waiting[number]
            best = int(np.argmin(taken_fg[fg_of[samples]]))  # the first of equals
            chosen.append(int(samples[best]))
            taken_fg[fg_of[samples[best]]] += 1
            waiting[number] = np.delete(samples, best)
        turns = [number for number in turns if len(waiting[number])]
    return np.array(chosen, dtype=np.int64)


def checksum(names: Sequence[str]) -> str:
    """The first 16 hex digits of the sha256 over the ids of samples, in their order."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def disturbance_seeds(rows: np.ndarray, seed: int) -> list[int]:
    """One seed per sample for the disturbances, of its number in the data set and the protocol's seed."""
    return [FIRST_EVALUATION_SEED + (seed << 40) + int(row) for row in rows]
