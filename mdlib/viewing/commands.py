"""The commands that look inside a network: `summary` and `draw`.

The libraries that they need are imported when they run, so that --help appears at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SummaryConfig:
    """Print the layers of a network, its parameters and what a prediction costs on this machine's CPU."""

    model: str
    """name of a network, or run folder or saved model folder"""
    size: int = 224
    """height and width of the pictures in px"""
    rounds: int = 10
    """predictions that the latency is the median of"""


@dataclass(frozen=True)
class DrawConfig:
    """Draw a network (needs Graphviz) and, with two pictures, where it looks (Grad-CAM).

    Writes blocks.svg (its blocks with shapes), graph.svg (every operation, by torchviz), summary.txt (its
    layers) and, with pictures, attention.png.
    """

    model: str
    """name of a network (fresh weights where none come with the package), run folder or saved model folder"""
    out: Path = Path("drawing")
    """folder for the drawings"""
    size: int = 224
    """height and width of the pictures in px that shapes are told for"""
    format: Literal["svg", "png", "pdf", "gv"] = "svg"
    """of the drawings; gv is their source alone, which needs no Graphviz"""
    pictures: tuple[Path, Path] | None = None
    """a picture of the empty background, and one of the same scene with something in it"""


def summary_command(config: SummaryConfig) -> str:
    """What `summary` prints."""
    import torch

    from mdlib.viewing.cost import count_macs, latency_s, prediction_memory_mb
    from mdlib.viewing.network.summary import summary

    check_size(config.size)
    if config.rounds < 1:
        raise ValueError(f"--rounds {config.rounds}: expected at least 1")
    model, size = find_network(config.model), (config.size, config.size)
    memory = prediction_memory_mb(model, size)  # first: it counts what the process never took before
    costs = {
        "Multiply-adds of a prediction": f"{count_macs(model, size) / 1e9:.2f} billion",
        "Latency of a prediction": (
            f"{latency_s(model, size, config.rounds) * 1e3:.1f} ms (CPU, {torch.get_num_threads()} threads, "
            f"batch 1, median of {config.rounds})"
        ),
        "Memory of a prediction (MB)": "not told by this system" if memory is None else f"{memory:.0f}",
    }
    lines = "".join(f"{name}: {value}\n" for name, value in costs.items())
    return f"{config.model}\n{summary(model, size)}{lines}"


def draw_command(config: DrawConfig) -> list[Path]:
    """Write what `draw` draws; returns the files."""
    from mdlib.viewing.network.diagram import draw_blocks
    from mdlib.viewing.network.graph import draw_graph
    from mdlib.viewing.network.summary import summary

    check_size(config.size)
    model, size, out = find_network(config.model), (config.size, config.size), config.out
    if out.suffix or out.is_file():
        raise ValueError(
            f"{out} is the name of a file, but --out is a folder: its drawings get their own names"
        )
    out.mkdir(parents=True, exist_ok=True)
    written = [out / "summary.txt"]
    written[0].write_text(summary(model, size), "utf-8")
    if config.pictures is not None:
        written.append(draw_attention(model, config.pictures, out / "attention.png"))
    written.append(draw_blocks(model, out / f"blocks.{config.format}", size))
    written.append(draw_graph(model, out / f"graph.{config.format}"))
    return written


def draw_attention(model: "nn.Module", pictures: tuple[Path, Path], path: Path) -> Path:
    """The figure of what the network looks at in (bg, fg_bg); returns the path."""
    from mdlib.viewing.figures import attention
    from mdlib.viewing.predict import Predictor, as_picture

    bg_img, fg_bg_img = (as_picture(picture) for picture in pictures)
    attention(bg_img, fg_bg_img, Predictor(model, "cpu").grad_cam(bg_img, fg_bg_img)).savefig(path)
    return path


def check_size(size: int) -> None:
    """Raises ValueError where pictures would be too small for a network."""
    if size < 16:
        raise ValueError(f"--size {size}: expected at least 16")


def find_network(name_or_folder: str) -> "nn.Module":
    """The network of a run folder or saved model folder, or of a name: packaged weights, else fresh (seed 0).

    Raises ValueError that lists the names where it is neither.
    """
    import torch

    from mdlib.modeling.registry import create_model, model_names, packaged_weights
    from mdlib.viewing.predict import load_network

    if name_or_folder in model_names() and name_or_folder not in packaged_weights():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return create_model(name_or_folder).eval()
    if name_or_folder not in model_names() and not Path(name_or_folder).is_dir():
        raise ValueError(
            f"{name_or_folder!r} is neither a folder of a run or saved model nor one of the networks "
            f"{', '.join(model_names())}"
        )
    return load_network(name_or_folder)
