"""How many samples per second a way to load them delivers, and the way most people would write first."""

import io
import os
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mdlib.loading.dataset import SceneDataset


class PlainSamples(Dataset):
    """The samples of a stored data set, each read with `zipfile` and decoded with PIL, one picture at a time.

    A sample is a dict of `fg_bg`, `mask` and, where there is one, `depth`, as the data set itself gives them.
    """

    def __init__(self, dataset: SceneDataset):
        depth = dataset.info["depth"]
        self.suffixes = {"fg_bg": ".jpg", "mask": ".png"}
        if depth["kind"] != "none":
            self.suffixes["depth"] = depth["suffix"]
        shards = [dataset.path / shard["name"] for shard in dataset.info["shards"]]
        where = {name: shard for shard in shards for name in zipfile.ZipFile(shard).namelist()}
        names = map(dataset.sample_name, range(len(dataset)))
        self.samples = [(where[f"mask/{name}.png"], name) for name in names]
        self.opened: dict[tuple[int, Path], zipfile.ZipFile] = {}  # one for each process: see zip_workers

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        from torchvision.transforms.functional import pil_to_tensor

        shard, name = self.samples[i]
        key = os.getpid(), shard
        if key not in self.opened:
            self.opened[key] = zipfile.ZipFile(shard)
        sample = {}
        for kind, suffix in self.suffixes.items():
            with Image.open(io.BytesIO(self.opened[key].read(f"{kind}/{name}{suffix}"))) as img:
                sample[kind] = pil_to_tensor(img)
        return sample


def plain_loader(dataset: SceneDataset, batch_size: int, workers: int = 0) -> DataLoader:
    """A DataLoader over PlainSamples, in random order."""
    return DataLoader(PlainSamples(dataset), batch_size, shuffle=True, num_workers=workers)


def samples_per_s(batches: Iterable[dict[str, torch.Tensor]], seconds: float = 2.0, warm: int = 4) -> float:
    """Samples per second over about so many seconds, epoch after epoch, when `warm` batches are through."""
    taken, passed, begin = 0, 0, time.perf_counter()
    while True:
        for batch in batches:
            passed += 1
            if passed <= warm:
                begin = time.perf_counter()
                continue
            taken += len(batch["mask"])
            elapsed = time.perf_counter() - begin
            if elapsed >= seconds:
                return taken / elapsed
        if not passed:
            raise ValueError("no batches at all: nothing can be measured")
