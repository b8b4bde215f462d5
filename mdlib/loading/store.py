"""Where the pictures of a data set lie, and how to get them.

A store knows the samples of a data set and gives their tensors. `Store` knows the numbers of their members in
the archives; our own format and the layouts of other projects differ only in how they fill it in. A store
that makes its samples instead of reading them gives the same tensors (see mdlib.creation.live).
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mdlib.loading import codec, splits

if TYPE_CHECKING:
    from mdlib.loading.archive import Archive
    from mdlib.loading.foreign.folder import Upright


@dataclass
class BaseStore(ABC):
    """What all subsets of a data set share."""

    path: Path
    info: dict  # the content of dataset.json
    columns: dict[str, np.ndarray]  # the table of placements, one entry per sample
    bg: np.ndarray  # background number of each sample, int64
    fg: np.ndarray  # cut-out number of each object of each sample, int64 (N,K); the last repeated to fill

    def __post_init__(self):
        """What each process has for itself, and what no copy takes along."""
        self._backgrounds: torch.Tensor | None = None
        self._lock = threading.RLock()

    def __getstate__(self) -> dict:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ |= state
        self.__post_init__()

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.info["size"])

    @abstractmethod
    def tensors(
        self, rows: np.ndarray, reduce: int = 1, empty: Callable = np.empty, encoded: bool = False
    ) -> dict:
        """The samples `rows` as one tensor (B,C,H,W) per kind, at 1 / `reduce` of their size.

        `encoded` leaves to `to_device` what a GPU does better. `empty(shape, dtype)` may provide the memory.
        """

    def to_device(self, batch: dict, device: torch.device, reduce: int = 1) -> dict[str, torch.Tensor]:
        """What `tensors` gave, on `device`, with what was left to do done there."""
        return {
            name: codec.decode_jpegs_on(value, device)
            if isinstance(value, list)
            else value.to(device, non_blocking=True)
            for name, value in batch.items()
        }

    def backgrounds(self) -> torch.Tensor:
        """All backgrounds, (N,3,H,W) uint8, read once per process."""
        with self._lock:
            if self._backgrounds is None:
                self._backgrounds = self._read_backgrounds()
            return self._backgrounds

    @abstractmethod
    def _read_backgrounds(self) -> torch.Tensor:
        """All backgrounds, (N,3,H,W) uint8."""

    def groups(self, kind: str) -> Sequence[int]:
        """Near-duplicate group of each of the "backgrounds" or "cutouts".

        Where the data set does not say, backgrounds are compared once, and a cut-out is its own group; where
        it tells nothing of its cut-outs, every sample counts as one of its own.
        """
        entries = self.info[kind]
        if not entries:
            return range(len(self.fg))
        if "group" not in entries[0]:
            imgs = self.backgrounds().permute(0, 2, 3, 1).numpy()
            for entry, group in zip(entries, splits.group_duplicates(list(imgs)), strict=True):
                entry["group"] = group
        return [entry["group"] for entry in entries]


@dataclass
class Store(BaseStore):
    """The pictures lie in archives."""

    archive: "Archive | Upright"
    members: dict[str, np.ndarray]  # kind -> member number of each sample, int64
    bg_members: np.ndarray  # member number of each background, int64
    tables: dict[str, np.ndarray] = field(default_factory=dict)  # kind -> new value of each stored one
    readers: dict[str, Callable] = field(
        default_factory=dict
    )  # kind -> what does decode_into's work, if else

    def tensors(
        self,
        rows: np.ndarray,
        reduce: int = 1,
        empty: Callable = np.empty,
        encoded: bool = False,
        kinds: Sequence[str] = (),
    ) -> dict:
        """Of all kinds, or of `kinds`; `encoded` leaves `fg_bg` as a list of tensors of JPEG bytes.

        The memory of colour pictures is channels-last.
        """
        kinds = kinds or list(self.members)
        data = self._read(rows, kinds)
        return {
            kind: [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in data[k :: len(kinds)]]
            if encoded and kind == "fg_bg"
            else self._decoded(kind, rows, data[k :: len(kinds)], reduce, empty)
            for k, kind in enumerate(kinds)
        }

    def _read(self, rows: np.ndarray, kinds: Sequence[str]) -> list[bytes]:
        """The members of each sample in turn: they lie next to each other and are read at once."""
        numbers = np.stack([self.members[kind][rows] for kind in kinds], axis=1)
        try:
            return self.archive.read_many(numbers.reshape(-1))
        except ValueError:
            for row, members in zip(rows, numbers.tolist(), strict=True):
                for member in members:
                    try:
                        self.archive.read(member)
                    except ValueError as error:
                        raise self._named(error, row, member) from None
            raise

    def _decoded(
        self, kind: str, rows: np.ndarray, data: list[bytes], reduce: int, empty: Callable
    ) -> torch.Tensor:
        colour = kind == "fg_bg"
        metres = kind == "depth" and self.info["depth"]["dtype"] == "uint16"
        height, width = (side // reduce for side in self.size)
        shape = (len(rows), height, width, 3) if colour else (len(rows), height, width)
        out = empty(shape, np.uint16 if metres else np.uint8)
        read = self.readers.get(kind, codec.decode_into)
        for k, one in enumerate(data):
            try:
                read(one, out[k], reduce)
            except ValueError as error:
                raise self._named(error, rows[k], self.members[kind].item(rows[k])) from None
        if kind in self.tables:
            out[:] = self.tables[kind][out]
        tensor = torch.from_numpy(out)
        return tensor.permute(0, 3, 1, 2) if colour else tensor[:, None]

    def _named(self, error: ValueError, row: int, member: int) -> ValueError:
        """The error with the names of the sample and of the member that it is about."""
        name = self.columns["sample"][row].decode()
        return ValueError(f"{self.path}: sample {name}, member {self.archive.name(member)}: {error}")

    def _read_backgrounds(self) -> torch.Tensor:
        out = np.empty((len(self.bg_members), *self.size, 3), np.uint8)
        for k, member in enumerate(self.bg_members.tolist()):
            try:
                codec.decode_into(self.archive.read(member), out[k])
            except ValueError as error:
                raise ValueError(f"{self.path}: {self.archive.name(member)}: {error}") from None
        return torch.from_numpy(out).permute(0, 3, 1, 2)
