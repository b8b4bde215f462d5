"""Stopped in any way and run again: the same bytes, and a sentence that says how to go on."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pytest

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.info import info
from mdlib.creation.resumable import write_card_if_missing
from mdlib.creation.writing import card
from mdlib.loading.format import shard_name


def quiet(out, **options):
    return create(CreateConfig(out=out, **options), progress=False)


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def command(out, pictures, **options):
    words = [sys.executable, "-m", "mdlib", "create", out, "--bg", pictures["bg"], "--fg", pictures["fg"]]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", value]
    return [str(word) for word in words]


def stop_midway(words, out, ask, shard=1):
    """Start the command, have `ask` stop it when that shard is there, wait for it and its workers."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 200
    while not (out / shard_name(shard)).exists():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.005)
    ask(process)
    message = process.communicate(timeout=200)[1]  # returns when the workers, too, have closed it
    assert not (out / "dataset.json").exists()
    return process.returncode, message


@pytest.fixture(scope="module")
def longer(pictures) -> dict:
    """Options of a set that takes a few seconds."""
    return {**pictures, "placements": 50, "size": 80}


def test_killed_and_run_again_gives_the_bytes_of_an_uninterrupted_run(pictures, longer, tmp_path):
    out = tmp_path / "killed"
    words = command(out, pictures, placements=50, size=80, workers=2)
    for shard in (1, 2):  # twice
        code, _ = stop_midway(words, out, lambda process: process.send_signal(signal.SIGKILL), shard)
        assert code == -signal.SIGKILL
    for path in out.glob("shard-*.zip"):  # whatever has its final name is whole
        with zipfile.ZipFile(path) as shard:
            assert shard.testzip() is None
    finished = {name: data for name, data in files(out).items() if name[0] != "."}
    quiet(out, **longer, workers=1)
    assert files(out) == files(quiet(tmp_path / "whole", **longer, workers=1))
    assert {name: data for name, data in files(out).items() if name in finished} == finished


def test_an_interrupt_says_how_to_go_on_and_leaves_nothing_half_written(pictures, tmp_path):
    out = tmp_path / "interrupted"
    words = command(out, pictures, placements=50, size=80, workers=2)
    code, message = stop_midway(words, out, lambda process: os.killpg(process.pid, signal.SIGINT))
    assert code == 130 and "Traceback" not in message
    assert not list(out.glob(".*"))


def test_a_full_disk_is_explained_and_leaves_only_whole_shards(pictures, small, tmp_path):
    """A limit on the size of files fails a write like a full disk does, in the middle of a shard."""
    words = command(tmp_path / "full", pictures, placements=3, size="64 80", workers=1)
    words[words.index("64 80") : words.index("64 80") + 1] = ["64", "80"]
    sizes = sorted(path.stat().st_size for path in small.glob("shard-*.zip"))
    limit = (sizes[0] + sizes[-1]) // 2
    assert (small / "sources.zip").stat().st_size < limit
    code = (
        "import resource, runpy, sys; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "sys.argv = sys.argv[1:]; runpy.run_module('mdlib', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words[2:]], capture_output=True, text=True)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "a file reached the size allowed here" in last and "run the same command again" in last
    assert "of 4 shards are finished" in last and str(tmp_path / "full") in last
    there = files(tmp_path / "full")
    assert "dataset.json" not in there and not [name for name in there if name.startswith(".")]
    assert all(files(small)[name] == data for name, data in there.items())
    quiet(
        tmp_path / "full", **pictures, placements=3, size=(64, 80), workers=1
    )  # with room again, it goes on
    assert files(tmp_path / "full") == files(small)


@pytest.fixture
def copy(tiny_dataset, tmp_path):
    return shutil.copytree(tiny_dataset, tmp_path / "copy")


def test_a_card_that_fails_is_only_a_warning(copy):
    (copy / card.NAME).unlink()
    (copy / card.SAMPLES).unlink()
    (copy / card.SAMPLES).mkdir()  # cannot be replaced by a file
    with pytest.warns(UserWarning, match="is whole, but its card could not be made"):
        write_card_if_missing(copy)
    assert not (copy / card.NAME).exists() and "all checksums agree" in info(copy, check=True)
    (copy / card.SAMPLES).rmdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_card_if_missing(copy)
    assert (copy / card.NAME).exists()
