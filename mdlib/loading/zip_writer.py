"""Writing an archive so that it is whole or not there.

The records of the ZIP format are packed here: `zipfile` writes the same bytes in three times the time, and
keeps an object of each member. Format: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path

from mdlib.files import sync, temporary_path

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_VERSION, _VERSION_64 = 20, 45  # of the format, times 10, that a reader must know
_UNIX = 3 << 8  # written on, which tells how to read _MODE; the same on every platform
_MODE = 0o644 << 16
_UTF8 = 1 << 11
_STORED, _DEFLATED = 0, 8
_TIME, _DATE = 0, (1 << 5) | 1  # 1980-01-01, for every member: the same recipe gives the same bytes
_MAX_16, _MAX_32 = (1 << 16) - 1, (1 << 32) - 1  # stand for "see the ZIP64 field"
_BUFFER = 1 << 20


class ShardWriter:
    """Context manager that writes members and lets the archive appear under `path` only when done.

    Written beside `path` under a temporary name with host and process in it, synced, then renamed. After
    an exception the temporary file is removed and nothing appears under the final name.

    Example:
        >>> with ShardWriter("a.zip") as shard: shard.add("mask/7.png", data)
    """

    def __init__(self, path: str | Path, comment: bytes = b""):
        self.path, self.comment = Path(path), comment

    def __enter__(self) -> "ShardWriter":
        self._temporary = temporary_path(self.path)
        self._stream = open(self._temporary, "wb", buffering=_BUFFER)  # noqa: SIM115 (closed in __exit__)
        self._directory: list[bytes] = []
        self._offset = 0
        return self

    def add(self, name: str, data: bytes, deflate: bool = False) -> None:
        """Append one member of less than 4 GiB, as it is or, for text, deflated."""
        encoded, crc, size = name.encode(), zlib.crc32(data), len(data)
        if size >= _MAX_32 or len(encoded) > _MAX_16:
            raise ValueError(f"{self.path}: member {name[:80]!r} of {size:,} bytes is too large")
        if deflate:
            squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
            data = squeezer.compress(data) + squeezer.flush()
        flags, method = 0 if name.isascii() else _UTF8, _DEFLATED if deflate else _STORED
        facts = (flags, method, _TIME, _DATE, crc, len(data), size, len(encoded))
        self._stream.write(_LOCAL.pack(b"PK\3\4", _VERSION, *facts, 0) + encoded)
        self._stream.write(data)
        version, offset, extra = _VERSION, self._offset, b""
        if offset >= _MAX_32:
            version, offset, extra = _VERSION_64, _MAX_32, struct.pack("<2HQ", 1, 8, offset)
        central = (b"PK\1\2", _UNIX | version, version, *facts, len(extra), 0, 0, 0, _MODE, offset)
        self._directory.append(_CENTRAL.pack(*central) + encoded + extra)
        self._offset += _LOCAL.size + len(encoded) + len(data)

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None:
                self._end()
                self._stream.flush()
                os.fsync(self._stream.fileno())
                self._stream.close()
                os.replace(self._temporary, self.path)
                sync(self.path.parent)
        finally:
            if self._temporary.exists():
                self._abandon()

    def _end(self) -> None:
        """Write the central directory and what leads to it."""
        count, size = len(self._directory), sum(map(len, self._directory))
        self._stream.writelines(self._directory)
        if count >= _MAX_16 or size >= _MAX_32 or self._offset >= _MAX_32:
            where = self._offset + size
            length = _END_64.size - 12  # of what follows that number
            versions = (_VERSION_64, _VERSION_64)
            end = (b"PK\6\6", length, *versions, 0, 0, count, count, size, self._offset)
            self._stream.write(_END_64.pack(*end) + _LOCATOR_64.pack(b"PK\6\7", 0, where, 1))
        short = (min(count, _MAX_16), min(count, _MAX_16), min(size, _MAX_32), min(self._offset, _MAX_32))
        self._stream.write(_END.pack(b"PK\5\6", 0, 0, *short, len(self.comment)) + self.comment)

    def _abandon(self) -> None:
        """Close without the directory, and remove what was written: the disk may be full."""
        with contextlib.suppress(OSError):  # of bytes still waiting; the file is closed nevertheless
            self._stream.close()
        self._temporary.unlink(missing_ok=True)
