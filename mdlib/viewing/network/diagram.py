"""A network as a diagram of its blocks: what each makes of what, with shapes. Found out, not drawn by hand.

A forward pass tells which blocks are called, in which order and with which shapes; the graph that autograd
records tells whose results each of them received, whatever was added, joined or resized on the way. `draw` is
the command that makes this and all other drawings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mdlib.loading.pictures import read_picture
from mdlib.viewing.figures import INK, attention
from mdlib.viewing.network.graph import draw_graph, render
from mdlib.viewing.network.hooks import blocks_of, hooked, recorded
from mdlib.viewing.network.summary import SUMMARY_PX, find_network, square, summary
from mdlib.viewing.predict import Predictor

if TYPE_CHECKING:
    pass

PICTURES = ("bg", "fg_bg")
PAPER = "#ffffff"
PART_COLOURS = {"encoder": "#dbe9f6", "mask_decoder": "#d9f0e1", "depth_decoder": "#fde8cf"}
OTHER_COLOUR, RESULT_COLOUR = "#eeeeee", "#c9b8e8"
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


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
        bg_img, fg_bg_img = (read_picture(picture) for picture in config.pictures)
        cams = Predictor(model, "cpu").grad_cam(bg_img, fg_bg_img)
        written.append(out / "attention.png")
        attention(bg_img, fg_bg_img, cams).savefig(written[-1])
    written.append(draw_blocks(model, out / f"blocks.{config.format}", size))
    written.append(draw_graph(model, out / f"graph.{config.format}"))
    return written


class Node(NamedTuple):
    """A call of a block, or a result: its name, its shape, and the calls and pictures that it was made of."""

    name: str
    shape: tuple[int, ...]  # (B, C, H, W)
    received: tuple[str, ...]


class Diagram(NamedTuple):
    """The calls of a forward pass in their order; per result (mask, depth) its shape and origins."""

    calls: list[Node]
    results: list[Node]


def trace_blocks(model: nn.Module, size: tuple[int, int] = (224, 224)) -> Diagram:
    """Run the network on two pictures of `size` (H, W) and note how its blocks are connected.

    A block that is called again has the number of the call behind its name, such as "encoder.0 #2". What is
    calculated without gradients has no history, such as an alignment of the pictures: a block that shows no
    picture among its origins, but gives something else when a picture is another one, has that picture
    as its origin. The model stays as it is.
    """
    seed = torch.Generator().manual_seed(0)
    first = next(model.parameters())
    pictures = [torch.rand(1, 3, *size, generator=seed).to(first) for _ in range(2 * len(PICTURES))]
    bg, fg_bg, other_bg, other_fg_bg = pictures
    calls, results, seen = _forward(model, bg, fg_bg)
    known: dict[str, set[str]] = {name: {name} for name in PICTURES}
    others = {"bg": _forward(model, other_bg, fg_bg)[2], "fg_bg": _forward(model, bg, other_fg_bg)[2]}
    for i, call in enumerate(calls):
        pictures_seen = set().union(*(known[origin] for origin in call.received))
        unseen = [p for p in PICTURES if p not in pictures_seen and others[p][call.name] != seen[call.name]]
        calls[i] = call._replace(received=(*unseen, *call.received))
        known[call.name] = pictures_seen | set(unseen)
    return Diagram(calls, results)


def _forward(model: nn.Module, *pictures: Tensor) -> tuple[list[Node], list[Node], dict[str, float]]:
    """The calls of blocks in a prediction, its results, and a sum over what each call gave."""
    calls: list[Node] = []
    sums: dict[str, float] = {}
    made_by: dict[object, str] = {}  # function of the autograd graph -> the call or picture that it made

    def note(name: str, output: object) -> None:
        count = 1 + sum(call.name.split(" #")[0] == name for call in calls)
        label = name if count == 1 else f"{name} #{count}"
        tensors = list(_tensors(output))
        calls.append(Node(label, tuple(tensors[0].shape), _origins(tensors, made_by)))
        sums[label] = sum(float(tensor.detach().double().sum()) for tensor in tensors)
        made_by.update({tensor.grad_fn: label for tensor in tensors})

    with recorded(model), hooked(blocks_of(model), after=note):
        # A copy has a node in the graph, where the search for origins ends.
        pictures = [picture.clone().requires_grad_(True).clone() for picture in pictures]
        made_by.update({picture.grad_fn: p for picture, p in zip(pictures, PICTURES, strict=True)})
        answer = model(*pictures)
    results = [
        Node(name.replace("_logits", ""), tuple(tensor.shape), _origins([tensor], made_by))
        for name, tensor in answer._asdict().items()
        if tensor is not None
    ]
    return calls, results, sums


def draw_blocks(model: nn.Module, path: str | Path, size: tuple[int, int] = (224, 224)) -> Path:
    """Draw the blocks with their shapes for two pictures of `size` (H, W), as .svg, .png, .pdf or .gv.

    Each box: name, convolutions, channels x height x width of what it gives. Colours and frames tell encoder,
    mask decoder and depth decoder apart. Returns the path; raises what `graph.render` does.
    """
    from graphviz import Digraph

    diagram, modules = trace_blocks(model, size), dict(blocks_of(model))
    letters = {"fontname": "Helvetica", "fontsize": "11", "fontcolor": INK}
    graph = Digraph(
        graph_attr={"rankdir": "TB", "nodesep": "0.25", "ranksep": "0.3", "bgcolor": PAPER, **letters},
        node_attr={"shape": "box", "style": "rounded,filled", "color": INK, "penwidth": "0.7", **letters},
        edge_attr={"color": "#666666", "arrowsize": "0.6", "penwidth": "0.9"},
    )
    for name in PICTURES:
        graph.node(name, f"{name}\n{_shape((1, 3, *size))}", fillcolor=RESULT_COLOUR)
    by_part: dict[str, list[Node]] = {}
    for call in diagram.calls:
        by_part.setdefault(_part_of(model, call.name), []).append(call)
    for part, calls in by_part.items():
        with graph.subgraph(name=f"cluster_{part}") as frame:
            frame.attr(label=part.replace("_", " "), color="#aaaaaa", style="rounded", labeljust="l")
            for call in calls:
                lines = [call.name, _convolutions(modules[call.name.split(" #")[0]]), _shape(call.shape)]
                colour = PART_COLOURS.get(part, OTHER_COLOUR)
                frame.node(_id(call.name), "\n".join(filter(None, lines)), fillcolor=colour)
    for result in diagram.results:
        label = f"{result.name}\n{_shape(result.shape)}"
        graph.node(_id(f"result {result.name}"), label, fillcolor=RESULT_COLOUR)
    for call in diagram.calls:
        for origin in call.received:
            graph.edge(_id(origin), _id(call.name))
    for result in diagram.results:
        for origin in result.received:
            graph.edge(_id(origin), _id(f"result {result.name}"))
    return render(graph, path)


def _id(name: str) -> str:
    return name.replace(".", "_").replace(" ", "_")  # a dot or colon would mean a port


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[1:]))


def _convolutions(block: nn.Module) -> str:
    """How many convolutions of which kernel a block has, such as "2 conv 3x3, 1 conv 1x1"."""
    kernels: dict[str, int] = {}
    for module in block.modules():
        if isinstance(module, CONVOLUTIONS):
            kind = "x".join(map(str, module.kernel_size))
            kind = f"conv {kind}" if isinstance(module, nn.Conv2d) else f"transposed conv {kind}"
            kernels[kind] = kernels.get(kind, 0) + 1
    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in kernels.items())


def _part_of(model: nn.Module, call: str) -> str:
    """The part (encoder, mask_decoder, depth_decoder) that a call's block belongs to, "" for none."""
    name = call.split(" #")[0] + "."
    parts = ((part, module) for part, modules in model.parts.items() for module in modules)
    return next((part for part, module in parts if name.startswith(f"{module}.")), "")


def _tensors(something: object) -> Iterator[Tensor]:
    """All tensors in tuples, lists and dicts, however deep."""
    if isinstance(something, Tensor):
        yield something
    elif isinstance(something, dict):
        yield from _tensors(list(something.values()))
    elif isinstance(something, list | tuple):
        for one in something:
            yield from _tensors(one)


def _origins(tensors: list[Tensor], made_by: dict[object, str]) -> tuple[str, ...]:
    """The nearest calls and pictures in the history of these tensors, the oldest first."""
    found, seen = set(), set()
    waiting = [tensor.grad_fn for tensor in tensors]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in made_by:
            found.add(made_by[node])
        else:
            waiting.extend(origin for origin, _ in node.next_functions)
    return tuple(name for name in dict.fromkeys(made_by.values()) if name in found)
