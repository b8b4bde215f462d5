"""A file arrives on the disk whole and verified, or not at all.

On its way it is called `<name>.part`, and `<name>.part.json` tells what it is a part of. Both outlive an
interruption, even a killed process, so the next try goes on where the last one stopped.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm.auto import tqdm

from mdlib.files import need_space, sync
from mdlib.loading.zip_directory import read_index

_DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_CHUNK_BYTES = 4 << 20


class DroppedError(Exception):
    """The source was lost in a way that may pass.

    `wait_s` is how long it asks to be left alone; `unreached` tells that it could not even be asked.
    """

    def __init__(self, reason: str, wait_s: float = 0.0, unreached: bool = False):
        super().__init__(reason)
        self.wait_s, self.unreached = wait_s, unreached


class Part:
    """A file on its way to `out`: a context manager in which one process works while others wait for it.

    `source` identifies where the file comes from; what was kept from another source is thrown away. `what`
    names it in sentences. `facts` is what its source said when the part was begun (size, validator).
    """

    def __init__(self, out: Path, source: str, what: str):
        self.out, self.what, self.facts = out, what, {}
        self.path = out.with_name(f"{out.name}.part")
        self.joined = False  # made of pieces that arrived in several tries
        self._note_path = out.with_name(f"{out.name}.part.json")
        # gdown downloads to <output><eight letters>.part and renames that.
        self._names = re.compile(re.escape(self.path.name) + r"(.{8}\.part)?")
        self._source = hashlib.sha256(source.encode()).hexdigest()  # an address may hold a password
        self._file = None

    def __enter__(self) -> "Part":
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self._note = _open_locked(self._note_path)
        try:
            note = json.loads(os.pread(self._note, 1 << 16, 0))
        except ValueError:
            note = {}
        if note.get("source") == self._source:
            self.facts, self.joined = note["facts"], self.size > 0
        else:
            self.restart()
        return self

    def __exit__(self, *_) -> None:
        self._close()
        if not self._pieces():
            self._note_path.unlink(missing_ok=True)
        os.close(self._note)  # gives the lock back

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return sum(piece.stat().st_size for piece in self._pieces())

    def restart(self, **facts) -> None:
        """Throw away what has arrived, and note the facts of what comes now."""
        self._close()
        for piece in self._pieces():
            piece.unlink()
        self.facts, self.joined = facts, False
        with self.disk_errors():
            os.ftruncate(self._note, 0)
            os.pwrite(self._note, json.dumps({"source": self._source, "facts": facts}).encode(), 0)

    def append(self, data: bytes) -> None:
        """Write `data` at the end, past every buffer of this process: a kill does not lose it."""
        with self.disk_errors():
            if self._file is None:
                self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed by _close
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]

    def pour(self, chunks: Iterable[bytes], total: int | None, bar: tqdm) -> None:
        """Append all of `chunks`, where the disk has room for `total` bytes in all."""
        need_space(self.out.parent, (total or 0) - self.size, self.what)
        bar.reset(total)
        bar.initial = bar.n = self.size  # counts as done, not as speed
        for chunk in chunks:
            self.append(chunk)
            bar.update(len(chunk))

    def complete(
        self, receive: Callable[[], None], sha256: str | None = None, size: int | None = None
    ) -> Path:
        """Have `receive` append what is missing, verify the whole, and give it its name.

        Pieces of several tries that do not verify together are received once more from the start. Raises what
        `receive` and `verify` raise; what was received and is not as it should be is removed.
        """
        for last in (False, True):
            receive()
            self._close()
            self.path.touch()
            try:
                verify(self.path, self.what, sha256, size, self.joined)
                break
            except ValueError:
                joined = self.joined
                self.restart()
                if last or not joined:
                    raise
                tqdm.write(f"{self.what}: the pieces that arrived do not fit together; starting anew")
        sync(self.path)
        os.replace(self.path, self.out)
        return self.out

    @contextmanager
    def disk_errors(self) -> Iterator[None]:
        """Turns a disk that is full into a sentence."""
        try:
            yield
        except OSError as error:
            if error.errno not in _DISK_ERRORS:
                raise
            raise OSError(
                f"{self.out.parent}: {error.strerror} after {self.size:,} bytes of {self.what}. They are "
                f"kept in {self.path}: free some space and do the same again to go on, or delete them."
            ) from error

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _pieces(self) -> list[Path]:
        return [path for path in self.out.parent.iterdir() if self._names.fullmatch(path.name)]


def _open_locked(path: Path) -> int:
    """A descriptor of the file at `path`, made where missing; no other process has one until it is closed."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tqdm.write(f"waiting for another process that holds {path}")
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError:
            return fd  # a file system without locks, as some network drives are
        if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
            return fd
        os.close(fd)  # who held it has removed it


def verify(path: Path, what: str, sha256: str | None, size: int | None, joined: bool = False) -> None:
    """ValueError where the file at `path` has another size or sha256 or, being a ZIP, is not whole.

    Where a ZIP of unknown sha256 was `joined` from pieces, every member's CRC-32 is compared too. `what`
    names the file in sentences.
    """
    found = path.stat().st_size
    if size is not None and found != size:
        raise ValueError(f"{what} has {found:,} bytes, expected {size:,}: it is cut short or another file")
    with open(path, "rb") as stream:
        start = stream.read(4)
        digest = hashlib.sha256(start)
        while sha256 and (block := stream.read(_CHUNK_BYTES)):
            digest.update(block)
    if sha256 and digest.hexdigest() != sha256.lower():
        raise ValueError(
            f"{what} has the sha256 {digest.hexdigest()}, expected {sha256}: it is damaged or another file. "
            f"Compare with what its publisher says."
        )
    if start in (b"PK\3\4", b"PK\5\6") or path.name.removesuffix(".part").lower().endswith(".zip"):
        _verify_zip(path, what, joined and not sha256)


def _verify_zip(path: Path, what: str, read_all: bool) -> None:
    try:
        index, _ = read_index(path)
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), what)) from None
    if read_all and ((len(index.offset) and index.offset.min() > 0) or _is_damaged(path)):
        raise ValueError(f"{what} is a damaged ZIP archive")


def _is_damaged(path: Path) -> bool:
    """Is there a member whose CRC-32 does not fit? `zipfile` reads members of any size, unlike `Archive`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except RuntimeError:  # encrypted, or compressed in a rare way: nothing can be said
        return False
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return True
