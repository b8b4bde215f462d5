"""What depends on how far a run is: picture size and learning rate.

`progress` goes from 0 to 1: the largest of steps done / steps, epochs done / epochs and time used / time.
"""

import math
from typing import NamedTuple

SMALLEST_PX = 16


class Stage(NamedTuple):
    """A part of the run, from progress `start` to `end`, with pictures whose shorter side is `size` px."""

    index: int
    size: int | None  # None = as stored
    start: float
    end: float


def parse_stages(text: str) -> list[Stage]:
    """Stages from "size:share,size:share": "112:0.6,160:0.4" = 112 px for 60 % of the run, then 160 px.

    Shares are divided by their sum. Raises ValueError where the text says something else.
    """
    try:
        pairs = [part.split(":") for part in text.split(",")]
        sizes, shares = [int(size) for size, _ in pairs], [float(share) for _, share in pairs]
    except ValueError:
        raise ValueError(
            f"stages is {text!r}; expected size:share,size:share such as 112:0.6,160:0.4"
        ) from None
    if min(sizes) < SMALLEST_PX or not all(0 < share < math.inf for share in shares):
        raise ValueError(f"stages is {text!r}; expected sizes of {SMALLEST_PX} px or more and shares above 0")
    ends = [sum(shares[: i + 1]) / sum(shares) for i in range(len(shares))]
    ends[-1] = 1.0  # whatever rounding made of it
    starts = [0.0, *ends[:-1]]
    return [Stage(i, *parts) for i, parts in enumerate(zip(sizes, starts, ends, strict=True))]


def learning_rate(progress: float, highest: float, kind: str, warmup: float) -> float:
    """The rate at `progress`: a line from 0 up to `highest` at `warmup`, then "constant" or "cosine" to 0.

    The cosine is that of SGDR without restarts (Loshchilov and Hutter 2017).
    """
    if progress < warmup:
        return highest * progress / warmup
    if kind == "constant":
        return highest
    done = (progress - warmup) / (1 - warmup)
    return highest * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
