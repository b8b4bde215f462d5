"""Members of ZIP archives, read in place.

An `Archive` is one or several ZIP files seen as one list of members. Opening parses the directories into
arrays; reading is one call at a known offset, so any number of threads and processes may read at once.
"""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, repeat
from operator import getitem
from pathlib import Path

import numpy as np

from mdlib.files import OpenFiles, read_exactly
from mdlib.loading.zip_directory import (
    DEFLATED,
    ENCRYPTED_FLAG,
    LOCAL_HEADER,
    MAX_MEMBER_BYTES,
    STORED,
    read_index,
)
from mdlib.loading.zip_names import NameTable, ZipIndex, joined

_SIGNATURE = 0x04034B50
_HEAD = np.dtype(
    {
        "names": ["signature", "name", "extra"],  # of a local header; the last two are lengths
        "formats": ["<u4", "<u2", "<u2"],
        "offsets": [0, 26, 28],
        "itemsize": LOCAL_HEADER,
    }
)
_GAP = 64  # bytes between two members (a data descriptor, say) that are rather read than skipped
_LENGTHS = struct.Struct("<HH")  # of the name and of the extra field
_USUAL_EXTRA = 32  # bytes that the local header may be longer than expected without a second read


class Archive:
    """The members of the ZIP files `paths`, numbered in the order of the files and their directories.

    Safe under threads, fork and spawn: reads name their position, so that a descriptor inherited by fork is
    as good as an own one, and forked processes share the index as it is. A pickled copy holds little more
    than the paths and reads the directories again; ValueError where an archive was changed meanwhile.

    Example:
        >>> archive = Archive("a.zip"); data = archive.read(archive.find("mask/7.png"))
    """

    def __init__(self, paths: Sequence[str | Path] | str | Path):
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths)]
        opened = [read_index(path) for path in self.paths]
        self._comments = [comment for _, comment in opened]
        self._starts = [0, *accumulate(len(index.offset) for index, _ in opened)]
        self._index = joined([index for index, _ in opened])
        # What each process has for itself:
        self._files = OpenFiles(self.paths)
        self._tables: list[NameTable | None] = [None] * len(self.paths)

    def __len__(self) -> int:
        return self._starts[-1]

    def __getstate__(self) -> dict:
        return {"paths": self.paths, "stamps": self._files.stamps}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["paths"])
        for path, stamp, then in zip(self.paths, self._files.stamps, state["stamps"], strict=True):
            if stamp != then:
                raise ValueError(f"{path} was changed since it was opened; open it again")

    def comment(self, part: int = 0) -> bytes:
        """The comment of the archive file number `part`."""
        return self._comments[part]

    def names(self) -> list[str]:
        """All names; builds one Python string each, so for looking around, not for reading."""
        return self._index.all_names()

    def name(self, i: int) -> str:
        """The name of member `i`."""
        return self._index.name(i)

    def part_slice(self, part: int) -> slice:
        """The numbers of the members that the archive file number `part` holds."""
        return slice(self._starts[part], self._starts[part + 1])

    def find(self, name: str) -> int:
        """The number of the member called `name`; KeyError where there is none."""
        return int(self.find_many([name])[0])

    def find_many(self, names: Sequence[str] | np.ndarray, part: int | None = None) -> np.ndarray:
        """Numbers (int64) of the members called `names` (strings, or a bytes array of kind S).

        Looks in the archive file number `part`, or in all. Raises KeyError naming the first name that is
        missing, ValueError for one that stands in the archive twice.
        """
        found = np.full(len(names), -1, np.int64)
        for p in range(len(self.paths)) if part is None else [part]:
            table = self._tables[p]
            if table is None:
                index = self._index.between(self._starts[p], self._starts[p + 1])
                table = self._tables[p] = NameTable(index, self.paths[p])
            position = table.find(names)
            new = (position >= 0) & (found < 0)
            found[new] = position[new] + self._starts[p]
        if (found < 0).any():
            name = names[int(np.flatnonzero(found < 0)[0])]
            name = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            where = self.paths[0 if part is None else part]
            raise KeyError(f"no member {name!r} in {where}" + (" and its companions" if part is None else ""))
        return found

    def read(self, i: int, verify: bool = False) -> bytes:
        """The bytes of member `i`, decompressed where need be; `verify` compares the CRC-32.

        Where the local header holds an extra field, whose length nothing else confirms, the CRC-32 is always
        compared: a forged length would give bytes of another member.
        Raises ValueError naming the archive and the member where it is damaged, encrypted, compressed
        with another method than deflate, or larger than MAX_MEMBER_BYTES.
        """
        part, index = self._part(i), self._index
        size, method = index.size.item(i), index.method.item(i)
        if method or size > MAX_MEMBER_BYTES or index.flags.item(i) & ENCRYPTED_FLAG:
            self._refuse_unreadable(i)
        name = index.name_bytes(i)
        fixed = LOCAL_HEADER + len(name)
        block = self._files.read(part, fixed + _USUAL_EXTRA + size, index.offset.item(i))
        if (
            len(block) < fixed
            or block[:4] != b"PK\3\4"
            or block[LOCAL_HEADER:fixed] != name
            or _LENGTHS.unpack_from(block, 26)[0] != len(name)
        ):
            raise ValueError(
                f"{self.paths[part]}: member {index.name(i)!r} is not where the directory says: the archive "
                f"is damaged or was changed while in use. Fetch or create it again."
            )
        extra = _LENGTHS.unpack_from(block, 26)[1]  # the local header may have another one than the directory
        start = fixed + extra
        data = block[start : start + size]
        if len(data) < size:
            read = partial(self._files.read, part)
            data = read_exactly(read, size, index.offset.item(i) + start, self.paths[part])
        if method == DEFLATED:
            data = self._inflate(data, i)
        if (verify or extra) and zlib.crc32(data) != index.crc.item(i):
            raise ValueError(
                f"{self.paths[part]}: member {index.name(i)!r} is damaged (its CRC-32 does not fit). "
                f"Fetch or create the archive again."
            )
        return data

    def read_many(self, numbers: Sequence[int] | np.ndarray) -> list[bytes]:
        """The bytes of many members; what `read` gives one by one, at several times its speed.

        Members that follow one another in their archive are read at once.
        """
        numbers = np.asarray(numbers, np.int64)
        if not len(numbers):
            return []
        parts = np.searchsorted(self._starts[1:], numbers, side="right")
        data, right = _read_plain(self._index, numbers, self._files, parts)
        for k in np.flatnonzero(~right).tolist():
            data[k] = self.read(int(numbers[k]))
        return data

    def check(self) -> list[str]:
        """Read every member and compare its CRC-32; one sentence for each that is damaged."""
        problems = []
        for i in range(len(self)):
            try:
                self.read(i, verify=True)
            except ValueError as error:
                problems.append(str(error))
        return problems

    def _part(self, i: int) -> int:
        return bisect_right(self._starts, i) - 1 if len(self.paths) > 1 else 0

    def _refuse_unreadable(self, i: int) -> None:
        index = self._index
        what = f"{self.paths[self._part(i)]}: member {index.name(i)!r}"
        if index.flags[i] & ENCRYPTED_FLAG:
            raise ValueError(f"{what} is encrypted; write the archive again without a password")
        if index.method[i] not in (STORED, DEFLATED):
            raise ValueError(
                f"{what} is compressed with method {index.method[i]}; only stored (0) and deflated (8) "
                f"members are read: write the archive again with `zip -0`"
            )
        if max(index.size[i], index.raw_size[i]) > MAX_MEMBER_BYTES:
            raise ValueError(
                f"{what} claims {max(index.size[i], index.raw_size[i]):,} bytes, more than the "
                f"{MAX_MEMBER_BYTES:,} that a member may have"
            )

    def _inflate(self, data: bytes, i: int) -> bytes:
        raw_size = int(self._index.raw_size[i])
        try:
            raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, raw_size + 1)
        except zlib.error:
            raw = b""
        if len(raw) != raw_size:
            raise ValueError(
                f"{self.paths[self._part(i)]}: member {self._index.name(i)!r} does not inflate to the "
                f"{raw_size:,} bytes that it claims. Fetch or create it again."
            )
        return raw


