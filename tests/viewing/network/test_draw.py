"""Drawings of a network, as a user orders them."""

import numpy as np
import pytest
from PIL import Image

from mdlib.modeling.registry import create_model, save_model


def test_draw_a_saved_model(command_line, tmp_path):
    saved, out = save_model(create_model("conv2-mask"), tmp_path / "model"), tmp_path / "new/out"
    done = command_line("draw", saved, "--out", out, "--format", "gv", "--size", 32)
    assert done.code == 0, done.err
    assert done.out.split() == [str(out / name) for name in ("summary.txt", "blocks.gv", "graph.gv")]
    assert "64 x 16 x 16" in (out / "blocks.gv").read_text()
    assert "encoder.0.0" in (out / "graph.gv").read_text()
    assert "two pictures, 3 x 32 x 32" in (out / "summary.txt").read_text()


@pytest.mark.parametrize(("name", "cells"), [("mdnet", 4), ("conv2-mask", 3)])
def test_draw_where_a_network_looks(command_line, tmp_path, name, cells):
    for i in (0, 1):
        noise = np.random.default_rng(i).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    pictures = (tmp_path / "0.png", tmp_path / "1.png")
    done = command_line("draw", name, "--out", tmp_path / "out", "--format", "gv", "--pictures", *pictures)
    assert done.code == 0, done.err
    with Image.open(tmp_path / "out/attention.png") as img:
        assert img.width > 200 * cells


def test_drawings_go_into_a_folder(command_line, tmp_path):
    done = command_line("draw", "fcn", "--out", tmp_path / "fcn.svg")
    assert done.code == 2 and "fcn.svg is the name of a file, but --out is a folder" in done.err


def test_wrong_names_are_explained(command_line, tmp_path):
    for command in ("summary", "draw"):
        done = command_line(command, "mdnett")
        assert done.code == 2
        assert "'mdnett' is neither a folder" in done.err and "unet-twin" in done.err
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    assert "not finished" in command_line("summary", tmp_path / "run").err
    assert "expected at least 16" in command_line("summary", "fcn", "--size", 8).err
