"""Other ways to load the same samples: PIL with files or a ZIP, WebDataset, Hugging Face datasets, LitData.

Every way gives shuffled batches of fg_bg, mask and depth with two worker processes. As documented: what the
project's own guide shows for pictures. With our decoders (`by_hand`): the same bytes, read by the library,
decoded by mdlib into one tensor per kind and batch.
"""

import contextlib
import io
import itertools
import logging
import os
import shutil
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler
from torchvision.transforms import ToTensor

from benchmarks.harness import BATCH, WORKERS, Stream, repeat
from benchmarks.speed.loader_data import KINDS, SIZE, encoded_sample, encoded_samples, suffixes
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset
from mdlib.loading.zip_writer import ShardWriter


def decode_by_hand(samples: list[dict[str, bytes]]) -> dict[str, torch.Tensor]:
    """A batch of encoded samples to one tensor per kind."""
    batch = {}
    for kind in KINDS:
        channels = (3,) if kind == "fg_bg" else ()
        out = np.empty((len(samples), SIZE, SIZE, *channels), np.uint8)
        for k, sample in enumerate(samples):
            codec.decode_into(sample[kind], out[k])
        batch[kind] = torch.from_numpy(out)
    return batch


# Files and ZIP members, decoded by PIL


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


# WebDataset


def prepare_webdataset(data: Path, out: Path) -> None:
    endings = suffixes(data.name)
    out.mkdir()
    samples, each = encoded_samples(data), -(-len(open_dataset(data)) // 20)
    for number in range(20):
        part = itertools.islice(samples, each)
        with tarfile.open(out / f"{number:05d}.tar", "w") as tar:
            for name, encoded in part:
                for kind, content in encoded.items():
                    info = tarfile.TarInfo(f"{name}.{kind}{endings[kind]}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))


def open_webdataset(data: Path, by_hand: bool) -> Stream:
    import webdataset as wds

    shards = sorted(map(str, (data / "tar").glob("*.tar")))
    keys = [kind + ending for kind, ending in suffixes(data.name).items()]
    samples = wds.WebDataset(shards, shardshuffle=len(shards)).shuffle(1000)
    if by_hand:
        samples = samples.to_tuple(*keys).map(_as_kinds).batched(BATCH, collation_fn=decode_by_hand)
    else:
        samples = samples.decode("torchrgb8").to_tuple(*keys).batched(BATCH)
    loader = wds.WebLoader(samples, batch_size=None, num_workers=WORKERS)
    return repeat(loader)


def _as_kinds(parts: tuple) -> dict[str, bytes]:
    return dict(zip(KINDS, parts, strict=True))


# Hugging Face datasets


def prepare_huggingface(data: Path, out: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({kind: datasets.Image() for kind in KINDS})
    made = datasets.Dataset.from_generator(
        _huggingface_samples,
        gen_kwargs={"data": str(data)},
        features=features,
        cache_dir=str(out.with_name("huggingface-cache")),
    )
    made.save_to_disk(str(out), num_shards=4)


def _huggingface_samples(data: str) -> Iterator[dict]:
    for _, encoded in encoded_samples(Path(data)):
        yield {kind: {"bytes": content, "path": None} for kind, content in encoded.items()}


def open_huggingface(data: Path, by_hand: bool) -> Stream:
    import datasets

    samples = datasets.load_from_disk(str(data / "huggingface"))
    if not by_hand:
        loader = DataLoader(samples.with_format("torch"), BATCH, shuffle=True, num_workers=WORKERS)
        return repeat(loader)
    for kind in KINDS:
        samples = samples.cast_column(kind, datasets.Image(decode=False))
    samples = samples.with_transform(_decode_columns)
    whole = BatchSampler(RandomSampler(samples), BATCH, drop_last=False)
    return repeat(DataLoader(samples, None, sampler=whole, num_workers=WORKERS))


def _decode_columns(columns: dict[str, list]) -> dict[str, torch.Tensor]:
    count = len(columns["fg_bg"])
    return decode_by_hand([{kind: columns[kind][k]["bytes"] for kind in KINDS} for k in range(count)])


# LitData


def prepare_litdata(data: Path, out: Path, by_hand: bool) -> None:
    import litdata

    rows = list(range(len(open_dataset(data))))
    convert = partial(_litdata_sample, data, by_hand)
    with contextlib.redirect_stdout(sys.stderr):
        litdata.optimize(convert, rows, str(out), chunk_bytes="64MB", num_workers=WORKERS)


def _litdata_sample(data: Path, by_hand: bool, row: int) -> dict:
    import litdata

    sample = encoded_sample(_opened(data), row)
    return sample if by_hand else {kind: litdata.Image(bytes=content) for kind, content in sample.items()}


_opened = lru_cache(open_dataset)


def open_litdata(data: Path, by_hand: bool) -> Stream:
    import litdata

    warnings.filterwarnings("ignore")
    logging.getLogger("litdata").setLevel(logging.ERROR)
    samples = litdata.StreamingDataset(str(data / ("litdata-bytes" if by_hand else "litdata")), shuffle=True)
    collate = {"collate_fn": decode_by_hand} if by_hand else {}
    loader = litdata.StreamingDataLoader(samples, batch_size=BATCH, num_workers=WORKERS, **collate)
    return repeat(loader)


# name -> (what it reads, function that writes that, function that opens the stream, its further arguments)
RIVALS: dict[str, tuple] = {
    "folders + PIL": ("files", prepare_files, open_files),
    "ZIP in memory + PIL": ("all.zip", prepare_zip, open_zip_memory),
    "ZipFile per worker + PIL": ("all.zip", prepare_zip, open_zip_file),
    "WebDataset": ("tar", prepare_webdataset, open_webdataset, False),
    "Hugging Face datasets": ("huggingface", prepare_huggingface, open_huggingface, False),
    "LitData": ("litdata", partial(prepare_litdata, by_hand=False), open_litdata, False),
    "WebDataset, our decoders": ("tar", prepare_webdataset, open_webdataset, True),
    "Hugging Face, our decoders": ("huggingface", prepare_huggingface, open_huggingface, True),
    "LitData, our decoders": ("litdata-bytes", partial(prepare_litdata, by_hand=True), open_litdata, True),
}


def prepare(data: Path, name: str) -> None:
    """Write what the way `name` reads, beside the shards of the data set `data`, unless it is there."""
    out, write = RIVALS[name][:2]
    done = data / f"{out}.done"
    if not done.exists():
        shutil.rmtree(data / out, ignore_errors=True)  # left by a run that was stopped
        write(data, data / out)
        done.touch()
