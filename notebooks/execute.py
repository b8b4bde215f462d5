"""Runs the notebooks and keeps what they show, small and without traces of this machine.

    python notebooks/execute.py                  all of them (make notebooks)
    python notebooks/execute.py 02 03            some, by the beginning of their names
    python notebooks/execute.py 04 --set STEPS=50 --out /tmp/04.ipynb    with other parameters, elsewhere

Data sets and runs stay in notebooks/mdlib-work and are used again; delete it to start from nothing.
"""

import argparse
import ast
import base64
import hashlib
import io
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 3600  # of a cell
WIDEST_PX, JPEG_QUALITY = 800, 75
WIDGET = "application/vnd.jupyter.widget-view+json"
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # in memory: another one in each run


def notebook_paths() -> list[Path]:
    """All notebooks, in their order."""
    return sorted(HERE.glob("[0-9][0-9]_*.ipynb"))


def execute(
    path: Path, folder: Path, parameters: dict[str, object] | None = None, timeout_s: int = TIMEOUT_S
) -> NotebookNode:
    """The notebook run from top to bottom in a fresh kernel, with `folder` as the current folder.

    `parameters` go into a cell after the one tagged "parameters". Raises nbclient's CellExecutionError.
    """
    notebook = with_parameters(nbformat.read(path, as_version=4), parameters or {})
    search = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    client = NotebookClient(
        notebook, timeout=timeout_s, kernel_name="python3", store_widget_state=False, record_timing=False
    )
    client.execute(cwd=str(folder), env=os.environ | {"PYTHONPATH": search})
    return notebook


def with_parameters(notebook: NotebookNode, parameters: dict[str, object]) -> NotebookNode:
    """The notebook with a cell that sets `parameters` after the one tagged "parameters"."""
    if parameters:
        tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
        lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        notebook.cells.insert(tagged[0] + 1, nbformat.v4.new_code_cell(lines))
    return notebook


def digest(notebook: NotebookNode) -> str:
    """One checksum of all code: outputs belong to the code that has the checksum kept beside them."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\n# %%\n".join(code).encode()).hexdigest()


def tidy(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Leave what a reader wants to see: no progress bars, no widgets, no paths of this machine."""
    for cell in notebook.cells:
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k in ("tags", "cellView")})
        if cell.cell_type == "code":
            kept = [output for output in map(_tidy_output, cell.outputs) if output is not None]
            cell.outputs = _joined(kept)
            for output in cell.outputs:
                _make_relative(output, folder)
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
        mdlib={"code_sha256": digest(notebook)},
    )
    return notebook


def _tidy_output(output: NotebookNode) -> NotebookNode | None:
    if output.output_type == "stream":
        bar = output.name == "stderr" and ("\r" in output.text or "it/s]" in output.text)
        return None if bar or not output.text.strip() else output
    data = output.get("data", {})
    if WIDGET in data:
        return None
    for kind in {"image/png", "image/jpeg"} & set(data):
        _recode(data, kind)
    if any(kind != "text/plain" for kind in data):
        data.pop("text/plain", None)  # such as <Figure size 640x480>
    output.metadata = NotebookNode()
    return output


def _recode(data: NotebookNode, kind: str) -> None:
    """No wider than a page; photographs as JPEG, drawings, which have few colours, as PNG."""
    with Image.open(io.BytesIO(base64.b64decode(data[kind]))) as opened:
        img = opened.convert("RGB")
    if kind == "image/jpeg" and img.width <= WIDEST_PX:
        return
    if img.width > WIDEST_PX:
        img = img.resize((WIDEST_PX, round(img.height * WIDEST_PX / img.width)), Image.Resampling.LANCZOS)
    jpeg, png = io.BytesIO(), io.BytesIO()
    img.save(jpeg, "JPEG", quality=JPEG_QUALITY, optimize=True)
    img.quantize(256, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    drawing = 2 * png.tell() < jpeg.tell()
    del data[kind]
    kind, kept = ("image/png", png) if drawing else ("image/jpeg", jpeg)
    data[kind] = base64.b64encode(kept.getvalue()).decode()


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Streams of the same name that follow one another as one."""
    result: list[NotebookNode] = []
    for output in outputs:
        last = result[-1] if result else None
        if last and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            result.append(output)
    return result


def _make_relative(output: NotebookNode, folder: Path) -> None:
    texts = output if "text" in output else output.get("data", {})
    for kind in ("text", "text/plain", "text/html", "text/markdown"):
        if kind in texts:
            texts[kind] = ADDRESS.sub("", texts[kind].replace(f"{folder}/", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="beginnings of the names of notebooks; none: all")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="parameters")
    parser.add_argument("--out", type=Path, help="write it here, not over its source")
    options = parser.parse_args()
    parameters = dict(text.split("=", 1) for text in options.set)
    parameters = {name: ast.literal_eval(value) for name, value in parameters.items()}
    if parameters and not options.out:
        parser.error("--set changes what the outputs show: say with --out where to write them")
    for path in notebook_paths():
        if options.names and not path.name.startswith(tuple(options.names)):
            continue
        begin = time.monotonic()
        notebook = tidy(execute(path, HERE, parameters), HERE)
        out = options.out or path
        nbformat.write(notebook, out)
        size_kb = out.stat().st_size / 1e3
        print(f"{path.name}: {time.monotonic() - begin:.0f} s, {size_kb:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
