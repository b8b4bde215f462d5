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
class SampleConfig:
    """Write a sample of a data set: bg.png, fg_bg.png, panel.png, mask.png, depth.png (16-bit closeness)."""

    data: Positional[Annotated[Path, arg(metavar="DATA")]]
    """folder of the data set"""
    set: Literal["train", "new_fg", "new_bg", "new_both", "all"] = "new_both"
    """which backgrounds and cut-outs: seen in training or not"""
    index: int = 0
    """number of the sample in this set"""
    out: Path = Path("sample")
    """folder for the pictures"""


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure a network on rooms and objects that its training never saw, beside plain subtraction.

    Writes the table as JSON and, beside it, as Markdown.
    """

    data: Positional[Annotated[Path, arg(metavar="DATA")]]
    """folder of the data set"""
    weights: Path
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


@dataclass(frozen=True)
class PredictConfig:
    """Write mask.png, depth.png (16-bit closeness), overlay.png and panel.png for two pictures of a place."""

    bg: Positional[Annotated[Path, arg(metavar="BG")]]
    """picture of the empty background"""
    fg_bg: Positional[Annotated[Path, arg(metavar="FG_BG")]]
    """the same scene with something in it, same size"""
    weights: str = "mdnet"
    """name of weights that come with the package, or run folder or saved model folder"""
    out: Path = Path("prediction")
    """folder for the pictures"""
