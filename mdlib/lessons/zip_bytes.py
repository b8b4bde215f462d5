"""A small ZIP archive, byte by byte, for people. Format: PKWARE, APPNOTE.TXT 6.3.10, section 4.3."""

import html
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_LOCAL, _CENTRAL, _END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_COLOURS = ("#cfe3ff", "#ffe2b8", "#e6e6e6", "#d3f0d0", "#f6cfe0")
KINDS = ("local header", "name", "data", "directory entry", "end of directory")
_ROW = 16  # bytes
_SHOWN = 32  # bytes of a member's data that are shown


class ZipPart(NamedTuple):
    """Bytes start..end-1 of an archive: what they are (one of KINDS), and what stands in them."""

    start: int
    end: int
    kind: str
    says: str


def zip_parts(data: bytes) -> list[ZipPart]:
    """The parts of an archive of stored members, in their order, without a gap.

    Raises ValueError for what is no such archive, and for one in ZIP64 format.
    """
    at = data.rfind(_END)
    if at < 0:
        raise ValueError("no ZIP archive: the signature of its end, PK 05 06, is nowhere in it")
    count, size, start = struct.unpack("<HLL", data[at + 10 : at + 20])
    if start + size != at:
        raise ValueError("this is an archive in ZIP64 format; only small ones are taken apart here")
    end = ZipPart(at, len(data), KINDS[4], f"{count} members, from {start}")
    return sorted([*_members(data, start, count), end])


def _members(data: bytes, at: int, count: int) -> Iterator[ZipPart]:
    for _ in range(count):
        if data[at : at + 4] != _CENTRAL:
            raise ValueError(f"no directory entry at byte {at}: the archive is damaged")
        (size,) = struct.unpack("<L", data[at + 20 : at + 24])
        lengths = struct.unpack("<HHH", data[at + 28 : at + 34])
        (offset,) = struct.unpack("<L", data[at + 42 : at + 46])
        name = data[at + 46 : at + 46 + lengths[0]].decode()
        end = at + 46 + sum(lengths)
        yield ZipPart(at, end, KINDS[3], f"{name}, {size} bytes, at {offset}")
        at = end
        local = struct.unpack("<HH", data[offset + 26 : offset + 30])
        body = offset + 30 + sum(local)
        yield ZipPart(offset, offset + 30, KINDS[0], f"name {local[0]}, data {size} bytes")
        yield ZipPart(offset + 30, body, KINDS[1], name)
        yield ZipPart(body, body + size, KINDS[2], f"{size} bytes, as they are")


class HexDump(str):
    """HTML that a notebook shows as a coloured hex dump."""

    def _repr_html_(self) -> str:
        return str(self)


def hex_dump(data: bytes, parts: Sequence[ZipPart]) -> HexDump:
    """The bytes of all parts in hexadecimal, 16 to a line; of long data the first 32."""
    lines = []
    for part in parts:
        shown = data[part.start : part.end]
        cut = part.kind == KINDS[2] and len(shown) > _SHOWN
        for k in range(0, _SHOWN if cut else len(shown), _ROW):
            row = shown[k : k + _ROW]
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            says = f"{part.kind}: {part.says}" if k == 0 else ""
            colour = _COLOURS[KINDS.index(part.kind)]
            lines.append(
                f"{part.start + k:6d}  <span style='background:{colour};color:#222'>{row.hex(' '):47} "
                f"{html.escape(text):16}</span>  {html.escape(says)}"
            )
        if cut:
            lines.append(f"        ... {len(shown) - _SHOWN:,} more")
    style = "font:11px/1.3 monospace;white-space:pre;overflow-x:auto"
    return HexDump(f"<pre style='{style}'>" + "\n".join(lines) + "</pre>")
