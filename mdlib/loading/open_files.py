"""Reading files at given positions, from any number of files and threads at once.

A process may have few files open, 256 on a Mac and 1,024 on Linux, unless it asks for more; a data set may
have more shards than that.
"""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

try:
    import resource
except ImportError:  # Windows, where 8,192 files may be open
    resource = None

_SHARE = 4  # of the files that may be open, each `OpenFiles` keeps one in so many
_WINDOWS_FILES = 8192


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
