"""Writing an archive so that it is whole or not there."""

import os
import secrets
import socket
import zipfile
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)  # the same for every member: the same recipe gives the same bytes


class ShardWriter:
    """Context manager that writes stored members and lets the archive appear under `path` only when done.

    Written beside `path` under a temporary name with host and process in it, synced, then renamed. After
    an exception the temporary file is removed and nothing appears under the final name.
    """

    def __init__(self, path: str | Path, comment: bytes = b""):
        self.path, self.comment = Path(path), comment

    def __enter__(self) -> "ShardWriter":
        unique = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._temporary = self.path.with_name(f".{self.path.name}.{unique}.tmp")
        self._zip = zipfile.ZipFile(self._temporary, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._zip.comment = self.comment
        return self

    def add(self, name: str, data: bytes, deflate: bool = False) -> None:
        """Append one member, as it is or, for text, deflated."""
        info = zipfile.ZipInfo(name, _TIME)
        info.external_attr = 0o644 << 16
        info.create_system = 3  # the same on every platform
        self._zip.writestr(info, data, zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED, 9)

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None:
                self._zip.close()
                sync(self._temporary)
                os.replace(self._temporary, self.path)
                sync(self.path.parent)
        finally:
            if self._temporary.exists():
                self._abandon()

    def _abandon(self) -> None:
        """Close without writing the directory: the disk may be full."""
        self._zip._didModify = False
        stream, self._zip.fp = self._zip.fp, None
        if stream is not None:
            try:
                stream.close()
            except OSError:
                os.close(stream.fileno()) if not stream.closed else None
        self._temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the file or folder at `path` written to the disk before going on."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
