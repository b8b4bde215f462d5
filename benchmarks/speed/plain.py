"""Plain ways to load the samples: files or ZIP members, decoded by PIL, with ToTensor and a DataLoader."""

import io
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from benchmarks.harness import BATCH, WORKERS, Stream, repeat
from benchmarks.speed.loader_data import KINDS, encoded_samples, suffixes
from mdlib.loading.dataset import open_dataset
from mdlib.loading.zip_writer import ShardWriter


class Pictures(Dataset):
    """Samples decoded by PIL; `open_file(name)` gives what PIL opens."""

    def __init__(self, names: list[str], endings: dict[str, str], open_file: Callable):
        self.names, self.endings, self.open_file, self.to_tensor = names, endings, open_file, ToTensor()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        sample = {}
        for kind, ending in self.endings.items():
            with Image.open(self.open_file(f"{kind}/{self.names[i]}{ending}")) as picture:
                sample[kind] = self.to_tensor(picture)
        return sample


def _pil_loader(data: Path, open_file: Callable) -> Stream:
    dataset = open_dataset(data)
    names = [dataset.sample_name(i) for i in range(len(dataset))]
    pictures = Pictures(names, suffixes(data.name), open_file)
    return repeat(DataLoader(pictures, BATCH, shuffle=True, num_workers=WORKERS))


class ZipPerProcess:
    """Members of a ZIP archive; each process opens a zipfile.ZipFile of its own."""

    def __init__(self, path: Path):
        self.path, self.opened = path, {}

    def __call__(self, name: str) -> io.BytesIO:
        if os.getpid() not in self.opened:
            self.opened = {os.getpid(): zipfile.ZipFile(self.path)}
        return io.BytesIO(self.opened[os.getpid()].read(name))


class ZipInMemory:
    """Members of a ZIP archive that was read into memory as a whole."""

    def __init__(self, path: Path):
        self.archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))

    def __call__(self, name: str) -> io.BytesIO:
        return io.BytesIO(self.archive.read(name))


def open_files(data: Path) -> Stream:
    return _pil_loader(data, partial(os.path.join, data / "files"))


def open_zip_memory(data: Path) -> Stream:
    return _pil_loader(data, ZipInMemory(data / "all.zip"))


def open_zip_file(data: Path) -> Stream:
    return _pil_loader(data, ZipPerProcess(data / "all.zip"))


def prepare_files(data: Path, out: Path) -> None:
    endings = suffixes(data.name)
    for kind in KINDS:
        (out / kind).mkdir(parents=True)
    for name, encoded in encoded_samples(data):
        for kind, content in encoded.items():
            (out / kind / (name + endings[kind])).write_bytes(content)


def prepare_zip(data: Path, out: Path) -> None:
    endings = suffixes(data.name)
    with ShardWriter(out) as archive:
        for name, encoded in encoded_samples(data):
            for kind, content in encoded.items():
                archive.add(f"{kind}/{name}{endings[kind]}", content)
