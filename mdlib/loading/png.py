"""Gray PNG, written and read quickly.

A mask or a depth map is one gray channel, and how fast a PNG of it decodes is decided when it is
written: each row names one of five filters, and two of them (average, Paeth) can only be undone pixel by
pixel. `encode` uses a single filter that numpy undoes for the whole picture at once, so that `decode`
costs little more than the inflate step, which releases the GIL. The files are ordinary PNG.
Format: W3C, Portable Network Graphics, third edition (sections 5, 9 and 11).
"""

import struct
import zlib

import numpy as np

try:
    from isal import isal_zlib as inflater  # two to three times as fast on such data
except ImportError:  # no wheel for this platform
    inflater = zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")  # width, height, bit depth, colour type, compression, filter, interlace
_GRAY = 0
_NONE, _SUB, _UP = 0, 1, 2
_MOST_EXPANDED = 1032  # deflate never makes more bytes out of one
_AT_ONCE = 64 << 20  # bytes that may come out of data that nobody has checked
_BLOCK = 16  # rows; about the square root of a picture's height makes the fewest numpy calls


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def encode(img: np.ndarray, level: int = 1) -> bytes:
    """Gray picture (H, W), uint8 or uint16, to PNG bytes; `level` is zlib's, 0 to 9.

    8-bit pictures are stored unfiltered (masks are flat and deflate well as they are); 16-bit ones as
    differences to the row above, which are small where depth is smooth.
    """
    if img.ndim != 2 or img.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"a gray PNG needs a (H, W) array of uint8 or uint16, but got shape {img.shape} of {img.dtype}"
        )
    height, width = img.shape
    rows = np.ascontiguousarray(img, dtype=f">u{img.itemsize}").view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 1:] = rows
    if img.dtype == np.uint8:
        filtered[:, 0] = _NONE
    else:
        filtered[:, 0] = _UP
        filtered[1:, 1:] -= rows[:-1]
    header = _HEADER.pack(width, height, 8 * img.itemsize, _GRAY, 0, 0, 0)
    data = zlib.compress(filtered, level)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def decode(data: bytes) -> np.ndarray | None:
    """PNG bytes to a (H, W) array of uint8 or big-endian uint16, or None where a general decoder is needed.

    Handles what `encode` writes, and gray PNG of other writers as long as every row has the same simple
    filter. The array may be a read-only view. Raises ValueError for a damaged file.
    """
    if len(data) < 33 or data[:8] != SIGNATURE or data[12:16] != b"IHDR":
        raise ValueError("not a PNG file")
    width, height, bits, colour, _, _, interlace = _HEADER.unpack_from(data, 16)
    if colour != _GRAY or bits not in (8, 16) or interlace:
        return None
    row_bytes = width * bits // 8
    compressed = _image_data(data)
    if not compressed:
        return None
    raw = _inflate(compressed, height * (row_bytes + 1))
    kinds = raw[:: row_bytes + 1]  # the filter of each row
    kind = kinds[0] if height else _NONE
    if kind > _UP or kinds.count(kind) != height:
        return None
    pixels = np.frombuffer(raw, np.uint8).reshape(height, row_bytes + 1)[:, 1:]
    if kind == _UP:
        pixels = _undo_up(pixels.copy())
    elif kind == _SUB:
        pixels = np.add.accumulate(pixels.reshape(height, width, bits // 8), axis=1, dtype=np.uint8)
    if bits == 8:
        return pixels.reshape(height, width)
    return np.ascontiguousarray(pixels).reshape(height, row_bytes).view(">u2")


def _undo_up(rows: np.ndarray) -> np.ndarray:
    """Running sum (mod 256) down the rows, in place: within all blocks of rows, then from block to block."""
    whole = len(rows) // _BLOCK * _BLOCK
    blocks = rows[:whole].reshape(-1, _BLOCK, rows.shape[1])
    for i in range(1, _BLOCK):
        blocks[:, i] += blocks[:, i - 1]
    for i in range(1, len(blocks)):
        blocks[i] += blocks[i - 1, -1]
    for i in range(max(whole, 1), len(rows)):
        rows[i] += rows[i - 1]
    return rows


def _image_data(data: bytes) -> bytes:
    """The bodies of the IDAT chunks, joined; usually there is one and nothing is copied twice."""
    parts, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if at + 12 + size > len(data):
            break
        if kind == b"tRNS":  # one gray level is transparent: rare, and not ours to interpret
            return b""
        if kind == b"IDAT":
            parts.append(data[at + 8 : at + 8 + size])
        if kind == b"IEND":
            return parts[0] if len(parts) == 1 else b"".join(parts)
        at += 12 + size
    raise ValueError("the PNG file ends too early (truncated)")


def _inflate(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes; never much more in memory, whatever the stream would expand to."""
    try:
        if len(data) * _MOST_EXPANDED <= _AT_ONCE:  # into one piece of memory of the right size
            raw = inflater.decompress(data, bufsize=size + 1)[:size]
        else:
            raw = inflater.decompressobj().decompress(data, size)
    except inflater.error as error:
        raise ValueError(f"the PNG data is damaged ({error})") from None
    if len(raw) != size:
        raise ValueError(f"the PNG data is damaged ({len(raw)} bytes of pixels, expected {size})")
    return raw
