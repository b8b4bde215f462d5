"""Batches decoded by worker processes, which leave it to their parent when to stop."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader

from mdlib.loading.dataset import SceneDataset
from mdlib.signals import held_back

# A terminal (Ctrl-C) or a batch system sends these to all processes of a program at once. The parent may
# want to finish what it does, and needs its workers for that.
STOPPING = {signal.SIGINT, signal.SIGTERM}
TELLS_SENDER = hasattr(signal, "sigtimedwait")  # not on macOS and Windows: there SIGTERM ends a worker
LOOK_EVERY_S = 1.0


def worker_batches(
    dataset: SceneDataset, sampler: Iterable[np.ndarray], workers: int, reduce: int, encoded: bool
) -> Iterator[dict[str, torch.Tensor]]:
    """What `dataset.batch` gives for each item of `sampler`, fetched by `workers` processes ahead of its use.

    They end when the iterator is closed, and within seconds after the death of this process.
    """
    loader = DataLoader(
        _WholeBatches(dataset, reduce, encoded),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=_obey_the_parent_alone,
        generator=torch.Generator(),  # else it draws its workers' seeds from that of the network
    )
    with held_back(STOPPING if TELLS_SENDER else set()):
        batches = iter(loader)  # the workers begin
    yield from batches


class _WholeBatches(torch.utils.data.Dataset):
    """Lets a worker of a DataLoader fetch a batch without the pictures of its backgrounds."""

    def __init__(self, dataset: SceneDataset, reduce: int, encoded: bool):
        self.dataset, self.reduce, self.encoded = dataset, reduce, encoded

    def __getitems__(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        return self.dataset.batch(indices, self.reduce, encoded=self.encoded)


def _as_it_is(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return batch


def _obey_the_parent_alone(worker: int) -> None:
    if TELLS_SENDER:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        threading.Thread(target=_end_with_the_parent, daemon=True).start()
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with_the_parent() -> None:
    """End this process when its parent says so or is no more, be it since before this process could ask.

    DataLoader looks, too, but compares the parent with that of its own first look, which may come too late.
    """
    parent = multiprocessing.parent_process()
    while parent.is_alive():
        sent = signal.sigtimedwait({signal.SIGTERM}, LOOK_EVERY_S)
        if sent and sent.si_pid == parent.pid:
            break
    os._exit(0)
