"""The index of an archive, kept in a file beside it.

The arrays lie in the file as they lie in memory and are mapped, not read: an archive of a million members
opens at once, and all processes that use it, spawned ones too, share one copy.
"""

import json
import os
import secrets
from pathlib import Path

import numpy as np

from mdlib.loading.zipindex import ZipIndex, read_index

_FORMAT = 1
_HEAD_BYTES = 4096  # JSON, padded with spaces; the arrays follow, each at a multiple of 64 bytes
_ARRAYS = {name: kind for name, kind in ZipIndex.__annotations__.items() if kind is np.ndarray}


def open_index(path: str | Path) -> ZipIndex:
    """The index of the archive at `path`, from the file `<path>.index` beside it, which is made where it is
    missing, damaged, or belongs to another size or time of the archive. Raises what `read_index` raises; a
    folder that cannot be written to is no error."""
    path = Path(path)
    index = _mapped(path) if path.is_file() else None
    if index is None:
        index = read_index(path)
        try:
            _write(path, index)
        except OSError:  # a read-only folder or a full disk: the index just read will do
            return index
        index = _mapped(path) or index
    return index


def _file(path: Path) -> Path:
    return path.with_name(path.name + ".index")


def _write(path: Path, index: ZipIndex) -> None:
    columns = {name: getattr(index, name) for name in _ARRAYS}
    columns["names"] = np.frombuffer(index.names, np.uint8)
    columns["comment"] = np.frombuffer(index.comment, np.uint8)
    layout, at = {}, _HEAD_BYTES
    for name, column in columns.items():
        layout[name] = [column.dtype.str, len(column), at]
        at += -(-column.nbytes // 64) * 64
    head = json.dumps({**_stamp(path), "bytes": at, "layout": layout}).encode()
    temporary = _file(path).with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(head.ljust(_HEAD_BYTES))
            for name, column in columns.items():
                stream.seek(layout[name][2])
                stream.write(column.data)
            stream.truncate(at)
        os.replace(temporary, _file(path))
    finally:
        temporary.unlink(missing_ok=True)


def _mapped(path: Path) -> ZipIndex | None:
    """The kept index, or None where there is none that fits."""
    file = _file(path)
    try:
        with open(file, "rb") as stream:
            head = json.loads(stream.read(_HEAD_BYTES))
        if head["bytes"] != file.stat().st_size or any(head[k] != v for k, v in _stamp(path).items()):
            return None
        columns = {
            name: np.asarray(np.memmap(file, kind, "r", at, count)) if count else np.empty(0, kind)
            for name, (kind, count, at) in head["layout"].items()
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ZipIndex(**{**columns, "comment": columns["comment"].tobytes()})


def _stamp(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"format": _FORMAT, "size": status.st_size, "time_ns": status.st_mtime_ns}
