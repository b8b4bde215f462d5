"""summary and draw, as a user types them."""

import re

import numpy as np
import pytest
from PIL import Image

from mdlib.modeling.registry import create_model, save_model


def test_summary_tells_layers_and_costs(command_line):
    done = command_line("summary", "mdnet", "--size", 32, "--rounds", 1)
    assert done.code == 0, done.err
    assert "Conv2d-1 " in done.out and "Total params: 793,588" in done.out
    assert re.search(r"^Multiply-adds of a prediction: 0\.02 billion$", done.out, re.M)
    assert re.search(r"^Latency of a prediction: [\d.]+ ms \(CPU, \d+ threads, batch 1", done.out, re.M)
    assert re.search(r"^Memory of a prediction \(MB\): ", done.out, re.M)


def test_draw_the_graph_of_a_saved_model(command_line, tmp_path):
    saved = save_model(create_model("conv2-mask"), tmp_path / "model")
    done = command_line("draw", saved, "--out", tmp_path / "graph.gv")
    assert (done.code, done.out) == (0, f"{tmp_path / 'graph.gv'}\n")
    assert (tmp_path / "graph.gv").read_text().startswith("digraph")


@pytest.mark.parametrize(("name", "cells"), [("mdnet", 4), ("conv2-mask", 3)])
def test_draw_where_a_network_looks(command_line, tmp_path, name, cells):
    for i in (0, 1):
        noise = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    out = tmp_path / "new/cam.png"
    done = command_line("draw", name, "--out", out, "--pictures", tmp_path / "0.png", tmp_path / "1.png")
    assert (done.code, done.out) == (0, f"{out}\n"), done.err
    with Image.open(out) as img:
        assert img.width > 200 * cells


def test_wrong_names_are_explained(command_line, tmp_path):
    for command in ("summary", "draw"):
        done = command_line(command, "mdnett")
        assert done.code == 2
        assert "'mdnett' is neither a folder" in done.err and "unet-twin" in done.err
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    assert "not finished" in command_line("summary", tmp_path / "run").err
    assert "expected at least 16" in command_line("summary", "fcn", "--size", 8).err
