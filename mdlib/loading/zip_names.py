"""The members of an archive as arrays, and finding them by name among a million, without an object for each.

Names are hashed eight bytes at a time as arrays; a hit is compared byte for byte, so that a collision
can never give another member.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

UTF8_FLAG = 0x800
SATURATED = 0xFFFFFFFF  # "the true value stands in the ZIP64 field"
BACKSLASH = ord("\\")
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth, TAOCP 3, section 6.4)


class ZipIndex(NamedTuple):
    """One entry per member, in the order of the directory; folders are left out."""

    offset: np.ndarray  # int64, of the local header, in the file
    size: np.ndarray  # uint32, bytes as stored; 2^32 - 1 = that many or more
    raw_size: np.ndarray  # uint32, bytes after decompression; 2^32 - 1 = that many or more
    crc: np.ndarray  # uint32, CRC-32 of the decompressed bytes
    method: np.ndarray  # uint16, 0 stored, 8 deflated
    flags: np.ndarray  # uint16, general purpose bits
    name_end: np.ndarray  # uint32, where each name ends in `names`
    names: np.ndarray  # uint8, all names one after the other

    def name_bytes(self, i: int) -> bytes:
        start = self.name_end.item(i - 1) if i else 0
        return self.names[start : self.name_end.item(i)].tobytes()

    def name(self, i: int) -> str:
        """The name, with / for \\; in the code page of old tools where it says so and is no UTF-8."""
        name = self.name_bytes(i)
        if self.flags[i] & UTF8_FLAG or _is_utf8(name):  # the Mac writes UTF-8 without saying so
            return name.decode("utf-8", "replace").replace("\\", "/")
        return name.decode("cp437")

    def with_slashes(self) -> np.ndarray:
        """`names` with / for the \\ of some tools of Windows; in code pages of Asia that is half a letter."""
        backslashes = np.flatnonzero(self.names == BACKSLASH)
        if not len(backslashes):
            return self.names
        names = self.names.copy()
        if not _is_utf8(names.tobytes()):
            owner = np.searchsorted(self.name_end, backslashes, side="right")
            plain = {i: _is_utf8(self.name_bytes(i)) for i in np.unique(owner).tolist()}
            backslashes = backslashes[[plain[i] for i in owner.tolist()]]
        names[backslashes] = ord("/")
        return names

    def all_names(self) -> list[str]:
        text, ends = self.with_slashes().tobytes(), self.name_end.tolist()
        if text.isascii():  # the same in both code pages
            text = text.decode()
            return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return [self.name(i) for i in range(len(ends))]

    def between(self, first: int, last: int) -> "ZipIndex":
        """The members first..last-1 as an index of their own."""
        begin = self.name_end.item(first - 1) if first else 0
        part = ZipIndex(*(column[first:last] for column in self[:-1]), self.names)
        end = part.name_end.item(-1) if last > first else begin
        return part._replace(name_end=part.name_end - np.uint32(begin), names=self.names[begin:end])


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def joined(indexes: Sequence[ZipIndex]) -> ZipIndex:
    """Several indexes as one, in their order."""
    if len(indexes) == 1:
        return indexes[0]
    before = np.cumsum([0, *(len(index.names) for index in indexes[:-1])])
    if before[-1] + len(indexes[-1].names) > SATURATED:
        raise ValueError("these archives have over 4 GiB of names together; open fewer of them as one")
    ends = [index.name_end + np.uint32(start) for index, start in zip(indexes, before, strict=True)]
    columns = [np.concatenate(column) for column in zip(*indexes, strict=True)]
    return ZipIndex(*columns)._replace(name_end=np.concatenate(ends))


class NameTable:
    """Sorted hashes of the names of one archive."""

    def __init__(self, index: ZipIndex, path: Path):
        self._index, self._path = index, path
        self._names = index.with_slashes()
        hashes = _hash(self._names, index.name_end)
        self._order = np.argsort(hashes, kind="stable").astype(np.uint32)
        self._hashes = hashes[self._order]

    def find(self, names: Sequence[str] | np.ndarray) -> np.ndarray:
        """Position of each name in the directory (int64), -1 where there is none.

        An accent may be composed or not, a separator / or \\. Raises ValueError for a name that several
        members share.
        """
        plain = _is_bytes(names)
        found = self._find_bytes(
            names if plain else [str(n).encode("utf-8", "surrogateescape") for n in names]
        )
        if plain and (not names.size or np.ascontiguousarray(names).view(np.uint8).max() < 128):
            return found
        for i in np.flatnonzero(found < 0).tolist():
            name = names[i].decode("utf-8", "replace") if plain else str(names[i])
            if not name.isascii() or "\\" in name:
                found[i] = self._find_otherwise(name)
        return found

    def _find_otherwise(self, name: str) -> int:
        """The position of a name that is not written as it is asked for."""
        slashed = name.replace("\\", "/")
        forms = [slashed, *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))]
        hits = self._find_bytes([form.encode("utf-8", "replace") for form in forms])
        if hits.max() >= 0:
            return int(hits.max())
        if name.encode("cp437", "replace").decode("cp437") == name:  # as tools did before Unicode
            hit = int(self._find_bytes([name.encode("cp437")])[0])
            if hit >= 0 and not self._index.flags[hit] & UTF8_FLAG:
                return hit
        return -1

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


def unaligned(piece: bytes | np.ndarray, kind: str) -> np.ndarray:
    """Every unaligned little-endian number of `piece`: element i starts at byte i."""
    dtype = np.dtype(kind)
    count = max(0, len(piece) - dtype.itemsize + 1)
    return np.ndarray(count, dtype, buffer=piece, strides=(1,)) if count else np.empty(0, dtype)
