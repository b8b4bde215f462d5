"""A network as a drawing: torchviz's graph of how mask and depth are calculated, made readable.

`draw_graph` shows every operation; `diagram.draw_blocks` the large picture.
"""

import re
import shutil
from bisect import bisect
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mdlib.viewing.network.hooks import blocks_of, hooked, recorded

if TYPE_CHECKING:
    from graphviz import Digraph

GRAPH_PX = 64  # the graph is the same at every size
FORMATS = (".svg", ".png", ".pdf", ".gv")  # the last is the source of the drawing, which needs no program

# Operations that calculate nothing: the drawing goes on with what they received.
SILENT = {
    "AccumulateGrad", "Alias", "AsStrided", "Clone", "Expand", "Permute", "ReshapeAlias", "Slice", "T",
    "Transpose", "UnsafeView", "Unsqueeze", "View",
}  # fmt: skip
NODE = re.compile(r'\t(\d+) \[label="?(.*?)"?(?: fillcolor=(\w+))?\]\n?', re.DOTALL)
EDGE = re.compile(r"\t(\d+) -> (\d+)")


def draw_graph(model: nn.Module, path: str | Path) -> Path:
    """Draw with torchviz how mask and depth are calculated, as .svg, .png or .pdf; .gv is the source alone.

    From top to bottom; each box is an operation with the layer that it belongs to (blue where the layer has
    parameters), the two results are green. The same network gives the same source. Returns the path.
    Raises ValueError for another ending, FileNotFoundError where the program `dot` of Graphviz is missing.
    """
    from torchviz import make_dot

    first = next(model.parameters())
    picture = torch.zeros(1, 3, GRAPH_PX, GRAPH_PX, device=first.device, dtype=first.dtype)
    begun: list[tuple[int, str]] = []  # number of the first operation after a block begins or ends, its name

    def note(block: str) -> None:
        here = torch.zeros((), requires_grad=True).clone().grad_fn  # autograd counts operations
        begun.append((here._sequence_nr(), block))

    with recorded(model), hooked(blocks_of(model), before=note, after=lambda block, output: note("")):
        answer = model(picture, picture)
    results = {name: x.clone() for name, x in answer._asdict().items() if x is not None}
    graph = make_dot(tuple(results.values()), params={**dict(model.named_parameters()), **results})
    _tidy(graph, _blocks_of_operations(results.values(), begun))
    return render(graph, path)


def render(graph: "Digraph", path: str | Path) -> Path:
    """Write a graph as .svg, .png, .pdf, or its source as .gv; returns the path.

    Raises ValueError for another ending, FileNotFoundError where the program `dot` of Graphviz is missing.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"cannot draw {path.name}: the name must end in {', '.join(FORMATS)}")
    if path.suffix != ".gv" and shutil.which("dot") is None:
        raise FileNotFoundError(
            "drawing needs the program `dot`: install Graphviz (apt or brew install graphviz), or "
            f"write the source of the drawing alone: {path.with_suffix('.gv')}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.source.encode() if path.suffix == ".gv" else graph.pipe(path.suffix[1:]))
    return path


def _blocks_of_operations(results: Iterable[Tensor], begun: list[tuple[int, str]]) -> dict[str, str]:
    """Name of the box that torchviz gives an operation -> the block that calculates it, "" for none."""
    found: dict[str, str] = {}
    waiting = [result.grad_fn for result in results]
    while waiting:
        node = waiting.pop()
        if node is not None and str(id(node)) not in found:
            at = bisect(begun, (node._sequence_nr(),)) - 1
            found[str(id(node))] = begun[at][1] if at >= 0 else ""
            waiting.extend(origin for origin, _ in node.next_functions)
    return found


def _tidy(graph: "Digraph", block_of: dict[str, str]) -> None:
    """Write the layer's name on its operation instead of a box per parameter, and leave silent ones out.

    Boxes of a block are framed together. torchviz names boxes by their place in memory; here they are
    counted, so that sources can be compared.
    """
    boxes = {m[1]: (re.sub(r"Backward\d", "", m[2]), m[3]) for m in map(NODE.fullmatch, graph.body) if m}
    edges = [m.groups() for m in map(EDGE.match, graph.body) if m]
    received = {box: [a for a, b in edges if b == box] for box in boxes}

    @cache
    def origins(box: str) -> list[str]:
        """What a box receives, silent operations skipped."""
        return [end for a in received[box] for end in (origins(a) if boxes[a][0] in SILENT else [a])]

    @cache
    def layers(box: str) -> list[str]:
        owned = [boxes[a][0].splitlines()[0] for a in origins(box) if boxes[a][1] == "lightblue"]
        return list(dict.fromkeys(name.rpartition(".")[0] for name in owned))

    shown = [box for box, (label, colour) in boxes.items() if label not in SILENT and colour != "lightblue"]
    number = {box: str(i) for i, box in enumerate(shown)}
    graph.body.clear()
    for block in dict.fromkeys(["", *(block_of.get(box, "") for box in shown)]):
        with graph.subgraph(name=f"cluster_{block}" if block else None) as frame:
            if block:
                frame.attr(label=block, color="#999999", style="rounded", labeljust="l", fontname="Helvetica")
            for box in shown:
                if block_of.get(box, "") == block:
                    label, colour = boxes[box]
                    colour = "lightblue" if layers(box) else colour
                    frame.node(number[box], "\n".join([*layers(box), label]), fillcolor=colour)
    for box in shown:
        for origin in dict.fromkeys(origins(box)):
            if origin in number:
                graph.edge(number[origin], number[box])
    del graph.graph_attr["size"]  # as large as the letters need
