"""Random numbers by counting: the k-th number of a seed is a function of the two, for many seeds at once.

SplitMix64 (Steele, Lea, Flood 2014): whole-number arithmetic, the same on every machine and in every version
of numpy. Making one numpy generator per placement would take longer than composing it.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def row_seeds(*numbers: int | np.ndarray) -> np.ndarray:
    """Own seeds below 2^53 (whole in a double), (n,) int64, for the rows that `numbers`, one by one, name."""
    state = np.zeros(1, np.uint64)
    for number in numbers:
        state = _mixed(state + _GOLDEN + np.atleast_1d(number).astype(np.uint64))
    return (state >> np.uint64(11)).astype(np.int64)


class Draws:
    """One endless row of doubles for each seed."""

    def __init__(self, seeds: np.ndarray, taken: int = 0):
        self._states = _mixed(np.asarray(seeds, np.int64).astype(np.uint64))
        self._taken = taken

    def random(self, count: int = 1) -> np.ndarray:
        """The next `count` doubles in [0, 1) of each seed, (n, count)."""
        steps = np.arange(self._taken + 1, self._taken + count + 1).astype(np.uint64)
        self._taken += count
        drawn = _mixed(self._states[:, None] + steps * _GOLDEN)
        return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def only(self, chosen: np.ndarray) -> "Draws":
        """Those of some of the seeds, from here on."""
        some = Draws(np.zeros(0), self._taken)
        some._states = self._states[chosen]
        return some
