"""Files: written so that each is whole or not there, read at known positions by many threads at once.

What is being written lies beside its place under a temporary name that says whose it is, so that what a
killed process left can be told from what another one is writing. Of those that are read a process may have
few open, 256 on a Mac and 1,024 on Linux, unless it asks for more; a data set may have more shards.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows, where 8,192 files may be open
    resource = None

_TEMPORARY = re.compile(r"\..+\.(?P<host>[^/]+)-(?P<pid>\d+)-[0-9a-f]+\.tmp")
_BLOCK_BYTES = 1 << 20
_SHARE = 4  # of the files that may be open, each `OpenFiles` keeps one in so many
_WINDOWS_FILES = 8192


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


def need_space(folder: Path, missing: int, what: str, advice: str = "") -> None:
    """OSError where the disk of `folder` has no room for `missing` more bytes of `what`.

    `advice` is what can be done beside making room and giving another folder.
    """
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise OSError(
            f"{what} needs about {readable(missing)} more, but only {readable(free)} are free on the disk of "
            f"{folder}: free some space, {advice and advice + ', '}or give a folder on another disk"
        )


def readable(count: float) -> str:
    """A number of bytes in the unit that fits, such as 1.2 GB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


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


class OpenFile:
    """A file open for reading. It is closed with the last reference to it: never while a thread reads."""

    descriptor: int | None = None

    def __init__(self, path: str | Path):
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = threading.Lock()

    def __del__(self, close: Callable = os.close):  # bound here: at the end of the program modules are gone
        if self.descriptor is not None:
            close(self.descriptor)

    if hasattr(os, "pread"):

        def read(self, size: int, offset: int) -> bytes:
            """Up to `size` bytes from `offset`; threads, and processes that share it, disturb no other."""
            return os.pread(self.descriptor, size, offset)

    else:  # Windows, where no process shares it

        def read(self, size: int, offset: int) -> bytes:
            """Up to `size` bytes from `offset`; threads disturb no other."""
            with self._lock:
                os.lseek(self.descriptor, offset, os.SEEK_SET)
                return os.read(self.descriptor, size)


class OpenFiles:
    """The files `paths`, opened as they are read, and as they were when this was made.

    Where the system lets too few be open, those that were opened first are closed for others. Safe under
    threads and fork. Raises ValueError where a file was changed meanwhile.
    """

    def __init__(self, paths: Sequence[Path]):
        self.paths = list(paths)
        self.stamps = [_stamp(os.stat(path)) for path in self.paths]
        self._most = _allowed(len(self.paths))
        self._open: dict[int, OpenFile] = {}
        self._lock = threading.Lock()

    def read(self, number: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes of file `number`, from `offset`."""
        return (self._open.get(number) or self._opened(number)).read(size, offset)

    def _opened(self, number: int) -> OpenFile:
        with self._lock:
            file = self._open.get(number)
            if file is None:
                while len(self._open) >= self._most:
                    del self._open[next(iter(self._open))]
                file = self._open[number] = self._newly_opened(number)
            return file

    def _newly_opened(self, number: int) -> OpenFile:
        try:
            file = OpenFile(self.paths[number])
        except OSError as error:
            if error.errno != errno.EMFILE or not self._open:
                raise
            self._open.clear()  # others have more files open than was thought
            file = OpenFile(self.paths[number])
        if _stamp(os.fstat(file.descriptor)) != self.stamps[number]:
            raise ValueError(f"{self.paths[number]} was changed since it was opened; open it again")
        return file


def read_exactly(read: Callable[[int, int], bytes], size: int, offset: int, path: str | Path) -> bytes:
    """`size` bytes from `offset` by `read(size, offset)`; ValueError naming `path` where it ends before."""
    data = read(size, offset)
    while len(data) < size:  # Linux gives at most 2 GiB a call, network drives less
        more = read(size - len(data), offset + len(data))
        if not more:
            raise ValueError(
                f"{path} ends at byte {offset + len(data)}, before byte {offset + size} where it should: "
                f"it is truncated or was changed while in use. Fetch or create it again."
            )
        data += more
    return data


def _allowed(count: int) -> int:
    """How many of `count` files to keep open; asks the system for more where it has to."""
    if resource is None:
        return min(count, _WINDOWS_FILES // _SHARE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _SHARE * count
    if resource.RLIM_INFINITY != soft < wanted:
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (ValueError, OSError):  # a Mac allows less than it says
            pass
    return max(1, count if soft == resource.RLIM_INFINITY else soft // _SHARE)


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns]
