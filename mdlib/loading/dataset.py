"""A data set: a folder of shards, seen as one map-style data set of tensors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mdlib.loading import splits
from mdlib.loading.format import read_store
from mdlib.loading.store import BaseStore

if TYPE_CHECKING:
    from mdlib.loading.foreign.layout import Layout


def open_dataset(path: str | Path, layout: "Layout | None" = None) -> "SceneDataset":
    """Open the data set in the folder `path`, written by `mdlib create`.

    With a `layout`, archives of another project: `path` is then a ZIP file, a folder of ZIP files, or a
    folder of pictures. Reads directories and tables, no pictures (a few with a layout, to check it). Raises
    FileNotFoundError or ValueError with a sentence where the folder is missing, unfinished, of another
    format, a shard is missing or has another size, or the archives are not laid out like that.
    """
    if layout is None:
        return SceneDataset(read_store(Path(path)))
    from mdlib.loading.foreign.layout import read_layout

    return SceneDataset(read_layout(path, layout))


class SceneDataset:
    """Samples of two pictures of one place, the mask of what was added, and depth.

    `data[i]` is a dict of tensors: `bg`, `fg_bg` (3,H,W uint8), `mask` (1,H,W uint8), `depth` (1,H,W; uint16
    millimetres or uint8 closeness as stored; absent where `depth_kind` is "none"), `bg_index` and `index`
    (int64). A damaged sample raises ValueError naming it.

    Example:
        >>> train = open_dataset("DATA").split()["train"]; mask = train[0]["mask"]
    """

    def __init__(self, store: BaseStore, rows: np.ndarray | None = None):
        self._store = store
        self.rows = np.arange(len(store.bg)) if rows is None else rows

    @property
    def path(self) -> Path:
        return self._store.path

    @property
    def info(self) -> dict:
        """The content of `dataset.json`."""
        return self._store.info

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self._store.size

    @property
    def depth_kind(self) -> str:
        """ "metric" (true metres), "relative" (closeness without a unit) or "none"."""
        return self._store.info["depth"]["kind"]

    @property
    def dataset_id(self) -> str:
        """sha256 over the checksums of all files with data: equal ids, equal data."""
        return self._store.info["id"]

    @property
    def bg(self) -> np.ndarray:
        """Background number of each sample (int64)."""
        return self._store.bg[self.rows]

    @property
    def fg(self) -> np.ndarray:
        """Cut-out number of each sample (int64); of its first object where there are several."""
        return self._store.fg[self.rows, 0]

    @property
    def placements(self) -> dict[str, np.ndarray]:
        """The columns of `placements.csv`, one entry per sample."""
        return {name: column[self.rows] for name, column in self._store.columns.items()}

    @property
    def backgrounds(self) -> torch.Tensor:
        """All backgrounds, (N,3,H,W) uint8, decoded once per process and shared by its threads."""
        return self._store.backgrounds()

    def sample_name(self, i: int) -> str:
        """The id of sample `i`, as in the names of its members."""
        return self._store.columns["sample"][self.rows[i]].decode()

    def subset(self, indices: Sequence[int] | np.ndarray) -> "SceneDataset":
        """The samples `indices` of this set, in that order."""
        return SceneDataset(self._store, self.rows[np.asarray(indices, dtype=np.int64)])

    def split(self, seed: int = 0, held_out: float = 0.2) -> dict[str, "SceneDataset"]:
        """Four disjoint sets: `train`, `new_fg`, `new_bg`, `new_both`.

        A share `held_out` of the groups of backgrounds and of cut-outs is unseen in `train`; near-duplicates
        are one group and never stand on two sides. Samples with seen and unseen cut-outs are left out.
        """
        bg_groups, fg_groups = self._store.groups("backgrounds"), self._store.groups("cutouts")
        sets = splits.four_sets(bg_groups, fg_groups, self.bg, self._store.fg[self.rows], seed, held_out)
        return {name: self.subset(indices) for name, indices in sets.items()}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of a data set of {len(self)} samples")
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, torch.Tensor]]:
        """The samples of a whole batch, decoded into one tensor per kind; a DataLoader asks for them so."""
        batch = self.batch(indices)
        columns = {"bg": self.backgrounds[batch["bg_index"]], **batch}
        return [{name: column[k] for name, column in columns.items()} for k in range(len(indices))]

    def batch(
        self,
        indices: Sequence[int] | np.ndarray,
        reduce: int = 1,
        empty: Callable = np.empty,
        encoded: bool = False,
    ) -> dict[str, torch.Tensor]:
        """The samples as one dict of tensors; numbers of backgrounds (`bg_index`) instead of pictures.

        `reduce` = 2, 4 or 8 decodes at that fraction of the size; `empty(shape, dtype)` provides the memory;
        `encoded` leaves to `to_device` what a GPU does better: `fg_bg` is a list of tensors of JPEG bytes,
        and of a live data set there are only the numbers of the samples.
        """
        indices = np.asarray(indices, dtype=np.int64)
        rows = self.rows[indices]
        made = self._store.tensors(rows, reduce, empty, encoded)
        numbers = {"bg_index": self._store.bg[rows], "index": indices}
        return made | {name: torch.from_numpy(column) for name, column in numbers.items()}

    def to_device(self, batch: dict, device: str | torch.device, reduce: int = 1) -> dict[str, torch.Tensor]:
        """A batch that `batch` gave, on `device`, with what was left to do done; `reduce` as it was there."""
        return self._store.to_device(batch, torch.device(device), reduce)
