"""A network in drawings: its blocks, its operations, its layers, and where it looks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mdlib.viewing.figures import attention
from mdlib.viewing.network.diagram import draw_blocks
from mdlib.viewing.network.graph import draw_graph
from mdlib.viewing.network.summary import SUMMARY_PX, find_network, square, summary
from mdlib.viewing.predict import Predictor, as_picture


@dataclass(frozen=True)
class DrawConfig:
    """Draws a network (needs Graphviz) and, with two pictures, where it looks (Grad-CAM).

    Writes blocks.svg (its blocks with shapes), graph.svg (every operation, by torchviz), summary.txt (its
    layers) and, with pictures, attention.png.
    """

    model: str
    """Name of a network, or folder of a run or saved model; fresh weights where there are none."""
    out: Path = Path("drawing")
    """Folder for the drawings."""
    size: int = SUMMARY_PX
    """Height and width in px of the pictures that shapes are told for."""
    format: Literal["svg", "png", "pdf", "gv"] = "svg"
    """Format of the drawings; gv is their source alone, which needs no Graphviz."""
    pictures: tuple[Path, Path] | None = None
    """A picture of the empty background, and one of the same scene with something in it."""


def draw(config: DrawConfig) -> list[Path]:
    """Write the drawings; returns the files."""
    model, size, out = find_network(config.model), square(config.size), config.out
    if out.suffix or out.is_file():
        raise ValueError(
            f"{out} is the name of a file, but --out is a folder: its drawings get their own names"
        )
    out.mkdir(parents=True, exist_ok=True)
    written = [out / "summary.txt"]
    written[0].write_text(summary(model, size), "utf-8")
    if config.pictures is not None:
        bg_img, fg_bg_img = (as_picture(picture) for picture in config.pictures)
        cams = Predictor(model, "cpu").grad_cam(bg_img, fg_bg_img)
        written.append(out / "attention.png")
        attention(bg_img, fg_bg_img, cams).savefig(written[-1])
    written.append(draw_blocks(model, out / f"blocks.{config.format}", size))
    written.append(draw_graph(model, out / f"graph.{config.format}"))
    return written
