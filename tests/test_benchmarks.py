"""Benchmarks run as their first lines say: tiny ones, for what they write, not for their figures."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def benchmark(repository):
    """benchmark("leak.py", *words) -> standard output, run as a user does it."""

    def run(script, *words):
        command = [sys.executable, repository / "benchmarks" / script, *map(str, words)]
        paths = os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_leak(benchmark, tiny_dataset, tmp_path):
    few = ("--steps", 2, "--size", 32, "--batch-size", 4, "--pairs", 2)
    where = ("--runs", tmp_path / "runs", "--json", tmp_path / "leak.json")
    out = benchmark("leak.py", tiny_dataset, *few, *where)
    found = json.loads((tmp_path / "leak.json").read_text())
    strict, leaky = found["sets"]["four sets"], found["sets"]["random split"]
    assert list(strict) == ["train", "new_fg", "new_bg", "new_both", "same pairs"]
    assert list(leaky) == ["train", "random", "same pairs"]
    assert strict["same pairs"]["checksum"] == leaky["same pairs"]["checksum"]
    gap = leaky["random"]["scores"]["iou"] - strict["new_both"]["scores"]["iou"]
    assert found["gap"]["random minus new_both"]["iou"] == gap
    assert out.endswith((tmp_path / "leak.md").read_text())
    assert (found["steps"], found["samples_seen"]) == (2, 8)


def test_networks(benchmark, tmp_path):
    few = ("--networks", "mdnet", "conv2-mask", "--size", 32, "--rounds", 1, "--threads", 1)
    out = benchmark("networks.py", *few, "--parts", "latency", "--json", tmp_path / "networks.json")
    found = json.loads((tmp_path / "networks.json").read_text())
    assert found["networks"]["mdnet"]["parameters"] == 793_588
    assert found["latency"]["1 thread"]["as created"]["mdnet"]["times_reference"] == 1
    assert "| conv2-mask | 76,929 |" in out


def test_pair_check(benchmark, tiny_dataset):
    lines = benchmark("pair_check.py", tiny_dataset, "--pairs", 2).splitlines()
    assert len(lines) == 2 + 8
    assert lines[2].startswith("| data | clean | ")


@pytest.mark.slow
def test_panels(benchmark):
    lines = benchmark("panels.py", "--rounds", 1, "--threads", 1).splitlines()
    assert [line.split(" | ")[0] for line in (lines[2], lines[-1])] == ["| Predict", "| Effects"]