def _read_plain(
    index: ZipIndex, numbers: np.ndarray, files: OpenFiles, parts: np.ndarray
) -> tuple[list[bytes], np.ndarray]:
    """The bytes of the members `numbers` (int64), the k-th from file number `parts[k]`.

    What can be checked for all of them together is, and members that lie next to each other are read by one
    call. Also returns for which of them these are right (bool): what is stored, not encrypted, of an allowed
    size, has no extra field in its local header, and the name there that the directory gives it.
    """
    offset, size = index.offset[numbers], index.size[numbers].astype(np.int64)
    name_end = index.name_end[numbers].astype(np.int64)
    name_start = index.name_end[numbers - 1].astype(np.int64)
    name_start[numbers == 0] = 0
    body = offset + (LOCAL_HEADER + name_end - name_start)
    end = body + size
    right = (index.method[numbers] == STORED) & (size <= MAX_MEMBER_BYTES)
    right &= index.flags[numbers] & ENCRYPTED_FLAG == 0

    gap = offset[1:] - end[:-1]
    follows = (parts[1:] == parts[:-1]) & (gap >= 0) & (gap <= _GAP) & right[1:] & right[:-1]
    first = np.flatnonzero(np.concatenate([[True], ~follows]))  # of the members that are read together
    last = np.concatenate([first[1:], [len(numbers)]]) - 1
    length = np.where(right[first], end[last] - offset[first], 0)
    blocks = list(map(files.read, parts[first].tolist(), length.tolist(), offset[first].tolist()))
    if follows.any():
        run = np.repeat(np.arange(len(first)), last - first + 1)
        blocks, start = [blocks[k] for k in run.tolist()], offset[first][run]
    else:
        start = offset

    at, body, end = ((place - start).tolist() for place in (offset, body, end))
    named = [place + LOCAL_HEADER for place in at]
    data = list(map(getitem, blocks, map(slice, body, end)))
    right &= np.fromiter(map(len, data), np.int64, len(data)) == size
    heads = b"".join(map(getitem, blocks, map(slice, at, named)))
    names = b"".join(map(getitem, blocks, map(slice, named, body)))
    promised = map(getitem, repeat(index.names.data), map(slice, name_start.tolist(), name_end.tolist()))
    if names != b"".join(promised) or len(heads) != LOCAL_HEADER * len(numbers):
        right[:] = False  # one of them at least; reading them one by one will tell which
        return data, right
    return data, right & _heads_fit(heads, name_end - name_start)


def _heads_fit(heads: bytes, name_length: np.ndarray) -> np.ndarray:
    """Whether each local header has its signature, the name's length, and no extra field."""
    table = np.frombuffer(heads, _HEAD)
    return (table["signature"] == _SIGNATURE) & (table["name"] == name_length) & (table["extra"] == 0)
