"""The live plot, in a real kernel: it follows a run that is written, and leaves a picture behind."""

import base64
import io
import json
import threading

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from mdlib.viewing.live_plot import LivePlot

ROW = {
    "epoch": 0, "stage": 0, "lr": 1e-3, "losses": {"total": 1.0, "mask_bce": 0.5}, "elapsed_s": 4.0,
    "samples_per_s": 9.0, "data_wait": 0.1, "memory_mb": {"host": 900.0, "gpu": None},
}  # fmt: skip


def add(run, row: dict) -> None:
    run.mkdir(exist_ok=True)
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_it_shows_what_the_files_say(tmp_path):
    run = tmp_path / "run"
    plot = LivePlot(run)
    nothing = picture(plot.png())
    for step in (5, 10):
        add(run, {"step": step, **ROW})
    curves = picture(plot.png())
    assert curves.shape == nothing.shape
    assert (curves != nothing).any()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 15, "epo')  # training is just writing it
    np.testing.assert_array_equal(picture(plot.png()), curves)
    (run / "samples").mkdir()
    for step, colour in ((5, (255, 0, 0)), (10, (0, 0, 255))):
        Image.new("RGB", (curves.shape[1], 30), colour).save(run / f"samples/step-{step:08d}.png")
    both = picture(plot.png())
    np.testing.assert_array_equal(both[: len(curves)], curves)
    assert (both[len(curves) :] == (0, 0, 255)).all()  # the newest sheet


def test_a_pace_is_needed(tmp_path):
    with pytest.raises(ValueError, match="every_s is 0; expected more than 0 seconds"):
        LivePlot(tmp_path, every_s=0)


def test_it_can_be_stopped_and_started(tmp_path):
    before = threading.active_count()
    plot = LivePlot(tmp_path)
    plot.stop()  # nothing to stop
    for _ in range(2):
        plot.start()
        plot.stop()
        plot.stop()
    assert threading.active_count() == before


CELLS = [
    """
import json, time
from pathlib import Path
from mdlib.viewing.live_plot import LivePlot
run, row = Path("run"), json.loads('''ROW''')
def add(step):
    run.mkdir(exist_ok=True)
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": step, **row}) + "\\n")
""",
    "with LivePlot(run, every_s=3600) as plot:\n    shown = plot.png()\n    add(5)\n    add(10)",
    """
plot = LivePlot(run, every_s=0.05).start()
before = plot._seen
add(15)
while plot._seen == before:
    time.sleep(0.01)
""",
    "add(20)\nplot.stop()",
    "LivePlot(run).show()",
]


def test_in_a_notebook_the_last_picture_stays(tmp_path):
    """Training in the cell, training elsewhere while a cell runs, and the same again after a reload."""
    cells = [nbformat.v4.new_code_cell(cell.replace("ROW", json.dumps(ROW))) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
    client.execute()
    outputs = [[out for out in cell.outputs if "data" in out] for cell in notebook.cells]
    assert [len(found) for found in outputs] == [0, 1, 1, 0, 1]
    pngs = [base64.b64decode(found[0].data["image/png"]) for found in outputs if found]
    run = tmp_path / "run"
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    assert len(rows) == 4
    for png, count in zip(pngs, (2, 4, 4), strict=True):
        (run / "metrics.jsonl").write_text("".join(rows[:count]))
        np.testing.assert_array_equal(picture(png), picture(LivePlot(run).png()))
