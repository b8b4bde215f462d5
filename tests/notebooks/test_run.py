"""Every notebook runs from top to bottom in a fresh kernel and an empty folder: small, and as it is."""

import json
import os
import signal
import threading
import time

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

TINY = {"SIZE": 64, "ROOMS": 4, "OBJECTS": 4, "SEED": 0}
OWN = {
    "01": {},
    "02": {"MEMBERS": 3000, "READS": 300, "SECONDS": 0.2},
    "03": {"TRAIN_SIZE": 32, "STEPS": 8},
    "04": {"STEPS": 4, "RATES": 10, "KILL_STEPS": 30},
    "05": {"STEPS": 4, "PAIRS": 2},
}


def run(execute, number, folder, **parameters):
    (path,) = (path for path in execute.notebook_paths() if path.name.startswith(number))
    return execute.execute(path, folder, {**TINY, **OWN[number], **parameters}, timeout_s=600)


def texts(notebook) -> str:
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    tables = [str(o.get("data", {}).get("text/markdown", "")) for o in outputs]
    return "\n".join([*(str(o.get("text", "")) for o in outputs), *tables])


def test_01_killed_in_the_middle_and_run_again(execute, teachers, tmp_path):
    """The kernel dies while the data set is made; the same notebook then finishes it, and runs to its end."""
    source = next(path for path in execute.notebook_paths() if path.name.startswith("01"))
    tiny = {**TINY, "TEACHER": str(teachers("near"))}
    notebook = execute.with_parameters(nbformat.read(source, as_version=4), tiny)
    environment = os.environ | {"PYTHONPATH": str(execute.HERE.parent)}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", store_widget_state=False)
    ended = threading.Event()

    def kill_once_begun() -> None:
        while not ended.wait(0.02):
            if any((tmp_path / "mdlib-work").glob("rooms-*/recipe.json")):
                os.kill(client.km.provisioner.pid, signal.SIGKILL)
                return

    killer = threading.Thread(target=kill_once_begun)
    killer.start()
    try:
        with pytest.raises(DeadKernelError):
            client.execute(cwd=str(tmp_path), env=environment)
    finally:
        ended.set()
        killer.join()
    (data,) = (tmp_path / "mdlib-work").glob("rooms-*")
    assert not (data / "dataset.json").exists()
    done = run(execute, "01", tmp_path, TEACHER=str(teachers("near")))
    assert json.loads((data / "dataset.json").read_text())["counts"]["samples"] == 32
    assert "guessed, rank correlation" in str([cell.source for cell in done.cells])
    assert "No teacher here" not in texts(done)
    assert "the same to the last bit" in texts(done)


def test_01_without_a_teacher_says_so(execute, tmp_path, tiny_dataset):
    notebook = nbformat.read(execute.notebook_paths()[0], as_version=4)
    source = next(cell.source for cell in notebook.cells if "guess(TEACHER" in cell.source)
    code = f"""
import numpy as np
import matplotlib
matplotlib.use("agg")
from mdlib.viewing.figures import depth_colours, depth_range, pictures
from types import SimpleNamespace
TEACHER = "./nowhere"
room = SimpleNamespace(rgb=np.zeros((32, 32, 3), np.uint8), z=np.linspace(1, 5, 1024).reshape(32, 32))
{source}
"""
    cell = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(cell, tmp_path / "one.ipynb")
    done = execute.execute(tmp_path / "one.ipynb", tmp_path)
    assert "No teacher here, so only the truth is shown: there is no such folder" in texts(done)


def test_02(execute, tmp_path):
    """Alone: it makes the data set that it needs."""
    assert "samples in 4 files" in texts(run(execute, "02", tmp_path))


def test_03(execute, tmp_path, tiny_dataset):
    assert "unet-twin" in texts(run(execute, "03", tmp_path, DATA=str(tiny_dataset)))


def test_04(execute, tmp_path, tiny_dataset):
    said = texts(run(execute, "04", tmp_path, DATA=str(tiny_dataset)))
    assert "killed with exit code -9" in said
    assert "kill-B goes on from step" in said and "lost goes on from step" in said
    assert "0 tensors differ" in said


def test_05(execute, tmp_path, tiny_dataset):
    """Alone: it trains the run that it needs, and all panels live."""
    done = run(execute, "05", tmp_path, DATA=str(tiny_dataset))
    assert "mean of the ten" in texts(done)
    widgets = [o for c in done.cells for o in c.get("outputs", []) if execute.WIDGET in o.get("data", {})]
    assert len(widgets) >= 5


@pytest.mark.slow
def test_all_as_they_are(execute, tmp_path):
    """With the defaults, one after the other in one folder: at most twelve minutes on two idle cores."""
    begin = time.monotonic()
    for path in execute.notebook_paths():
        execute.execute(path, tmp_path)
    print(f"all five notebooks: {time.monotonic() - begin:.0f} s")
