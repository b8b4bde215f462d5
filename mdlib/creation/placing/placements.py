"""Where objects go: random placements, each from its own seed, so that any of them can be drawn again."""

from collections.abc import Callable, Sequence
from dataclasses import fields

import numpy as np

from mdlib.creation.items import Placements
from mdlib.creation.placing.candidates import Rules, place
from mdlib.creation.placing.counted_random import Draws, row_seeds
from mdlib.creation.placing.outline import Ground, Outline

_OTHERS = 1  # names these draws among those of a placement
_ATTEMPTS = 100  # draws before a pair counts as having no more different placements


def place_all(
    seed: int,
    bg: int,
    ground: Ground,
    outlines: Sequence[Outline],
    flips: Sequence[bool],
    count: int,
    rules: Rules,
    suits: Callable[[int, bool, int, int, int, float], bool] | None = None,
) -> Placements:
    """Placements of every cut-out on background `bg`, `count` for each of `flips`, no two of a pair alike.

    Those of which `suits(fg, flip, x_px, y_px, height_px, z_m)` is False are drawn again.
    Samples are numbered as they come when each background before this one had as many.
    """
    columns: list[list[np.ndarray]] = []
    first = bg * len(outlines) * len(flips) * count
    flip, k = np.repeat(np.array(flips), count), np.tile(np.arange(count), len(flips))
    for fg, outline in enumerate(outlines):
        pair = [np.zeros(len(flip), kind) for kind in (np.int64, np.int64, np.int64, np.float64, np.int64)]
        taken: set[tuple[int, int, int]] = set()
        left = np.arange(len(flip))
        for attempt in range(_ATTEMPTS):
            seeds = row_seeds(seed, bg, fg, flip[left], k[left], attempt)
            drawn = (*place(seeds, ground, outline, flip[left], rules), seeds)
            kept = np.zeros(len(left), bool)
            for i, (row, x, y, height, z, _) in enumerate(
                zip(left, *(c.tolist() for c in drawn), strict=True)
            ):
                new = (x, y, height) not in taken
                if new and (suits is None or suits(fg, bool(flip[row]), x, y, height, z)):
                    taken.add((x, y, height))
                    kept[i] = True
            for column, values in zip(pair, drawn, strict=True):
                column[left[kept]] = values[kept]
            left = left[~kept]
            if not len(left):
                break
        else:
            raise ValueError(
                f"cut-out {fg} has fewer than {count * len(flips)} different placements on "
                f"background {bg} at {ground.size[1]} x {ground.size[0]} pixels: ask for fewer "
                f"--placements or a larger --size"
            )
        x, y, height, z, seeds = pair
        sample, same = first + fg * len(flip) + np.arange(len(flip)), np.ones(len(flip), np.int64)
        # As rounded as in the table: what is composed from the table later has the same pixels.
        scale, z = np.round(height / ground.size[0], 6), np.round(z, 3)
        columns.append([sample, bg * same, fg * same, flip, x, y, scale, z, seeds])
    return Placements(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def with_others(
    main: Placements,
    objects: int,
    ground: Ground,
    outlines: Sequence[Outline],
    flips: Sequence[bool],
    rules: Rules,
) -> Placements:
    """Give each sample 1 to `objects` objects: after the row of `main` those of others, drawn from its seed.

    Their number is uniform; which cut-outs they are, too, among all but the main one.
    """
    if objects == 1:
        return main
    u = Draws(row_seeds(main.seed, _OTHERS)).random(1 + 2 * (objects - 1))
    count = np.floor(u[:, 0] * objects).astype(np.int64)
    row = np.repeat(np.arange(len(main)), count)
    j = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    which, mirrored = u[row, 1 + 2 * j], u[row, 2 + 2 * j]
    distinct = max(1, len(outlines) - 1)
    fg = (main.fg[row] + 1 + np.floor(which * distinct).astype(np.int64)) % len(outlines)
    flip = np.array(flips)[np.floor(mirrored * len(flips)).astype(np.int64)]
    seeds = row_seeds(main.seed[row], _OTHERS, j)
    drawn = [np.zeros(len(row), kind) for kind in (np.int64, np.int64, np.int64, np.float64)]
    for number in np.unique(fg):
        of = fg == number
        for column, values in zip(
            drawn, place(seeds[of], ground, outlines[number], flip[of], rules), strict=True
        ):
            column[of] = values
    x, y, height, z = drawn
    scale = np.round(height / ground.size[0], 6)
    others = Placements(main.sample[row], main.bg[row], fg, flip, x, y, scale, np.round(z, 3), seeds)
    order = np.argsort(np.concatenate([main.sample, others.sample]), kind="stable")
    parts = (np.concatenate([getattr(main, f.name), getattr(others, f.name)])[order] for f in fields(main))
    return Placements(*parts)
