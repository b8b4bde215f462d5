"""The index of an archive, kept in a file.

The arrays lie in the file as they lie in memory and are mapped, not read: an archive of a million members
opens at once, and all processes that use it, spawned ones too, share one copy.
"""

import json
import os
import secrets
from pathlib import Path

import numpy as np

from mdlib.loading.zip_directory import ZipIndex, read_index

_FORMAT = 2
_HEAD_BYTES = 1 << 18  # JSON, padded with spaces: a comment takes up to 64 kB, six characters a byte
_ALIGNED = 64  # bytes; each array starts at a multiple of it


def open_index(path: str | Path) -> tuple[ZipIndex, bytes]:
    """The index and the comment of the archive at `path`, from the file `<path>.index` beside it.

    The file is made where it is missing, damaged, or belongs to another size or time of the archive. Raises
    what `read_index` raises; a folder that cannot be written to is no error.
    """
    path = Path(path)
    file = path.with_name(path.name + ".index")
    stamp = _stamp(path) if path.is_file() else {}
    kept = map_index(file, stamp)
    if kept is None:
        kept = read_index(path)
        try:
            write_index(file, *kept, stamp)
        except OSError:  # a read-only folder or a full disk: the index just read will do
            return kept
        kept = map_index(file, stamp) or kept
    return kept


def write_index(file: Path, index: ZipIndex, comment: bytes, stamp: dict) -> None:
    """Write an index so that `file` is whole or not there; `stamp` tells what it belongs to."""
    layout, at = {}, _HEAD_BYTES
    for name, column in index._asdict().items():
        layout[name] = [column.dtype.str, len(column), at]
        at += -(-column.nbytes // _ALIGNED) * _ALIGNED
    content = {
        "format": _FORMAT,
        "stamp": stamp,
        "bytes": at,
        "layout": layout,
        "comment": comment.decode("latin1"),
    }
    temporary = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(json.dumps(content).encode().ljust(_HEAD_BYTES))
            for name, column in index._asdict().items():
                stream.seek(layout[name][2])
                stream.write(column.data)
            stream.truncate(at)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def map_index(file: Path, stamp: dict) -> tuple[ZipIndex, bytes] | None:
    """The index in `file` and the comment, or None where there is none with that stamp."""
    try:
        with open(file, "rb") as stream:
            head = json.loads(stream.read(_HEAD_BYTES))
        if head["format"] != _FORMAT or head["stamp"] != stamp or head["bytes"] != file.stat().st_size:
            return None
        columns = {
            name: np.asarray(np.memmap(file, kind, "r", at, count)) if count else np.empty(0, kind)
            for name, (kind, count, at) in head["layout"].items()
        }
        return ZipIndex(**columns), head["comment"].encode("latin1")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamp(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"size": status.st_size, "time_ns": status.st_mtime_ns}
