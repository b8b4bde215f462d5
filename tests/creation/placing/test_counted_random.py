"""Random numbers by counting are those that were published, for any seed."""

import numpy as np

from mdlib.creation.placing.counted_random import Draws


def test_random_numbers_are_those_of_the_published_generator():
    """The first ones of SplitMix64 from state 1234567, as the reference in C prints them."""
    draws = Draws(np.zeros(1))
    draws._states = np.array([1234567], np.uint64)
    reference = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert (draws.random(4)[0] * 2**53).astype(np.int64).tolist() == [number >> 11 for number in reference]


def test_random_numbers_depend_on_seed_and_place_alone():
    many, one = Draws(np.arange(50)), Draws(np.array([17]))
    first, second = many.random(3), many.random(2)
    assert (one.random(5) == np.concatenate([first, second], 1)[17]).all()
    some = Draws(np.arange(50))
    some.random(3)
    assert (some.only(np.arange(50) % 2 == 1).random(2) == second[1::2]).all()
    flat = Draws(np.arange(20_000)).random(50).ravel()
    assert len(np.unique(flat)) == flat.size
    counts = np.histogram(flat, 1000, (0, 1))[0]
    chi_square = ((counts - 1000) ** 2 / 1000).sum()
    assert abs(chi_square - 999) < 5 * np.sqrt(2 * 999)
