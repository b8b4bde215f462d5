"""How much of the pictures objects cover, and where, summed up while a data set is made.

Everything is whole numbers: the sums are exact, whatever the order of the samples or the number of workers.
"""

from collections.abc import Sequence

import numpy as np

AREA_STEPS = 1000  # of the histogram of areas; an object of 0.7 % falls into step 7
_LONGEST_CELLS = 56  # of the map, along the longer side
_AT_ONCE = 256  # masks whose sum fits 16 bits: the quickest way to add them


class Coverage:
    """The masks of one shard: a histogram of their areas, and the map of their sum."""

    def __init__(self):
        self._areas = np.zeros(AREA_STEPS + 1, np.int64)
        self._sum: np.ndarray | None = None  # (H, W)
        self._count = 0

    def add(self, masks: np.ndarray) -> None:
        """Add masks, (B,H,W) uint8."""
        if self._sum is None:
            self._sum = np.zeros(masks.shape[1:], np.int64)
        full = 255 * self._sum.size
        for start in range(0, len(masks), _AT_ONCE):
            part = masks[start : start + _AT_ONCE]
            areas = part.reshape(len(part), -1).sum(1, dtype=np.uint32).astype(np.int64)
            self._areas += np.bincount(AREA_STEPS * areas // full, minlength=AREA_STEPS + 1)
            self._sum += part.sum(0, dtype=np.uint16)
        self._count += len(masks)

    def state(self) -> dict:
        """The sums, for JSON: size [H,W], samples, areas per step (none after the last), map in levels."""
        if self._sum is None:
            return {}
        cell = -(-max(self._sum.shape) // _LONGEST_CELLS)
        starts = [np.arange(0, side, cell) for side in self._sum.shape]
        cells = np.add.reduceat(np.add.reduceat(self._sum, starts[0], 0), starts[1], 1)
        return {
            "size": list(self._sum.shape),
            "cell": cell,
            "samples": self._count,
            "areas": np.trim_zeros(self._areas, "b").tolist(),
            "map": cells.tolist(),
        }


def combine(states: Sequence[dict]) -> dict | None:
    """All shards together; None without any sample.

    samples; areas (AREA_STEPS + 1) int64, how many objects cover k / AREA_STEPS of the picture, or up to one
    step more; map (rows, columns) float64, share of the samples whose object covers a place; size (H, W);
    cell, the side in pixels of a place of the map.
    """
    states = [state for state in states if state]
    if not states:
        return None
    height, width = states[0]["size"]
    cell = states[0]["cell"]
    areas = np.zeros(AREA_STEPS + 1, np.int64)
    for state in states:
        areas[: len(state["areas"])] += state["areas"]
    samples = sum(state["samples"] for state in states)
    total = sum(np.array(state["map"], np.int64) for state in states)
    rows, columns = (np.diff([*range(0, side, cell), side]) for side in (height, width))
    pixels = rows[:, None] * columns  # the last places of a map can be smaller
    return {
        "samples": samples,
        "size": (height, width),
        "cell": cell,
        "areas": areas,
        "map": total / (255.0 * samples * pixels),
    }
