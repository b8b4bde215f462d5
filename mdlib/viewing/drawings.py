"""A network as a drawing: torchviz's graph of how mask and depth are calculated, made readable."""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mdlib.modeling.modes import evaluation_mode

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

    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"cannot draw {path.name}: the name must end in {', '.join(FORMATS)}")
    if path.suffix != ".gv" and shutil.which("dot") is None:
        raise FileNotFoundError(
            "drawing needs the program `dot`: install Graphviz (apt or brew install graphviz), or "
            f"write the source of the drawing alone: {path.with_suffix('.gv')}"
        )
    first = next(model.parameters())
    picture = torch.zeros(1, 3, GRAPH_PX, GRAPH_PX, device=first.device, dtype=first.dtype)
    trained = [p for p in model.parameters() if p.requires_grad]
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        try:
            model.requires_grad_(True)  # frozen parts belong to the drawing too
            answer = model(picture, picture)
        finally:
            model.requires_grad_(False)
            for parameter in trained:
                parameter.requires_grad_(True)
        results = {name: x.clone() for name, x in answer._asdict().items() if x is not None}
        graph = make_dot(tuple(results.values()), params={**dict(model.named_parameters()), **results})
    _tidy(graph)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.source.encode() if path.suffix == ".gv" else graph.pipe(path.suffix[1:]))
    return path


def _tidy(graph: "Digraph") -> None:
    """Write the layer's name on its operation instead of a box per parameter, and leave silent ones out.

    torchviz names boxes by their place in memory; here they are counted, so that sources can be compared.
    """
    boxes = {m[1]: (re.sub(r"Backward\d", "", m[2]), m[3]) for m in map(NODE.fullmatch, graph.body) if m}
    edges = [m.groups() for m in map(EDGE.match, graph.body) if m]
    received = {box: [a for a, b in edges if b == box] for box in boxes}

    def origins(box: str) -> list[str]:
        """What a box receives, silent operations skipped."""
        return [end for a in received[box] for end in (origins(a) if boxes[a][0] in SILENT else [a])]

    shown = [box for box, (label, colour) in boxes.items() if label not in SILENT and colour != "lightblue"]
    number = {box: str(i) for i, box in enumerate(shown)}
    graph.body.clear()
    for box in shown:
        label, colour = boxes[box]
        owned = [boxes[a][0].splitlines()[0] for a in origins(box) if boxes[a][1] == "lightblue"]
        layers = dict.fromkeys(name.rpartition(".")[0] for name in owned)
        graph.node(number[box], "\n".join([*layers, label]), fillcolor="lightblue" if layers else colour)
        for origin in dict.fromkeys(origins(box)):
            if origin in number:
                graph.edge(number[origin], number[box])
    del graph.graph_attr["size"]  # as large as the letters need
