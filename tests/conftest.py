"""What several test files share: real pictures, a small data set, system programs, the command line."""

import contextlib
import io
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True, scope="session")
def _one_core_each():
    """Tests run side by side; more threads would only disturb each other."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(autouse=True, scope="session")
def _interrupts_arrive():
    """What a shell starts in the background ignores them, and so would all processes that tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Where setup.py lies."""
    return REPOSITORY


@pytest.fixture(scope="session")
def office() -> Path:
    """Real rooms and cut-outs: folders bg, fg, fg_mask (see docs/data.md)."""
    folder = Path(os.environ.get("MDLIB_OFFICE", REPOSITORY.parent / "shared/data/office"))
    if not (folder / "bg").is_dir():
        pytest.skip(f"needs the office pictures (bg, fg, fg_mask) in {folder}, or MDLIB_OFFICE=FOLDER")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory) -> Path:
    """A data set of 6 made-up rooms x 5 props x 2 flips x 2 placements, 64 px, metric depth. Read only."""
    from mdlib.creation.config import CreateConfig
    from mdlib.creation.create import create

    out = tmp_path_factory.mktemp("tiny") / "data"
    return create(CreateConfig(out=out, rooms=6, props=5, placements=2, flip=True, size=64, workers=1))


@pytest.fixture(scope="session")
def wait_until():
    """wait_until(condition, seconds, said) returns once condition() holds; fails with what said() returns."""

    def wait(condition: Callable, seconds: float = 20, said: Callable = lambda: "nothing said") -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {said()}"
            time.sleep(0.01)

    return wait


class Output(NamedTuple):
    """What a command gave back: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def command_line():
    """Runs a command of `python -m mdlib` in this process: command_line("info", folder) -> Output."""
    from mdlib.cli import main

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


@pytest.fixture(scope="session")
def teachers(tmp_path_factory) -> Callable[[str], Path]:
    """Folders of tiny networks (192,000 weights): teachers("near") answers every picture with the closeness
    of a corridor, teachers("far") with the opposite, teachers("blind") always with 0.5."""
    pytest.importorskip("transformers", reason='needs transformers: pip install "mdlib[teacher]"')
    import torch
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    folder = tmp_path_factory.mktemp("teachers")
    config = DPTConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
        intermediate_size=32, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16],
        initializer_range=0.1, fusion_hidden_size=32, readout_type="ignore", use_auxiliary_head=False,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DPTForDepthEstimation(config)

        def save(name: str) -> None:
            network.save_pretrained(folder / name)
            DPTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder / name)

        # Position decides almost everything: each patch is told its own, and of the last features such a sum
        # is taken as comes nearest to a corridor, whose floor is nearer than its ceiling.
        y, x = torch.meshgrid(torch.linspace(0, 1, 4), torch.linspace(0, 1, 4), indexing="ij")
        place = torch.stack([y, x, (y - 0.4).abs(), (x - 0.5).abs()], -1).reshape(16, 4)
        network.dpt.embeddings.position_embeddings.data[0, 1:] = 50 * place @ torch.randn(4, 16)
        y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
        corridor = torch.maximum((y - 0.4).abs(), (x - 0.5).abs()) + 0.3 * y + 0.2
        features = []
        last = network.head.head[-2]  # a convolution of 1 x 1, before the last ReLU
        last.register_forward_pre_hook(lambda _, given: features.append(given[0]))
        with torch.no_grad():
            network.eval()(pixel_values=torch.rand(8, 3, 1, 1) * 2 - 1 + torch.randn(8, 3, 32, 32) / 3)
            last.weight.zero_(), last.bias.fill_(0.5)
            save("blind")
            known = torch.cat([features[0], torch.ones(8, 1, 64, 64)], 1).permute(0, 2, 3, 1).reshape(-1, 33)
            wanted = corridor.repeat(8, 1).reshape(-1, 1)
            fitted = torch.linalg.lstsq(known.double(), wanted.double(), driver="gelsd").solution[:, 0]
            last.weight[0, :, 0, 0], last.bias[0] = fitted[:-1], fitted[-1]
            save("near")
            last.weight.neg_(), last.bias.neg_().add_(1.5)
            save("far")
    return lambda name: folder / name
