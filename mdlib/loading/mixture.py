"""Several data sets read as one, for training; some may have no depth."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from mdlib.loading import codec, splits
from mdlib.loading.dataset import SceneDataset


class Mixture:
    """The samples of `parts`, numbered one part after the other, for `loader.make_loader`.

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
        self,
        indices: Sequence[int] | np.ndarray,
        reduce: int = 1,
        empty: Callable = np.empty,
        encoded: bool = False,
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
