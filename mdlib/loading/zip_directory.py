"""The central directory of a ZIP archive as arrays.

No Python object per member: a million members cost about 60 MB and half a second. The directory is read
in pieces, the records of a piece are found by their signature and checked to follow one another without
a gap. Format: PKWARE, .ZIP File Format Specification (APPNOTE) 6.3.10, sections 4.3.12 to 4.3.16, 4.5.3.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_PIECE_BYTES = 2 << 20
_RECORD = 46  # fixed part of a directory record
_RECORD_SIGNATURE = 0x02014B50
_SATURATED = 0xFFFFFFFF  # "the true value stands in the ZIP64 field"
UTF8_FLAG = 0x800
ENCRYPTED_FLAG = 0x1
STORED, DEFLATED = 0, 8  # the methods that are read
LOCAL_HEADER = 30  # bytes before a member's name
MAX_MEMBER_BYTES = 64 << 20  # a picture is far smaller; what claims more is a mistake or a bomb


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
        return self.name_bytes(i).decode("utf-8" if self.flags[i] & UTF8_FLAG else "cp437", "replace")

    def all_names(self) -> list[str]:
        text, ends = self.names.tobytes(), self.name_end.tolist()
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


def joined(indexes: Sequence[ZipIndex]) -> ZipIndex:
    """Several indexes as one, in their order."""
    if len(indexes) == 1:
        return indexes[0]
    before = np.cumsum([0, *(len(index.names) for index in indexes[:-1])])
    if before[-1] + len(indexes[-1].names) > _SATURATED:
        raise ValueError("these archives have over 4 GiB of names together; open fewer of them as one")
    ends = [index.name_end + np.uint32(start) for index, start in zip(indexes, before, strict=True)]
    columns = [np.concatenate(column) for column in zip(*indexes, strict=True)]
    return ZipIndex(*columns)._replace(name_end=np.concatenate(ends))


class _Directory(NamedTuple):
    start: int
    size: int
    count: int
    shift: int  # bytes before the archive proper (a self-extractor, say); added to every offset
    comment: bytes


def read_index(path: str | Path) -> tuple[ZipIndex, bytes]:
    """Parse the central directory of the archive at `path`; returns its index and its comment.

    Raises FileNotFoundError, or ValueError with a sentence for anything that is not one whole, plain,
    consistent ZIP archive: truncated, split over several files, a directory that lies about its size, or
    members that overlap or lie outside the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such archive")
    with open(path, "rb", buffering=0) as stream:
        directory = _find_directory(stream.fileno(), path)
        index = _parse(stream.fileno(), directory, path)
    _check_overlap(index, path)
    return index, directory.comment


def read_exactly(fd: int, size: int, offset: int, path: str | Path) -> bytes:
    """`size` bytes from `offset`; ValueError naming `path` where the file ends before.

    The descriptor's own offset stays, so threads and processes that share it never disturb one another.
    """
    data = os.pread(fd, size, offset)
    while len(data) < size:  # Linux gives at most 2 GiB a call, network drives less
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            raise ValueError(
                f"{path} ends at byte {offset + len(data)}, before byte {offset + size} where it should: "
                f"it is truncated or was changed while in use. Fetch or create it again."
            )
        data += more
    return data


def _find_directory(fd: int, path: Path) -> _Directory:
    file_size = os.fstat(fd).st_size
    tail_start = max(0, file_size - 65535 - 22 - 20 - 56)
    tail = read_exactly(fd, file_size - tail_start, tail_start, path)
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and not _ends_file(tail, at):  # the signature may also occur in the archive's comment
        at = tail.rfind(b"PK\5\6", 0, at)
    if at < 0:
        raise ValueError(
            f"{path} is not a whole ZIP archive: it does not end with a directory "
            f"({file_size} bytes; an interrupted download or copy looks like this). Fetch or create it again."
        )
    disk, start_disk, _, count, size, start, _ = struct.unpack_from("<HHHHIIH", tail, at + 4)
    comment, end = tail[at + 22 :], tail_start + at
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":
        end, disk, start_disk, count, size, start = _zip64_end(fd, tail[at - 20 : at], end - 20, path)
    if disk or start_disk:
        raise ValueError(f"{path} is one part of a split archive; join the parts first (zip -s 0)")
    shift = end - size - start
    if shift < 0 or start < 0 or count * _RECORD > size:
        raise ValueError(
            f"{path}: damaged archive: its directory claims {count} members in {size} bytes at {start}, "
            f"which does not fit the {file_size} bytes of the file. Fetch or create it again."
        )
    return _Directory(start + shift, size, count, shift, comment)


