"""Loaders for each stage of a training: of stored data, live data, or a mixture of data sets."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mdlib.creation.live import is_recipe_only, open_stored_or_live
from mdlib.loading.loader import Loader, make_loader
from mdlib.loading.mixture import Mixture

Feed = Callable[[int | None, int], tuple[Loader, Loader]]


def open_feed(
    folders: Sequence[str | Path], seed: int = 0, threads: int | None = None, device: str = "auto"
) -> Feed:
    """A function of picture size and batch size that gives (training loader, validation loader).

    The size is that of the shorter side in px, None = as stored. Both loaders shuffle, by `seed`. A training
    epoch leaves out what does not fill its last batch; validation is of new backgrounds and new cut-outs.
    Several folders are mixed. Raises ValueError or FileNotFoundError where one is no data set.
    """
    parts = [open_stored_or_live(folder) for folder in folders]
    sets = (parts[0] if len(parts) == 1 else Mixture(parts)).split()
    on_gpu = device != "cpu" and torch.cuda.is_available()
    # A GPU composes faster than the machine around it.
    leave_to_gpu = on_gpu and any(is_recipe_only(folder) for folder in folders)

    def feed(size: int | None, batch_size: int) -> tuple[Loader, Loader]:
        common = {
            "batch_size": batch_size,
            "shuffle": True,
            "seed": seed,
            "size": size,
            "threads": threads,
            "decode_on_device": leave_to_gpu,
        }
        enough = len(sets["train"]) >= batch_size
        return make_loader(sets["train"], drop_last=enough, **common), make_loader(sets["new_both"], **common)

    return feed
