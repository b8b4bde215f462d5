"""Batches in a reproducible order, decoded ahead of their use."""

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

from mdlib.loading import codec
from mdlib.loading.dataset import SceneDataset

_IDLE = 3  # references to an array that only the pool holds: its list, the loop variable, the argument


def make_loader(
    dataset: SceneDataset,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 0,
    size: tuple[int, int] | int | None = None,
    threads: int | None = None,
    drop_last: bool = False,
    decode_on_device: bool = False,
) -> "Loader":
    """A loader over `dataset`; see `Loader`.

    `size` (H, W), or the length of the shorter side, is the size of the float batches, that of the data set
    where it is None; a smaller one is decoded faster.
    `threads` decode in the calling process (None: as many as there are cores, at most 8).
    `decode_on_device` leaves the JPEG bytes of `fg_bg` to `to_float`, which decodes them in one batch on the
    device; for a GPU beside a slow processor. Batches of a live data set then hold numbers only, and
    `to_float` composes the samples on the device.
    """
    sampler = EpochSampler(len(dataset), batch_size, shuffle, seed, drop_last)
    threads = threads or min(os.cpu_count() or 1, 8)
    if isinstance(size, int):
        size = tuple(round(side * size / min(dataset.size)) for side in dataset.size)
    return Loader(dataset, sampler, size or dataset.size, threads, decode_on_device)


class EpochSampler:
    """The batches of an epoch as arrays of sample numbers, a pure function of (seed, epoch)."""

    def __init__(self, count: int, batch_size: int, shuffle: bool, seed: int, drop_last: bool):
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        self.count, self.batch_size, self.shuffle, self.seed = count, batch_size, shuffle, seed
        self.drop_last, self.epoch, self.start = drop_last, 0, 0
        self.divide(0, 1)

    def divide(self, rank: int, world: int) -> None:
        """From now on give the share of process `rank` of `world`; the first ones get one sample more where
        shares cannot be equal."""
        if not 0 <= rank < world:
            raise ValueError(f"rank is {rank}; of {world} processes it must be from 0 to {world - 1}")
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        step = self.batch_size
        return self.count // step if self.drop_last else -(-self.count // step)

    def order(self) -> np.ndarray:
        """All sample numbers in the order of this epoch, over all processes."""
        if not self.shuffle:
            return np.arange(self.count)
        return np.random.Generator(np.random.PCG64([self.seed, self.epoch])).permutation(self.count)

    def __iter__(self) -> Iterator[np.ndarray]:
        order, step = self.order(), self.batch_size
        for k in range(self.start, len(self)):
            yield np.array_split(order[k * step : (k + 1) * step], self.world)[self.rank]


