"""Batches in a reproducible order, decoded ahead of their use."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import DataLoader

from mdlib.loading import codec
from mdlib.loading.dataset import SceneDataset


def make_loader(
    dataset: SceneDataset,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 0,
    threads: int = 2,
    workers: int = 0,
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
) -> "Loader":
    """A loader over `dataset`; see `Loader`.

    `threads` decode in the calling process; `workers` > 0 takes that many processes instead. `rank` of
    `world_size` processes gets its part of each global batch of world_size x batch_size samples.
    """
    return Loader(dataset, batch_size, shuffle, seed, threads, workers, drop_last, rank, world_size)


class EpochSampler:
    """The batches of an epoch as arrays of sample numbers, a pure function of (seed, epoch)."""

    def __init__(
        self, count: int, batch_size: int, shuffle: bool, seed: int, drop_last: bool, rank: int, world: int
    ):
        if batch_size < 1 or not 0 <= rank < world:
            raise ValueError(f"batch_size must be 1 or more, 0 <= rank < {world}; got {batch_size}, {rank}")
        self.count, self.batch_size, self.shuffle, self.seed = count, batch_size, shuffle, seed
        self.drop_last, self.rank, self.world = drop_last, rank, world
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        step = self.batch_size * self.world
        return self.count // step if self.drop_last else -(-self.count // step)

    def order(self) -> np.ndarray:
        """All sample numbers in the order of this epoch, over all processes."""
        if not self.shuffle:
            return np.arange(self.count)
        return np.random.Generator(np.random.PCG64([self.seed, self.epoch])).permutation(self.count)

    def __iter__(self) -> Iterator[np.ndarray]:
        order, step = self.order(), self.batch_size * self.world
        for k in range(self.start, len(self)):
            yield np.array_split(order[k * step : (k + 1) * step], self.world)[self.rank]


class Loader:
    """Iterates over the batches of one epoch.

    A batch is a dict: `fg_bg` (B,3,H,W uint8), `mask` (B,1,H,W uint8), `depth` where there is any, `bg_index`
    and `index` (B, int64). `set_epoch(epoch, start)` chooses the order and the first batch; batches before it
    are not read. `to_float` brings a batch to a device as the network wants it. An exception in a decoding
    thread or worker is raised here and names the sample.
    """

    def __init__(self, dataset, batch_size, shuffle, seed, threads, workers, drop_last, rank, world_size):
        self.dataset, self.batch_size = dataset, batch_size
        self.sampler = EpochSampler(len(dataset), batch_size, shuffle, seed, drop_last, rank, world_size)
        self.threads, self.workers = max(1, threads), workers
        self._on_device: dict[torch.device, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Take the order of `epoch`, beginning with batch number `start`."""
        self.sampler.epoch, self.sampler.start = epoch, start

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        return self._from_workers() if self.workers else self._from_threads()

    def _from_threads(self) -> Iterator[dict[str, torch.Tensor]]:
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            ahead: deque = deque()
            try:
                for indices in self.sampler:
                    ahead.append(pool.submit(self.dataset.batch, indices))
                    if len(ahead) > self.threads + 1:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:  # also when the caller stops early
                for task in ahead:
                    task.cancel()

    def _from_workers(self) -> Iterator[dict[str, torch.Tensor]]:
        whole = _WholeBatches(self.dataset)
        yield from DataLoader(
            whole, batch_sampler=self.sampler, num_workers=self.workers, collate_fn=_as_it_is
        )

    def to_float(
        self, batch: dict[str, torch.Tensor], device: str | torch.device = "cpu"
    ) -> dict[str, torch.Tensor]:
        """The batch on `device` as float32: `bg`, `fg_bg` (B,3,H,W) and `mask` (B,1,H,W) from 0 to 1, `depth`
        (B,1,H,W closeness; nan = unknown, all of it where the data set has none)."""
        device = torch.device(device)
        if device not in self._on_device:
            self._on_device[device] = self.dataset.backgrounds.to(device)
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        mask = codec.to_unit(moved["mask"])
        depth = moved.get("depth")
        return {
            "bg": codec.to_unit(self._on_device[device][moved["bg_index"]]),
            "fg_bg": codec.to_unit(moved["fg_bg"]),
            "mask": mask,
            "depth": torch.full_like(mask, torch.nan) if depth is None else codec.depth_to_closeness(depth),
        }


class _WholeBatches(torch.utils.data.Dataset):
    """Lets a worker of a DataLoader fetch a batch without the pictures of its backgrounds."""

    def __init__(self, dataset: SceneDataset):
        self.dataset = dataset

    def __getitems__(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        return self.dataset.batch(indices)


def _as_it_is(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return batch
