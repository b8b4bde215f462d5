"""The commands that look inside a network: `summary` and `draw`.

The libraries that they need are imported when they run, so that --help appears at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
    """Draw how a network calculates (needs Graphviz), or, with two pictures, where it looks (Grad-CAM)."""

    model: str
    """name of a network (fresh weights where none come with the package), run folder or saved model folder"""
    out: Path = Path("network.svg")
    """file for the drawing, .svg, .png or .pdf; without pictures also .gv, which needs no Graphviz"""
    pictures: tuple[Path, Path] | None = None
    """a picture of the empty background, and one of the same scene with something in it"""


def summary_command(config: SummaryConfig) -> str:
    """What `summary` prints."""
    import torch

    from mdlib.viewing.cost import count_macs, latency_s, prediction_memory_mb
    from mdlib.viewing.summary import summary

    if config.size < 16 or config.rounds < 1:
        raise ValueError(f"--size {config.size}, --rounds {config.rounds}: expected at least 16 and 1")
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


def draw_command(config: DrawConfig) -> Path:
    """Write what `draw` draws; returns the file."""
    if config.pictures is None:
        from mdlib.viewing.drawings import draw_graph

        return draw_graph(find_network(config.model), config.out)
    from mdlib.viewing.figures import attention
    from mdlib.viewing.predict import Predictor, as_picture

    bg_img, fg_bg_img = (as_picture(path) for path in config.pictures)
    cams = Predictor(find_network(config.model), "cpu").grad_cam(bg_img, fg_bg_img)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    attention(bg_img, fg_bg_img, cams).savefig(config.out)
    return config.out


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
