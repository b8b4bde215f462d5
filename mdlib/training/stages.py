"""The stages of a run: picture size, batch size, and what is trained, one after the other.

`progress` goes from 0 to 1: the largest of steps done / steps, epochs done / epochs and time used / time.
"""

import math
from typing import NamedTuple

SMALLEST_PX = 16
EXPECTED = (
    "expected size:share or size:share:batch_size, then lr=NUMBER, loss=NAME or freeze=PART+PART, all with "
    "colons between them, and commas between stages, such as 112:0.6:32,160:0.4:16:lr=0.001:freeze=encoder"
)


class Stage(NamedTuple):
    """A part of the run, from progress `start` to `end`, with pictures whose shorter side is `size` px."""

    index: int
    size: int | None  # None = as stored
    start: float
    end: float
    batch_size: int
    lr: float | None = None  # None = that of the run, as for the next one
    loss: str | None = None
    freeze: tuple[str, ...] = ()  # parts of the network that keep their weights


def parse_stages(text: str, batch_size: int) -> list[Stage]:
    """Stages from "size:share,size:share": "112:0.6,160:0.4" = 112 px for 60 % of the run, then 160 px.

    After the share may follow a batch size (else it is `batch_size`), and lr=, loss= and freeze= for this
    stage alone; see EXPECTED. Shares are divided by their sum. Raises ValueError for any other text.
    """
    try:
        stages = [_parse_stage(part, batch_size) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"stages is {text!r}; {EXPECTED}") from None
    numbers = [(stage["share"], stage["batch_size"], stage.get("lr", 1.0)) for stage in stages]
    if min(stage["size"] for stage in stages) < SMALLEST_PX or not all(
        0 < number < math.inf for three in numbers for number in three
    ):
        raise ValueError(
            f"stages is {text!r}; expected sizes of {SMALLEST_PX} px or more, and shares, batch sizes and "
            "learning rates above 0"
        )
    shares = [stage.pop("share") for stage in stages]
    ends = [round(sum(shares[: i + 1]) / sum(shares), 12) for i in range(len(shares))]
    starts = [0.0, *ends[:-1]]
    return [Stage(i, start=starts[i], end=ends[i], **stage) for i, stage in enumerate(stages)]


def _parse_stage(text: str, batch_size: int) -> dict:
    size, share, *rest = text.split(":")
    stage = {"size": int(size), "share": float(share), "batch_size": batch_size}
    if rest and "=" not in rest[0]:
        stage["batch_size"] = int(rest.pop(0))
    for setting in rest:
        name, value = setting.split("=")
        kind = {"lr": float, "loss": str, "freeze": lambda parts: tuple(parts.split("+"))}.get(name.strip())
        if kind is None:
            raise ValueError(name)
        stage[name.strip()] = kind(value.strip())
    return stage