def _ends_file(tail: bytes, at: int) -> bool:
    return at + 22 <= len(tail) and at + 22 + struct.unpack_from("<H", tail, at + 20)[0] == len(tail)


def _zip64_end(fd: int, locator: bytes, locator_at: int, path: Path) -> tuple[int, int, int, int, int, int]:
    _, _, at, disks = struct.unpack("<IIQI", locator)
    for where in (at, locator_at - 56):  # the second where something was put in front of the archive
        if 0 <= where <= locator_at - 56:
            record = read_exactly(fd, 56, where, path)
            if record[:4] == b"PK\6\6":
                disk, start_disk, _, count, size, start = struct.unpack_from("<IIQQQQ", record, 16)
                return where, max(disk, disks - 1), start_disk, count, size, start
    raise ValueError(f"{path}: damaged archive: its ZIP64 end record is missing. Fetch or create it again.")


def _parse(fd: int, directory: _Directory, path: Path) -> ZipIndex:
    kinds = (np.int64, np.uint32, np.uint32, np.uint32, np.uint16, np.uint16, np.uint32)
    columns = [np.empty(directory.count, kind) for kind in kinds]
    # A record is at least as long as its name: no name is copied when the next one comes.
    names = np.empty(directory.size - _RECORD * directory.count, np.uint8)
    parsed, rest, records, kept, named = 0, b"", 0, 0, 0
    while parsed < directory.size:
        wanted = min(_PIECE_BYTES, directory.size - parsed - len(rest))
        piece = rest + read_exactly(fd, wanted, directory.start + parsed + len(rest), path)
        starts, used = _records(piece)
        records += len(starts)
        if (not used and wanted == 0) or records > directory.count:
            break
        if used:
            fields, text = _fields(piece[:used], starts, named, directory, path)
            for column, field in zip(columns, fields, strict=True):
                column[kept : kept + len(field)] = field
            names[named : named + len(text)] = text
            kept, named = kept + len(fields[0]), named + len(text)
        parsed, rest = parsed + used, piece[used:]
    if records != directory.count or parsed != directory.size:
        raise ValueError(
            f"{path}: damaged archive: its end record promises {directory.count} members in "
            f"{directory.size} bytes of directory, found {records}. Fetch or create it again."
        )
    if kept < directory.count:
        columns = [column[:kept].copy() for column in columns]
    names.resize(named, refcheck=False)
    return ZipIndex(*columns, names)


def unaligned(piece: bytes | np.ndarray, kind: str) -> np.ndarray:
    """Every unaligned little-endian number of `piece`: element i starts at byte i."""
    dtype = np.dtype(kind)
    count = max(0, len(piece) - dtype.itemsize + 1)
    return np.ndarray(count, dtype, buffer=piece, strides=(1,)) if count else np.empty(0, dtype)


def _records(piece: bytes) -> tuple[np.ndarray, int]:
    """Starts of the whole records at the beginning of `piece`, and the bytes they take together."""
    starts = np.flatnonzero(unaligned(piece, "<u4") == _RECORD_SIGNATURE)
    starts = starts[starts + _RECORD <= len(piece)]
    if not len(starts) or starts[0] != 0:
        return np.empty(0, np.int64), 0
    u2 = unaligned(piece, "<u2")
    ends = starts + _RECORD + u2[starts + 28].astype(np.int64) + u2[starts + 30] + u2[starts + 32]
    if (ends[:-1] != starts[1:]).any():  # a name or a comment holds the signature, or the chain is broken
        starts, ends = _walk(starts, ends)
    whole = ends <= len(piece)
    starts = starts[whole]
    return starts, int(ends[whole][-1]) if len(starts) else 0


