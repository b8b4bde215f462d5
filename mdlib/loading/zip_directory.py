"""The central directory of a ZIP archive as arrays.

No Python object per member: a million members cost about 60 MB and half a second. The directory is read
in pieces, the records of a piece are found by their signature and checked to follow one another without
a gap. Format: PKWARE, .ZIP File Format Specification (APPNOTE) 6.3.10, sections 4.3.12 to 4.3.16, 4.5.3.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mdlib.files import OpenFile, read_exactly
from mdlib.loading.zip_names import BACKSLASH, SATURATED, ZipIndex, unaligned

_PIECE_BYTES = 2 << 20
_RECORD = 46  # fixed part of a directory record
_RECORD_SIGNATURE = 0x02014B50
ENCRYPTED_FLAG = 0x1
STORED, DEFLATED = 0, 8  # the methods that are read
LOCAL_HEADER = 30  # bytes before a member's name
_OTHER_ARCHIVES = {
    b"\x1f\x8b": "compressed by gzip (a .tar.gz archive?)", b"BZh": "compressed by bzip2",
    b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive", b"\xfd7zXZ": "compressed by xz",
}  # fmt: skip
MAX_MEMBER_BYTES = 64 << 20  # a picture is far smaller; what claims more is a mistake or a bomb


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
    file = OpenFile(path)
    directory = _find_directory(file, path)
    index = _parse(file, directory, path)
    _check_overlap(index, path)
    return index, directory.comment


def _find_directory(file: OpenFile, path: Path) -> _Directory:
    file_size = os.fstat(file.descriptor).st_size
    tail_start = max(0, file_size - 65535 - 22 - 20 - 56)
    tail = read_exactly(file.read, file_size - tail_start, tail_start, path)
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and _end_of(tail, at) != len(tail):  # the signature may also occur in the archive's comment
        at = tail.rfind(b"PK\5\6", 0, at)
    if at < 0:
        at = tail.rfind(b"PK\5\6")
        while at >= 0 and not _has_bytes_behind(tail, at, tail_start):
            at = tail.rfind(b"PK\5\6", 0, at)
    if at < 0:
        _refuse_strange(read_exactly(file.read, min(file_size, 512), 0, path), file_size, path)
    disk, start_disk, _, count, size, start, _ = struct.unpack_from("<HHHHIIH", tail, at + 4)
    comment, end = tail[at + 22 : _end_of(tail, at)], tail_start + at
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":
        end, disk, start_disk, count, size, start = _zip64_end(file, tail[at - 20 : at], end - 20, path)
    if disk or start_disk:
        raise ValueError(f"{path} is one part of a split archive; join the parts first (zip -s 0)")
    shift = end - size - start
    if shift < 0 or start < 0 or count * _RECORD > size:
        raise ValueError(
            f"{path}: damaged archive: its directory claims {count} members in {size} bytes at {start}, "
            f"which does not fit the {file_size} bytes of the file. Fetch or create it again."
        )
    return _Directory(start + shift, size, count, shift, comment)


def _end_of(tail: bytes, at: int) -> int:
    """Where the end record at `at` and its comment end; 0 where it is cut off."""
    return at + 22 + struct.unpack_from("<H", tail, at + 20)[0] if at + 22 <= len(tail) else 0


def _has_bytes_behind(tail: bytes, at: int, tail_start: int) -> bool:
    """Whether an archive of the whole file ends at `at`, with something that is none of it behind.

    Its directory lies right before, counted from the start of the file: that of an archive inside of another
    one, whose own directory is lost, does not.
    """
    size, start = struct.unpack_from("<II", tail, at + 12) if _end_of(tail, at) else (0, 0)
    return 0 < _end_of(tail, at) < len(tail) and size + start == tail_start + at


def _refuse_strange(head: bytes, file_size: int, path: Path) -> None:
    kinds = (kind for signature, kind in _OTHER_ARCHIVES.items() if head.startswith(signature))
    kind = "a tar archive" if head[257:262] == b"ustar" else next(kinds, None)
    if kind:
        raise ValueError(f"{path} is {kind}, not a ZIP archive: extract it, and give the folder")
    raise ValueError(
        f"{path} is not a whole ZIP archive: it does not end with a directory "
        f"({file_size} bytes; an interrupted download or copy looks like this). Fetch or create it again."
    )


def _zip64_end(
    file: OpenFile, locator: bytes, locator_at: int, path: Path
) -> tuple[int, int, int, int, int, int]:
    _, _, at, disks = struct.unpack("<IIQI", locator)
    for where in (at, locator_at - 56):  # the second where something was put in front of the archive
        if 0 <= where <= locator_at - 56:
            record = read_exactly(file.read, 56, where, path)
            if record[:4] == b"PK\6\6":
                disk, start_disk, _, count, size, start = struct.unpack_from("<IIQQQQ", record, 16)
                return where, max(disk, disks - 1), start_disk, count, size, start
    raise ValueError(f"{path}: damaged archive: its ZIP64 end record is missing. Fetch or create it again.")


def _parse(file: OpenFile, directory: _Directory, path: Path) -> ZipIndex:
    kinds = (np.int64, np.uint32, np.uint32, np.uint32, np.uint16, np.uint16, np.uint32)
    columns = [np.empty(directory.count, kind) for kind in kinds]
    # A record is at least as long as its name: no name is copied when the next one comes.
    names = np.empty(directory.size - _RECORD * directory.count, np.uint8)
    parsed, rest, records, kept, named = 0, b"", 0, 0, 0
    while parsed < directory.size:
        wanted = min(_PIECE_BYTES, directory.size - parsed - len(rest))
        piece = rest + read_exactly(file.read, wanted, directory.start + parsed + len(rest), path)
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
    last = text[np.minimum(at + _RECORD + length, len(piece)) - 1]
    is_file = (length == 0) | ((last != ord("/")) & ((last != BACKSLASH) | (u4[at + 24] > 0)))
    at, length = at[is_file], length[is_file]
    raw_size, size, offset = (u4[at + k].astype(np.int64) for k in (24, 20, 42))
    big = (raw_size == SATURATED) | (size == SATURATED) | (offset == SATURATED)
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
    if names_so_far + len(names) > SATURATED:
        raise ValueError(f"{path}: its directory is over 4 GiB; split the archive into smaller ones")
    _check_names(names, end, path)
    sizes = (np.minimum(size, SATURATED), np.minimum(raw_size, SATURATED))
    return [offset, *sizes, u4[at + 16], u2[at + 10], u2[at + 8], names_so_far + end], names


def _zip64(extra: bytes, values: list[int], path: Path) -> list[int]:
    """Replace saturated (raw_size, size, offset) by the numbers of the ZIP64 extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1 and at + 4 + size <= len(extra):
            numbers = list(struct.unpack_from(f"<{size // 8}Q", extra, at + 4))
            if len(numbers) >= sum(value == SATURATED for value in values):
                values = [numbers.pop(0) if value == SATURATED else value for value in values]
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
