"""Memory: megabytes, and None where nobody knows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mdlib.training import progress
from mdlib.training.progress import memory_gb, memory_mb

CPU = torch.device("cpu")


@pytest.mark.skipif(not progress.STATUS.is_file(), reason="only Linux tells what is in use now")
def test_what_is_taken_is_seen():
    before = memory_mb(CPU)
    taken = np.ones(200_000_000, np.uint8)
    after = memory_mb(CPU)
    assert after["host"] - before["host"] == pytest.approx(taken.nbytes / 1e6, rel=0.2)
    del taken
    assert memory_mb(CPU)["host_peak"] > before["host"] + 150


def test_unknown_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "STATUS", Path(tmp_path / "nothing"))
    found = memory_mb(CPU)
    assert (found["host"], found["gpu"], found["gpu_peak"]) == (None, None, None)
    assert found["host_peak"] is None or found["host_peak"] > 10
    assert memory_gb(found) == {}
    assert memory_gb({"host": 1500.0, "gpu": 250.0}) == {"memory_gb": 1.5, "gpu_gb": 0.25}


def test_the_metrics_have_it(reference):
    rows = [json.loads(line) for line in (reference / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        if "losses" in row:
            assert set(row["memory_mb"]) == {"host", "host_peak", "gpu", "gpu_peak"}
            assert row["memory_mb"]["gpu"] is None
