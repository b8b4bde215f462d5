"""The command line from data to panel, as a user types it."""

import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mdlib.cli import COMMANDS
from mdlib.loading.codec import decode
from mdlib.viewing.predict import Predictor


@pytest.fixture(scope="module")
def run(tiny_dataset, command_line, tmp_path_factory):
    """A run folder, trained for a few steps by the command."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    few = ("--steps", 3, "--batch-size", 4, "--checks", 1, "--check-pairs", 4)
    done = command_line("train", tiny_dataset, "--run", folder, *few)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(folder)
    return folder


def test_create_then_info(command_line, tmp_path):
    out = tmp_path / "data"
    few = ("--rooms", 2, "--props", 2, "--placements", 1, "--no-flip", "--size", 32, "--workers", 1)
    done = command_line("create", out, *few)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(out)
    info = command_line("info", out, "--check")
    assert info.code == 0, info.err
    assert re.search(r"\b4 samples|samples\W+4\b", info.out)


def test_evaluate(run, tiny_dataset, command_line, tmp_path):
    file = tmp_path / "new/result.json"
    done = command_line("evaluate", tiny_dataset, "--weights", run, "--json", file, "--pairs", 2)
    assert done.code == 0, done.err
    result = json.loads(file.read_text())
    assert set(result["sets"]) == {"train", "new_fg", "new_bg", "new_both"}
    assert file.with_suffix(".md").read_text() in done.out


def test_sample_then_predict(run, tiny_dataset, command_line, tmp_path):
    done = command_line(
        "sample", tiny_dataset, "--set", "new_both", "--index", 1, "--out", tmp_path / "sample"
    )
    assert done.code == 0, done.err
    pair = tmp_path / "sample/bg.png", tmp_path / "sample/fg_bg.png"
    done = command_line("predict", *pair, "--weights", run, "--out", tmp_path / "prediction")
    assert done.code == 0, done.err
    names = ["mask.png", "depth.png", "overlay.png", "panel.png"]
    assert done.out.split() == [str(tmp_path / "prediction" / name) for name in names]
    expected = Predictor.load(run)(*pair)
    mask, depth = (decode((tmp_path / "prediction" / name).read_bytes()) for name in names[:2])
    np.testing.assert_array_equal(mask, np.rint(expected.mask * 255))
    np.testing.assert_array_equal(depth, np.rint(expected.depth * 65535))
    with Image.open(tmp_path / "prediction/panel.png") as panel:
        assert panel.width > 4 * 64
    done = command_line("predict", *pair, "--out", tmp_path / "packaged")  # with the weights of the package
    assert done.code == 0, done.err
    mask = decode((tmp_path / "packaged/mask.png").read_bytes())
    np.testing.assert_array_equal(mask, np.rint(Predictor.load("mdnet")(*pair).mask * 255))


def test_what_a_file_says(run, tiny_dataset, command_line, tmp_path):
    """A finished run's config.json and a data set's recipe.json, as they are."""
    done = command_line("train", "--config", run / "config.json", "--run", tmp_path / "again")
    assert done.code == 0, done.err
    weights = "model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (run / weights).read_bytes()
    done = command_line("create", tmp_path / "data", "--config", tiny_dataset / "recipe.json", "--workers", 1)
    assert done.code == 0, done.err
    for name in ("dataset.json", "shard-00000.zip"):
        assert (tmp_path / "data" / name).read_bytes() == (tiny_dataset / name).read_bytes()


@pytest.mark.parametrize("command", ["train", "create"])
def test_help_is_short(command, command_line, monkeypatch):
    """A dozen options, one line each; the long texts are for --help-all."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = command_line(command, "--help").out.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    assert 12 <= len([line for line in lines if re.match(r"\W*--[a-z]", line)]) <= 18
    assert len(command_line(command, "--help-all").out.splitlines()) > 2 * len(lines)


def test_help_of_train_needs_no_torch():
    code = """
import sys
from mdlib.cli import main
try:
    main(["train", "--help"])
except SystemExit:
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, command_line):
    done = command_line(command, "--help")
    assert done.code == 0
    assert f"usage: python -m mdlib {command}" in done.out


def test_list_of_commands_is_light():
    """It needs none of the heavy libraries."""
    code = "import sys; from mdlib.cli import main; main(['--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    *lines, has_torch = done.stdout.splitlines()
    assert has_torch == "False"
    assert all(any(line.split()[:1] == [command] for line in lines) for command in COMMANDS)
    assert [line for line in lines if line in ("data:", "train:", "use:")] == ["data:", "train:", "use:"]


def test_exit_codes_reach_the_shell():
    for words, code in ((["--version"], 0), (["--help"], 0), ([], 2), (["bake"], 2)):
        done = subprocess.run([sys.executable, "-m", "mdlib", *words], capture_output=True, text=True)
        assert done.returncode == code
        assert bool(done.stderr) == bool(code)


def test_commands_of_the_readme_exist(repository, command_line):
    """Each `python -m mdlib` line of README, docs and Makefile: its command and its options are there."""
    pages = [repository / "README.md", *sorted((repository / "docs").glob("*.md")), repository / "Makefile"]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    lines = re.findall(r"-m mdlib (?:-- )?([a-z][a-z-]* [^\n`#]*)", text.replace("\\\n", " "))
    assert {line.split()[0] for line in lines} >= set(COMMANDS)  # all are told about
    for line in lines:
        command, *words = shlex.split(line)
        options = set(re.findall(r"--[a-z-]+", command_line(command, "--help-all").out))
        assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_that_cannot_print_a_name(tmp_path, encoding):
    """The folder and a picture bear names that are in no code page of the console."""
    folder = tmp_path / "中文 données"
    (folder / "bg").mkdir(parents=True)
    for k in range(2):
        noise = np.random.default_rng(k).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"bg/部屋{k}.png")
    few = ("--props", "1", "--placements", "1", "--no-flip", "--size", "32", "--workers", "1")
    told = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}

    def command(*words: object) -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", "mdlib", *map(str, words)]
        return subprocess.run(line, env=os.environ | told, capture_output=True, timeout=120)

    made = command("create", folder / "out", "--bg", folder / "bg", *few)
    assert made.returncode == 0, made.stderr
    assert rb"\u4e2d\u6587 donn" in made.stdout.splitlines()[-1]
    (folder / "bg/部屋0.png").write_bytes(b"not a picture")
    wrong = command("create", folder / "other", "--bg", folder / "bg", *few)
    assert wrong.returncode == 2 and rb"\u90e8\u5c4b0.png is not a picture" in wrong.stderr