class Loader:
    """Iterates over the batches of one epoch.

    A batch is a dict: `fg_bg` (B,3,h,w uint8), `mask` (B,1,h,w uint8), `depth` where there is any, `bg_index`
    and `index` (B, int64), with (h, w) the data set's size or a half, a quarter or an eighth of it, the
    smallest that is not below `size`. `set_epoch(epoch, start)` chooses the order and the first batch;
    batches before it are not read. `to_float` brings a batch to a device as the network wants it. An
    exception in a decoding thread is raised here and names the sample.

    Example:
        >>> loader = make_loader(dataset, 16); floats = [loader.to_float(batch) for batch in loader]
    """

    def __init__(
        self, dataset: SceneDataset, sampler: EpochSampler, size: tuple[int, int], threads: int, encoded: bool
    ):
        self.dataset, self.sampler, self.size = dataset, sampler, size
        self.threads, self.encoded = threads, encoded
        self.reduce = _reduction(dataset.size, size)
        self._pool = BufferPool(limit=threads + 4)
        self._on_device: dict[torch.device, torch.Tensor] = {}
        self._copying: deque = deque()  # batches on their way to a GPU: their memory must not be used again

    def __len__(self) -> int:
        return len(self.sampler)

    def divide(self, rank: int, world: int) -> None:
        """Give the share of process `rank` of `world` of every batch."""
        self.sampler.divide(rank, world)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Take the order of `epoch`, beginning with batch number `start`."""
        self.sampler.epoch, self.sampler.start = epoch, start

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            ahead: deque = deque()
            try:
                for indices in self.sampler:
                    task = (self.dataset.batch, indices, self.reduce, self._pool.take, self.encoded)
                    ahead.append(pool.submit(*task))
                    if len(ahead) > self.threads + 1:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:  # also when the caller stops early
                for task in ahead:
                    task.cancel()

    def to_float(
        self, batch: dict[str, torch.Tensor], device: str | torch.device = "cpu"
    ) -> dict[str, torch.Tensor]:
        """The batch on `device` as float32: `bg`, `fg_bg` (B,3,H,W) and `mask` (B,1,H,W) from 0 to 1, `depth`
        (B,1,H,W closeness; nan = unknown, all of it where the data set has none); (H, W) is `size`."""
        device = torch.device(device)
        if device not in self._on_device:
            self._on_device[device] = _resized_bytes(self.dataset.backgrounds, self.size).to(device)
        moved = self.dataset.to_device(batch, device, self.reduce)
        if device.type == "cuda":
            arrived = torch.cuda.Event()
            arrived.record()
            self._copying.append((arrived, batch))
            while self._copying[0][0].query() and len(self._copying) > 1:
                self._copying.popleft()
        mask = _resized(codec.to_unit(moved["mask"]), self.size)
        depth = torch.full_like(mask, torch.nan)
        if "depth" in moved:  # nearest: an average over an edge is a distance where nothing is
            depth = codec.depth_to_closeness(moved["depth"])
            depth = depth if depth.shape[2:] == self.size else F.interpolate(depth, self.size)
        return {
            "bg": codec.to_unit(self._on_device[device][moved["bg_index"]]),
            "fg_bg": _resized(codec.to_unit(moved["fg_bg"]), self.size),
            "mask": mask,
            "depth": depth,
        }


class BufferPool:
    """Arrays for batches, used again once nobody holds them; up to `limit` of each shape and type are kept.

    A fresh array of ten megabytes costs thousands of page faults; a used one costs nothing. Whether an array
    is free is read off its reference count, so a batch that the caller keeps is never overwritten.
    """

    def __init__(self, limit: int):
        self._limit, self._lock = limit, threading.Lock()
        self._arrays: dict[tuple, list[np.ndarray]] = {}

    def take(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array with arbitrary content that nobody else holds."""
        with self._lock:
            arrays = self._arrays.setdefault((shape, dtype), [])
            for array in arrays:
                if sys.getrefcount(array) == _IDLE:
                    return array
            array = _fresh(shape, dtype)
            if len(arrays) < self._limit:
                arrays.append(array)
            return array


def _fresh(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """A new array; pinned where there is a GPU, so that copies to it run beside the computation."""
    if not torch.cuda.is_available():
        return np.empty(shape, dtype)
    kind = {np.uint8: torch.uint8, np.uint16: torch.uint16}[dtype]
    return torch.empty(shape, dtype=kind, pin_memory=True).numpy()


def _reduction(stored: tuple[int, int], wanted: tuple[int, int]) -> int:
    """The largest of 8, 4, 2, 1 that divides the stored size into one that is not below the wanted size."""
    for factor in (8, 4, 2):
        if all(s % factor == 0 and s // factor >= w for s, w in zip(stored, wanted, strict=True)):
            return factor
    return 1


def _resized_bytes(pictures: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """As `_resized` on uint8, 64 at a time: as float32, all backgrounds would be four times the data."""
    if pictures.shape[2:] == tuple(size):
        return pictures
    parts = (_resized(codec.to_unit(few), size).mul(255).round() for few in pictures.split(64))
    return torch.cat([part.to(torch.uint8) for part in parts])


def _resized(pictures: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if pictures.shape[2:] == tuple(size):
        return pictures
    return F.interpolate(pictures, tuple(size), mode="bilinear", antialias=True).clamp_(0, 1)
