"""Wrong input on the command line: exit code 2 and one sentence that says what to do, never a trace."""

import errno

import numpy as np
import pytest
from PIL import Image

from mdlib.cli import main, run_command
from mdlib.modeling.registry import create_model, save_model


@pytest.fixture
def pictures(tmp_path):
    """Folder with a.png (40 x 30), b.png (41 x 30), tiny.png (10 x 10), note.png (a text), cut.jpg (half)."""
    for name, size in (
        ("a.png", (40, 30)),
        ("b.png", (41, 30)),
        ("tiny.png", (10, 10)),
        ("cut.jpg", (200, 200)),
    ):
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / name)
    half = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(half[: len(half) // 2])
    (tmp_path / "note.png").write_text("not a picture")
    return tmp_path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_model(create_model("mdnet"), tmp_path_factory.mktemp("model"))


def sentence(done) -> str:
    """The one line on stderr, after making sure that it is one."""
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("bg", "fg_bg", "words"),
    [
        ("a.png", "b.png", ["40 x 30", "41 x 30", "same"]),
        ("tiny.png", "tiny.png", ["10 x 10", "16"]),
        ("note.png", "a.png", ["note.png", "not a picture"]),
        ("a.png", "cut.jpg", ["cut.jpg", "damaged"]),
        ("a.png", "missing.png", ["missing.png", "no such"]),
    ],
)
def test_predict_wrong_pictures(command_line, pictures, weights, bg, fg_bg, words):
    out = pictures / "out"
    line = sentence(
        command_line("predict", pictures / bg, pictures / fg_bg, "--weights", weights, "--out", out)
    )
    assert [word for word in words if word not in line] == []
    assert not out.exists()


def test_predict_without_weights(command_line, pictures):
    pair = pictures / "a.png", pictures / "a.png"
    assert "nowhere" in sentence(command_line("predict", *pair, "--weights", pictures / "nowhere"))
    (pictures / "run/checkpoints").mkdir(parents=True)
    assert "not finished" in sentence(command_line("predict", *pair, "--weights", pictures / "run"))


def test_predict_out_is_a_file(command_line, pictures, weights):
    pair = pictures / "a.png", pictures / "a.png"
    done = command_line("predict", *pair, "--weights", weights, "--out", pictures / "a.png")
    assert "a.png" in sentence(done)


@pytest.mark.parametrize("command", ["info", "train", "evaluate", "sample"])
def test_missing_data_set(command_line, tmp_path, weights, command):
    more = {"evaluate": ("--weights", weights), "train": ("--run", tmp_path / "run")}.get(command, ())
    line = sentence(command_line(command, tmp_path / "nothing", *more))
    assert "nothing" in line
    assert not (tmp_path / "run").exists()


def test_unknown_names(command_line, tiny_dataset, tmp_path):
    run = tmp_path / "run"
    line = sentence(command_line("train", tiny_dataset, "--run", run, "--model", "mdnett", "--steps", 1))
    assert "mdnett" in line
    assert "did you mean 'mdnet'" in line
    line = sentence(command_line("train", tiny_dataset, "--run", run, "--loss", "luck", "--steps", 1))
    assert "luck" in line
    assert not run.exists()


def test_sample_beyond_the_end(command_line, tiny_dataset, tmp_path):
    line = sentence(command_line("sample", tiny_dataset, "--index", 10_000, "--out", tmp_path / "x"))
    assert "--index 10000" in line
    assert not (tmp_path / "x").exists()


def test_create_from_nothing(command_line, tmp_path):
    assert "--rooms" in sentence(command_line("create", tmp_path / "data"))
    done = command_line("create", tmp_path / "data", "--bg", tmp_path / "none", "--props", 1)
    assert "none" in sentence(done)


@pytest.mark.parametrize("option", [["--drop-every", "0.3"], ["--drop_every=0.3"]])
def test_an_option_that_is_gone(command_line, tmp_path, option):
    line = sentence(command_line("train", tmp_path, *option))
    assert "drop_every is no option any more" in line
    assert "drop_at 0.3 0.6 0.9" in line


def test_wrong_usage(command_line):
    assert "bake" in sentence(command_line("bake"))
    done = command_line("predict", "a.png", "b.png", "--weights", "run", "--oven", "hot")
    assert done.code == 2
    assert "--oven" in done.err
    done = command_line("train", "data", "--batch-size", -1)
    assert done.code == 2
    assert "batch_size" in done.err


def test_debug_shows_the_trace(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        main(["info", str(tmp_path / "nothing"), "--debug"])
    monkeypatch.setenv("MDLIB_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        main(["info", str(tmp_path / "nothing")])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.zip"), "No space left on device: x.zip"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("give more"), "give more"),
        (RuntimeError("GPU is full"), "GPU is full (--debug shows where)"),
    ],
)
def test_sentence_of_an_error(capsys, error, line):
    def fails(arguments):
        raise error

    assert run_command(fails, [], debug=False) == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


def test_mistakes_of_the_program_are_not_hidden():
    with pytest.raises(KeyError):
        run_command(lambda arguments: {}["x"], [], debug=False)


def test_ctrl_c(capsys):
    def stopped(arguments):
        raise KeyboardInterrupt

    assert run_command(stopped, [], debug=False) == 130
    assert capsys.readouterr() == ("", "stopped\n")