def _walk(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow the chain of records one by one, stepping over false signatures."""
    end_of = dict(zip(starts.tolist(), ends.tolist(), strict=True))
    chain, at = [], 0
    while at in end_of:
        chain.append(at)
        at = end_of[at]
    return np.array(chain, np.int64), np.array([end_of[start] for start in chain], np.int64)


def _fields(
    piece: bytes, at: np.ndarray, names_so_far: int, directory: _Directory, path: Path
) -> tuple[list[np.ndarray], np.ndarray]:
    """The columns of a ZipIndex for the records that start at `at`, and the bytes of their names."""
    u2, u4 = unaligned(piece, "<u2"), unaligned(piece, "<u4")
    length = u2[at + 28].astype(np.int64)
    text = np.frombuffer(piece, np.uint8)
    is_file = (length == 0) | (text[np.minimum(at + _RECORD + length, len(piece)) - 1] != ord("/"))
    at, length = at[is_file], length[is_file]
    raw_size, size, offset = (u4[at + k].astype(np.int64) for k in (24, 20, 42))
    big = (raw_size == _SATURATED) | (size == _SATURATED) | (offset == _SATURATED)
    for i in np.flatnonzero(big):
        extra = piece[at[i] + _RECORD + length[i] :][: u2[at[i] + 30]]
        raw_size[i], size[i], offset[i] = _zip64(extra, [raw_size[i], size[i], offset[i]], path)
    offset += directory.shift
    end = np.cumsum(length)
    source = np.repeat(at + _RECORD - (end - length), length) + np.arange(length.sum())
    names = text[source]
    bad = (offset < directory.shift) | (offset + LOCAL_HEADER + length + size > directory.start)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        _refuse_bounds(path, names[end[first] - length[first] : end[first]].tobytes())
    if names_so_far + len(names) > _SATURATED:
        raise ValueError(f"{path}: its directory is over 4 GiB; split the archive into smaller ones")
    _check_names(names, end, path)
    sizes = (np.minimum(size, _SATURATED), np.minimum(raw_size, _SATURATED))
    return [offset, *sizes, u4[at + 16], u2[at + 10], u2[at + 8], names_so_far + end], names


def _zip64(extra: bytes, values: list[int], path: Path) -> list[int]:
    """Replace saturated (raw_size, size, offset) by the numbers of the ZIP64 extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1 and at + 4 + size <= len(extra):
            numbers = list(struct.unpack_from(f"<{size // 8}Q", extra, at + 4))
            if len(numbers) >= sum(value == _SATURATED for value in values):
                values = [numbers.pop(0) if value == _SATURATED else value for value in values]
                if max(values) < 1 << 62:
                    return values
        at += 4 + size
    raise ValueError(f"{path}: damaged archive: a member has no valid ZIP64 size. Fetch or create it again.")


def _check_overlap(index: ZipIndex, path: Path) -> None:
    """No two members share a byte (the trick of archives that expand to a multiple of their size)."""
    offset, end = index.offset, index.offset + index.size + LOCAL_HEADER
    in_order = (offset[1:] > offset[:-1]).all()  # as most archives are: nothing is sorted or copied then
    order = slice(None) if in_order else np.argsort(offset, kind="stable")
    shared = np.flatnonzero(end[order][:-1] > offset[order][1:])
    if len(shared):
        _refuse_bounds(path, index.name_bytes(int(np.arange(len(offset))[order][shared[0]])))


def _refuse_bounds(path: Path, name: bytes) -> None:
    raise ValueError(
        f"{path}: damaged or hostile archive: member {name.decode('utf-8', 'replace')!r} claims bytes "
        f"outside the file or of another member. Fetch or create it again."
    )


def _check_names(names: np.ndarray, ends: np.ndarray, path: Path) -> None:
    """No name is absolute or climbs out of its folder."""
    if not len(names):
        return
    text, starts = names.tobytes(), np.concatenate([[0], ends[:-1]])
    first, second = (names[np.minimum(starts + k, len(names) - 1)] for k in (0, 1))
    suspects = (first == ord("/")) | (first == ord("\\")) | (second == ord(":"))
    at = text.find(b"..")
    while at >= 0:
        suspects[np.searchsorted(ends, at, side="right")] = True
        at = text.find(b"..", at + 2)
    for i in np.flatnonzero(suspects).tolist():
        name = text[starts[i] : ends[i]].decode("utf-8", "replace")
        plain = name.replace("\\", "/")
        if plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/"):
            raise ValueError(
                f"{path}: member {name!r} has an unsafe name (absolute, or it climbs out of its "
                f"folder); write the archive again with names relative to its top"
            )
