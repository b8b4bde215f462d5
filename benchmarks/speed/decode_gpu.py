"""Batches of colour pictures on the GPU: JPEG decoded there by nvJPEG, or on the CPU and copied."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg

from benchmarks import harness
from benchmarks.harness import BATCH
from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader

BATCHES = 16


def compare_gpu(data: Path, rounds: int, device: str = "cuda") -> str:
    """A table of pictures/s of both ways, and how far their pixels are apart."""
    if device == "cuda" and not torch.cuda.is_available():
        return "No GPU here: torch.cuda.is_available() is False."
    dataset = open_dataset(data)
    dataset = dataset.subset(np.random.default_rng(0).permutation(len(dataset))[: BATCH * BATCHES])
    loader = make_loader(dataset, BATCH)
    store = dataset._store
    numbers = store.members["fg_bg"][dataset.rows].reshape(BATCHES, -1).tolist()

    def on_gpu() -> list[torch.Tensor]:
        return [decode_batch([store.archive.read(i) for i in batch], device) for batch in numbers]

    def on_cpu() -> list[torch.Tensor]:
        return [batch["fg_bg"].to(device) for batch in loader]

    ways = {"decoded on the CPU, copied": on_cpu, "decoded on the GPU": on_gpu}
    rates = {name: [] for name in ways}
    for i in range(-1, rounds):
        for name, way in ways.items():
            rate = BATCH * BATCHES / _seconds(way, device)
            if i >= 0:
                rates[name].append(rate)
    first = rates["decoded on the CPU, copied"]
    rows = [[n, f"{statistics.median(r):,.0f}", f"{harness.ratio(r, first):.2f}"] for n, r in rates.items()]
    apart = torch.stack(on_gpu()).short().sub(torch.stack(on_cpu()).short()).abs().float()
    return (
        harness.table(["fg_bg on the GPU", "pictures/s", "x CPU"], rows)
        + f"\n\nThe two differ by {apart.mean():.3f} of 255 on average, at most by {apart.max():.0f}."
    )


def decode_batch(encoded: list[bytes], device: str) -> torch.Tensor:
    """JPEG pictures of one size to (B,3,H,W) uint8 on the device, in one call."""
    raw = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in encoded]
    return torch.stack(decode_jpeg(raw, ImageReadMode.RGB, device=device))


def _seconds(way: Callable, device: str) -> float:
    begin = time.perf_counter()
    way()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin
