"""A data set: a folder of shards, seen as one map-style data set of tensors; several mixed into one."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mdlib.loading import codec, splits
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
        """The samples `indices` of this set, in that order, or those where a mask (len,) of bool is true.

        Raises IndexError for a sample that is not there, ValueError for a mask of another length, TypeError
        for what are no whole numbers.
        """
        return SceneDataset(self._store, self.rows[self._numbers(indices)])

    def split(self, seed: int = 0) -> dict[str, "SceneDataset"]:
        """Four disjoint sets: `train`, `new_fg`, `new_bg`, `new_both`.

        A fifth of the groups of backgrounds and of cut-outs is unseen in `train`; near-duplicates
        are one group and never stand on two sides. Samples with seen and unseen cut-outs are left out.
        """
        bg_groups, fg_groups = self._store.groups("backgrounds"), self._store.groups("cutouts")
        sets = splits.four_sets(bg_groups, fg_groups, self.bg, self._store.fg[self.rows], seed)
        return {name: self.subset(indices) for name, indices in sets.items()}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        try:
            i = index(i)
        except TypeError:
            raise TypeError(f"{i!r} is no number of one sample; several are chosen by subset(...)") from None
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, torch.Tensor]]:
        """The samples of a whole batch, decoded into one tensor per kind; a DataLoader asks for them so."""
        batch = self.batch(indices)
        columns = {"bg": self.backgrounds[batch["bg_index"]], **batch}
        return [{name: column[k] for name, column in columns.items()} for k in range(len(batch["index"]))]

    def batch(
        self, indices: Sequence[int], reduce: int = 1, empty: Callable = np.empty, encoded: bool = False
    ) -> dict[str, torch.Tensor]:
        """The samples as one dict of tensors; numbers of backgrounds (`bg_index`) instead of pictures.

        `reduce` = 2, 4 or 8 decodes at that fraction of the size; `empty(shape, dtype)` provides the memory;
        `encoded` leaves to `to_device` what a GPU does better: `fg_bg` is a list of tensors of JPEG bytes,
        and of a live data set there are only the numbers of the samples.
        """
        indices = self._numbers(indices)
        rows = self.rows[indices]
        made = self._store.tensors(rows, reduce, empty, encoded)
        numbers = {"bg_index": self._store.bg[rows], "index": indices}
        return made | {name: torch.from_numpy(column) for name, column in numbers.items()}

    def to_device(self, batch: dict, device: str | torch.device, reduce: int = 1) -> dict[str, torch.Tensor]:
        """A batch that `batch` gave, on `device`, with what was left to do done; `reduce` as it was there."""
        return self._store.to_device(batch, torch.device(device), reduce)

    def _numbers(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """What `subset` takes, as numbers (int64) of samples of this set."""
        numbers = np.asarray(indices)
        if numbers.dtype == bool and numbers.shape != (len(self),):
            raise ValueError(f"a mask of shape {numbers.shape} cannot choose among {len(self)} samples")
        if numbers.dtype == bool:
            return np.flatnonzero(numbers)
        if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
            raise TypeError(f"samples are chosen by a list of whole numbers or a mask, not by {indices!r}")
        for i in (numbers.min(), numbers.max()) if len(numbers) else ():
            if not -len(self) <= i < len(self):
                raise IndexError(f"sample {i} of a data set of {len(self)} samples")
        return numbers.astype(np.int64, copy=False)


class Mixture:
    """Several data sets read as one for training, samples numbered part by part; for `loader.make_loader`.

    A shuffled loader mixes them in every batch, each sample once per epoch, in an order that follows from
    seed and epoch as it does for one data set. Depth comes as closeness, nan where a part has none. All
    backgrounds are copied into one tensor. Raises ValueError where the parts differ in size.

    Example:
        >>> loader = make_loader(Mixture([open_dataset("A"), open_dataset("B")]), shuffle=True)
    """

    def __init__(self, parts: Sequence[SceneDataset]):
        self.parts = list(parts)
        sizes = {part.size: part.path for part in self.parts}
        if len(sizes) != 1:
            found = ", ".join(f"{path} of {h} x {w} px" for (h, w), path in sizes.items())
            raise ValueError(f"data sets of one size can be mixed, but there is {found}: create them anew")
        self.size = self.parts[0].size
        self._first = np.cumsum([0, *(len(part) for part in self.parts)])
        self._first_bg = np.cumsum([0, *(len(part.info["backgrounds"]) for part in self.parts)])

    def __len__(self) -> int:
        return int(self._first[-1])

    @cached_property
    def backgrounds(self) -> torch.Tensor:
        """The backgrounds of all parts, (N,3,H,W) uint8."""
        return torch.cat([part.backgrounds for part in self.parts])

    @property
    def dataset_id(self) -> str:
        """sha256 over the ids of the parts, in their order."""
        return hashlib.sha256(" ".join(part.dataset_id for part in self.parts).encode()).hexdigest()

    def split(self) -> dict[str, "Mixture"]:
        """The four sets of `SceneDataset.split`, of all parts together.

        Each part is split on its own. Raises ValueError where a background is seen in one part and held out
        in another.
        """
        sets = [part.split() for part in self.parts]
        seen = {digest for each in sets for digest in _digests(each["train"], each["new_fg"])}
        held_out = {digest for each in sets for digest in _digests(each["new_bg"], each["new_both"])}
        if both := len(seen & held_out):
            raise ValueError(
                f"{both} backgrounds are in training in one data set and held out in another, so they would "
                "not be new to the network: mix data sets of different backgrounds, or of the very same ones"
            )
        return {name: Mixture([each[name] for each in sets]) for name in splits.SETS}

    def batch(
        self, indices: Sequence[int], reduce: int = 1, empty: Callable = np.empty, encoded: bool = False
    ) -> dict:
        """As `SceneDataset.batch`, with the batches of the parts under `parts`; `to_device` joins them."""
        indices = np.asarray(indices, dtype=np.int64)
        owner = np.searchsorted(self._first, indices, side="right") - 1
        parts, places = {}, []
        bg_index = np.empty_like(indices)
        for k in np.unique(owner).tolist():
            here = np.flatnonzero(owner == k)
            parts[k] = self.parts[k].batch(indices[here] - self._first[k], reduce, empty, encoded)
            bg_index[here] = parts[k]["bg_index"].numpy() + self._first_bg[k]
            places.append(here)
        order = np.argsort(np.concatenate(places))
        numbers = {"order": order, "bg_index": bg_index, "index": indices}
        return {"parts": parts} | {name: torch.from_numpy(column) for name, column in numbers.items()}

    def to_device(self, batch: dict, device: str | torch.device, reduce: int = 1) -> dict[str, torch.Tensor]:
        """A batch that `batch` gave, on `device`, its parts joined; depth is float32 closeness."""
        made = [self._part_on(k, part, device, reduce) for k, part in batch["parts"].items()]
        order = batch["order"].to(device, non_blocking=True)
        joined = {name: torch.cat([part[name] for part in made])[order] for name in made[0]}
        return joined | {name: batch[name].to(device, non_blocking=True) for name in ("bg_index", "index")}

    def _part_on(
        self, k: int, batch: dict, device: str | torch.device, reduce: int
    ) -> dict[str, torch.Tensor]:
        moved = self.parts[k].to_device(batch, device, reduce)
        depth = torch.full_like(moved["mask"], torch.nan, dtype=torch.float32)
        if "depth" in moved:
            depth = codec.depth_to_closeness(moved["depth"])
        return {"fg_bg": moved["fg_bg"], "mask": moved["mask"], "depth": depth}


def _digests(*sets: SceneDataset) -> set[bytes]:
    """What tells the backgrounds of these sets from all others."""
    numbers = np.unique(np.concatenate([each.bg for each in sets])).tolist()
    return {hashlib.sha256(sets[0].backgrounds[i].contiguous().numpy()).digest() for i in numbers}
