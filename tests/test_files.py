import os
import socket
import subprocess
import sys

import pytest

from mdlib.files import need_space, remove_stale, sha256_of, write_whole


def test_write_whole_replaces_or_leaves(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_leftovers_of_dead_processes_are_removed_and_those_of_others_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ours = tmp_path / f".shard-00000.zip.{socket.gethostname()}-{dead.pid}-0a1b.tmp"
    alive = tmp_path / f".shard-00001.zip.{socket.gethostname()}-{os.getppid()}-0a1b.tmp"
    elsewhere = tmp_path / f".shard-00002.zip.another-host-{dead.pid}-0a1b.tmp"
    for path in (ours, alive, elsewhere):
        path.write_bytes(b"half")
    remove_stale(tmp_path)
    assert not ours.exists() and alive.exists() and elsewhere.exists()


def test_a_sha256_is_that_of_the_whole_file(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2


def test_more_than_the_disk_holds_is_a_sentence(tmp_path):
    need_space(tmp_path, 1, "shard-00000.zip")
    with pytest.raises(
        OSError,
        match="00.zip needs about 1152921504.6 GB more, but only .*: free some space, or",
    ):
        need_space(tmp_path, 1 << 60, "shard-00000.zip")
