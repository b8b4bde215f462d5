"""Creation on a real Dask cluster: the same bytes, also when workers die."""

import dataclasses
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdlib.creation import recipe
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.workers import cluster_executor
from mdlib.files import sha256_of

distributed = pytest.importorskip("distributed", reason='needs Dask: pip install "mdlib[dask]"')


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> CreateConfig:
    """4 backgrounds x 2 cut-outs x 2 flips x 100 placements at 80 px: about a second a shard."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, count, shape in (("bg", 4, (96, 96, 3)), ("fg", 2, (60, 40, 4))):
        (folder / name).mkdir()
        for i in range(count):
            small = Image.fromarray(rng.integers(0, 256, (6, 6, shape[2]), dtype=np.uint8))
            img = np.array(small.resize(shape[1::-1], Image.Resampling.BICUBIC))
            if name == "fg":
                img[:10, :, 3] = 0
                img[30:50, 10:30, 3] = 255
            Image.fromarray(img).save(folder / name / f"{i}.png")
    pictures = {"bg": folder / "bg", "fg": folder / "fg"}
    return CreateConfig(out=folder, **pictures, placements=100, size=80, feather_px=1.0, workers=1)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes, started again by their nannies when they die."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


def checksums(folder: Path) -> dict[str, str]:
    """sha256 of every file, also of leftovers."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def made(config: CreateConfig, out: Path, **options) -> dict[str, str]:
    return checksums(create(dataclasses.replace(config, out=out, **options), progress=False))


@pytest.fixture(scope="module")
def expected(config, tmp_path_factory) -> dict[str, str]:
    """What one process here makes."""
    return made(config, tmp_path_factory.mktemp("here") / "set")


def kill_one_while_it_writes(folder: Path, seen: list[int], stop: threading.Event) -> None:
    """SIGKILL the first process that is seen in the middle of a shard, by the name of its temporary file."""
    while not stop.wait(0.001):
        for path in folder.glob(".shard-*.tmp"):
            pid = int(path.name.rsplit("-", 2)[1])
            if path.stat().st_size > 10_000:
                os.kill(pid, signal.SIGKILL)
                seen.append(pid)
                return


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_worker_changes_no_byte(config, cluster, expected, tmp_path):
    out, killed, stop = tmp_path / "set", [], threading.Event()
    killer = threading.Thread(target=kill_one_while_it_writes, args=(out, killed, stop))
    killer.start()
    try:
        found = made(config, out, dask=cluster.scheduler_address)
    finally:
        stop.set()
        killer.join()
    assert len(killed) == 1 and killed[0] != os.getpid()
    assert found == expected and "shard-00003.zip" in found


def test_any_number_of_workers_gives_the_same_bytes(config, expected, tmp_path):
    assert made(config, tmp_path / "two", workers=2) == expected
    assert made(config, tmp_path / "four", workers=4) == expected


def test_rooms_on_workers_with_several_threads(tmp_path):
    """Each with more threads of torch than it has tasks; a recipe-only set goes the same way."""
    options = {"rooms": 2, "props": 3, "placements": 3, "size": 48, "workers": 1}
    rooms = CreateConfig(out=tmp_path, **options)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=None, env={"OMP_NUM_THREADS": "3"}
    ) as cluster:
        for recipe_only in (False, True):
            here = made(rooms, tmp_path / f"here-{recipe_only}", recipe_only=recipe_only)
            there = tmp_path / f"there-{recipe_only}"
            assert made(rooms, there, recipe_only=recipe_only, dask=cluster.scheduler_address) == here


def test_the_command_line_takes_an_address(cluster, tmp_path):
    words = ["create", "set", "--rooms", "2", "--props", "2", "--placements", "1", "--size", "32"]
    done = subprocess.run(
        [sys.executable, "-m", "mdlib", *words, "--dask", cluster.scheduler_address],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "set/dataset.json").is_file()  # also a relative folder is the same one for the workers


def unused_address() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("address", [None, "nonsense", "nonsense://here:1"])
def test_a_wrong_address_is_said_soon(config, tmp_path, address):
    address, start = address or unused_address(), time.monotonic()
    with pytest.raises(ConnectionError, match=f"no Dask scheduler answers at '{address}'.*dask scheduler"):
        made(config, tmp_path / "set", dask=address)
    assert time.monotonic() - start < 60  # it gives up by itself


def test_a_cluster_without_workers_is_said(config, tmp_path):
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        pytest.raises(RuntimeError, match="has no workers: start some with `dask worker`"),
    ):
        made(config, tmp_path / "set", dask=cluster.scheduler_address)


def test_workers_that_do_not_see_the_folder_are_named(cluster, tmp_path):
    """As on other machines, where nothing or something else lies under that path."""
    sentence = r"tcp://\S+ does not see the folder .*; tcp://.*the same mdlib, and a folder that they share"
    recipe.begin(tmp_path / "other", {"seed": 1})
    for folder in (tmp_path / "nothing", tmp_path / "other"):
        with (
            pytest.raises(RuntimeError, match=sentence),
            cluster_executor(cluster.scheduler_address, folder / recipe.NAME, "that of our recipe"),
        ):
            pass


def test_a_lost_scheduler_is_said(tmp_path):
    recipe.begin(tmp_path / "set", {"seed": 1})
    path = tmp_path / "set" / recipe.NAME
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with (
        pytest.raises(ConnectionError, match="was lost.*run the same command again"),
        cluster_executor(cluster.scheduler_address, path, sha256_of(path)) as pool,
    ):
        waiting = pool.submit(time.sleep, 60)
        cluster.close()
        waiting.result(timeout=60)


def test_without_dask_the_extra_is_named(config, tmp_path):
    """In a process whose Python finds no such package."""
    code = (
        "import sys; sys.modules['distributed'] = None; from mdlib.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["create", tmp_path / "set", "--bg", config.bg, "--fg", config.fg, "--dask", "tcp://here:1"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 2
    sentence = 'error: --dask needs Dask, which is not installed: pip install "mdlib[dask]"'
    assert done.stderr.strip().splitlines()[-1] == sentence
