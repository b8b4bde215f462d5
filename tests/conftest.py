"""What several test files share: real pictures, a small data set, system programs, the command line."""

import contextlib
import io
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True, scope="session")
def _one_core_each():
    """Tests run side by side; more threads would only disturb each other."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Where setup.py lies."""
    return REPOSITORY


@pytest.fixture(scope="session")
def office() -> Path:
    """Real rooms and cut-outs: folders bg, fg, fg_mask (see the README, "Results")."""
    folder = Path(os.environ.get("MDLIB_OFFICE", REPOSITORY.parent / "shared/data/office"))
    if not (folder / "bg").is_dir():
        pytest.skip(f"needs the office pictures (bg, fg, fg_mask) in {folder}, or MDLIB_OFFICE=FOLDER")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory) -> Path:
    """A data set of 6 made-up rooms x 5 props x 2 flips x 2 placements, 64 px, metric depth. Read only."""
    from mdlib.creation.create import CreateConfig, create

    out = tmp_path_factory.mktemp("tiny") / "data"
    return create(CreateConfig(out=out, rooms=6, props=5, placements=2, flip=True, size=64, workers=1))


class Output(NamedTuple):
    """What a command gave back: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def command_line():
    """Runs a command of `python -m mdlib` in this process: command_line("info", folder) -> Output."""
    from mdlib.__main__ import main

    def run(*words: object) -> Output:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(word) for word in words])
            except SystemExit as stopped:  # help, and options that do not exist
                code = stopped.code
        return Output(code, out.getvalue(), err.getvalue())

    return run


def _program(name: str, package: str) -> Path:
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"the program {name!r} is missing; .ci/run should have installed the package {package!r}")
    if found is None:
        pytest.skip(f"needs the program {name!r}: install the system package {package!r}")
    return Path(found)


@pytest.fixture(scope="session")
def graphviz() -> Path:
    """The program `dot`; missing, a test is skipped on a laptop and fails where CI=true."""
    return _program("dot", "graphviz")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser; missing, a test is skipped on a laptop and fails where CI=true."""
    return _program("chromium", "chromium")
