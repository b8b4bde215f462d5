"""The options of commands that only put other parts of the package together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class InfoConfig:
    """Print the counts, sizes and statistics of a data set."""

    data: Positional[Annotated[Path, arg(metavar="DATA")]]
    """folder of the data set"""
    check: bool = False
    """also read every byte and compare the checksums"""


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure a network on rooms and objects that its training never saw, beside plain subtraction.

    Writes the table as JSON and, beside it, as Markdown.
    """

    data: Positional[Annotated[Path, arg(metavar="DATA")]]
    """folder of the data set"""
    weights: str
    """run folder or saved model folder, or the name of weights that come with the package (mdnet)"""
    json: Path = Path("evaluation.json")
    """file for the result; the same name with .md gets the table"""
    pairs: int | None = None
    """pairs per set and condition; those of published tables (2,000 and 500) where it is not given"""
    seed: int = 0
    """seed of the pairs and the disturbances"""
    batch_size: int = 32
    """pairs measured at a time; changes no result"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the network runs; auto takes a GPU if there is one"""
