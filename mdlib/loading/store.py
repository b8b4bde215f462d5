"""Where the pictures of a data set lie, and how to get them.

A store knows, for every sample, the numbers of its members in the archives. Our own format and the layouts
of other projects differ only in how they fill it in.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from mdlib.loading import codec, splits
from mdlib.loading.archive import Archive
from mdlib.loading.folder import FolderArchive


@dataclass
class Store:
    """What all subsets of a data set share."""

    path: Path
    info: dict  # the content of dataset.json
    archive: Archive | FolderArchive
    members: dict[str, np.ndarray]  # kind -> member number of each sample, int64
    bg_members: np.ndarray  # member number of each background, int64
    columns: dict[str, np.ndarray]  # the table of placements, one entry per sample
    bg: np.ndarray  # background number of each sample, int64
    fg: np.ndarray  # cut-out number of each sample, int64
    tables: dict[str, np.ndarray] = field(default_factory=dict)  # kind -> new value of each stored one, uint8

    def __post_init__(self):
        self._backgrounds: torch.Tensor | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_backgrounds")}

    def __setstate__(self, state: dict) -> None:
        self.__dict__ |= state
        self.__post_init__()

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.info["size"])

    def batch(
        self,
        rows: np.ndarray,
        kinds: Sequence[str] = (),
        reduce: int = 1,
        empty: Callable = np.empty,
        encoded: bool = False,
    ) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """The pictures of the samples `rows`, (B,C,H,W) of each of `kinds`, at 1 / `reduce` of their size.

        The memory of colour pictures is channels-last; `empty(shape, dtype)` provides it. `encoded` leaves
        `fg_bg` as the bytes that are stored, each a uint8 tensor.
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
        for k, one in enumerate(data):
            try:
                codec.decode_into(one, out[k], reduce)
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

    def backgrounds(self) -> torch.Tensor:
        """All backgrounds, (N,3,H,W) uint8, decoded once per process."""
        with self._lock:
            if self._backgrounds is None:
                out = np.empty((len(self.bg_members), *self.size, 3), np.uint8)
                for k, member in enumerate(self.bg_members.tolist()):
                    try:
                        codec.decode_into(self.archive.read(member), out[k])
                    except ValueError as error:
                        raise ValueError(f"{self.path}: {self.archive.name(member)}: {error}") from None
                self._backgrounds = torch.from_numpy(out).permute(0, 3, 1, 2)
            return self._backgrounds

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
