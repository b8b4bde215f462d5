"""Finding members by name among a million, without a Python object per member.

Names are hashed eight bytes at a time as arrays; a hit is compared byte for byte, so that a collision
can never give another member.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdlib.loading.zip_directory import UTF8_FLAG, ZipIndex, unaligned

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth, TAOCP 3, section 6.4)


class NameTable:
    """Sorted hashes of the names of one archive."""

    def __init__(self, index: ZipIndex, path: Path):
        self._index, self._path = index, path
        self._names = index.names
        hashes = _hash(self._names, index.name_end)
        self._order = np.argsort(hashes, kind="stable").astype(np.uint32)
        self._hashes = hashes[self._order]

    def find(self, names: Sequence[str] | np.ndarray) -> np.ndarray:
        """Position of each name in the directory (int64), -1 where there is none.

        Raises ValueError for a name that several members share.
        """
        found = self._find_bytes(names if _is_bytes(names) else [str(n).encode() for n in names])
        if not _is_bytes(names):
            for i in np.flatnonzero(found < 0):  # names outside ASCII in archives of old tools
                name = str(names[i])
                if not name.isascii() and name.encode("cp437", "replace").decode("cp437") == name:
                    hit = self._find_bytes([name.encode("cp437")])[0]
                    if hit >= 0 and not self._index.flags[hit] & UTF8_FLAG:
                        found[i] = hit
        return found

    def _find_bytes(self, names: list[bytes] | np.ndarray) -> np.ndarray:
        wanted, ends = _join(names)
        hashes = _hash(wanted, ends)
        slot = np.searchsorted(self._hashes, hashes)
        found = np.full(len(ends), -1, np.int64)
        while len(self._hashes):  # several members may share a hash: same name, or (once in 2^64) a collision
            within = slot < len(self._hashes)
            candidate = np.where(within, slot, 0)
            open_ = within & (self._hashes[candidate] == hashes)
            if not open_.any():
                break
            rows = np.flatnonzero(open_)
            member = self._order[candidate[rows]].astype(np.int64)
            same = self._same(wanted, ends, rows, member)
            twice = rows[same & (found[rows] >= 0)]
            if len(twice):
                raise ValueError(
                    f"{self._path}: the archive holds several members called "
                    f"{self._index.name(int(found[twice[0]]))!r}; write it again with one each"
                )
            found[rows[same]] = member[same]
            slot = slot + open_
            hashes = np.where(open_, hashes, ~self._hashes[candidate])  # closed rows match nothing more
        return found

    def _same(self, wanted: np.ndarray, ends: np.ndarray, rows: np.ndarray, member: np.ndarray) -> np.ndarray:
        start, end = _starts(ends)[rows], ends[rows]
        theirs_end = self._index.name_end[member].astype(np.int64)
        theirs_start = np.where(member > 0, self._index.name_end[member - 1], 0).astype(np.int64)
        same = (end - start) == (theirs_end - theirs_start)
        length = int((end - start).max(initial=0))
        for k in range(length):
            inside = same & (start + k < end)
            a = wanted[np.where(inside, start + k, 0)]
            b = self._names[np.where(inside, theirs_start + k, 0)]
            same &= ~inside | (a == b)
        return same


def _is_bytes(names: Sequence[str] | np.ndarray) -> bool:
    return isinstance(names, np.ndarray) and names.dtype.kind == "S"


def _starts(ends: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1].astype(np.int64)])


def _join(names: list[bytes] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(names, np.ndarray):
        table = np.ascontiguousarray(names).view(np.uint8).reshape(len(names), -1)
        inside = np.arange(table.shape[1]) < np.char.str_len(names)[:, None]
        return table[inside], np.cumsum(inside.sum(1), dtype=np.int64)
    return np.frombuffer(b"".join(names), np.uint8), np.cumsum([len(n) for n in names], dtype=np.int64)


def _hash(names: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """64-bit hash of each name, eight bytes a step."""
    ends = ends.astype(np.int64)
    starts = _starts(ends)
    length = ends - starts
    padded = np.concatenate([names, np.zeros(8, np.uint8)])
    words = unaligned(padded, "<u8")
    hashes = length.astype(np.uint64) * _MIX
    for k in range(0, int(length.max(initial=0)), 8):
        left = np.clip(length - k, 0, 8)
        word = words[np.minimum(starts + k, len(names))]
        shift = (64 - 8 * left).astype(np.uint64)
        word = np.where(left > 0, word << np.minimum(shift, np.uint64(63)), np.uint64(0))
        mixed = (hashes ^ word) * _MIX
        hashes = np.where(left > 0, mixed ^ (mixed >> np.uint64(29)), hashes)
    return hashes
