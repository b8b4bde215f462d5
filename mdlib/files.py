"""Writing files so that at any moment, also after a kill or a full disk, each is whole or not there.

What is being written lies beside its place under a temporary name that says whose it is, so that what a
killed process left can be told from what another one is writing.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
from pathlib import Path
from typing import Any

_TEMPORARY = re.compile(r"\..+\.(?P<host>[^/]+)-(?P<pid>\d+)-[0-9a-f]+\.tmp")
_BLOCK_BYTES = 1 << 20


def temporary_path(path: Path) -> Path:
    """Where to write what will be renamed to `path`: a hidden name with host and process in it."""
    return path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def write_whole(path: Path, data: bytes | bytearray) -> None:
    """Write a file so that at any moment either the old or the new content is there.

    Raises OSError, as on a full disk; then the old content stays, and nothing is left of the new one.
    """
    temporary = temporary_path(path)
    try:
        write_synced(temporary, data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, indented, whole or not at all."""
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def write_synced(path: Path, data: bytes | bytearray) -> None:
    """Write a file, wait until the disk has it, and read it back; raises OSError where it is another."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):  # forget it, so that reading it asks the disk
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if path.read_bytes() != data:
        raise OSError(f"{path} is not on the disk as it was written: is the disk failing?")


def sync(path: Path) -> None:
    """Wait until the disk has this file, or the names in this folder, where the system can do that."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:  # network drives have no such thing for folders
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise
        finally:
            os.close(descriptor)


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def need_space(folder: Path, missing: int, what: str) -> None:
    """OSError where the disk of `folder` has no room for `missing` more bytes of `what`."""
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise OSError(
            f"{what} needs {missing:,} more bytes, but {folder} has {free:,} free: free some space, or give "
            f"a folder on another disk"
        )


def remove_stale(folder: Path) -> None:
    """Remove what killed processes of this machine left half-written in `folder`."""
    if os.name != "posix":
        return
    for path in folder.glob(".*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and match["host"] == socket.gethostname() and not _is_running(int(match["pid"])):
            path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False  # the number was used before: this process is not writing yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # gone by now, or not Linux
        return True
    return state not in "ZX"  # dead, but not yet collected by the process that inherited it
