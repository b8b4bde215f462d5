"""One process at a time trains in a run folder."""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = "lock.json"
BEAT_S = 30.0  # how often a process says that it is alive
SILENT_S = 120.0  # one on another machine that said nothing for so long is taken for dead


class RunLock:
    """While entered, no other process gets in; raises BlockingIOError with a sentence that names the other.

    On one machine the system knows who is alive: what a killed process left is taken over at once. Of a
    process on another machine (the folder is on a network drive) only lock.json tells, where each writes
    every BEAT_S seconds that it is alive.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / NAME

    def __enter__(self) -> "RunLock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file, held = self._take()
        try:
            other = _content(self._file)
            silent_s = time.time() - other.get("alive", 0)
            if silent_s < SILENT_S and not (held and other["host"] == socket.gethostname()):
                raise BlockingIOError(
                    f"{self._used_by(other)}, alive {max(0, silent_s):.0f} s ago: stop it there, or try "
                    f"again in {SILENT_S - silent_s:.0f} s if that machine is gone"
                )
            self._write(time.time())
        except BaseException:
            os.close(self._file)
            raise
        self._left = threading.Event()
        threading.Thread(target=self._beat, args=(self._left,), name="lock", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._left.set()
        with suppress(OSError):  # a disk that is gone
            self._write(0)
            self.path.unlink()
        os.close(self._file)

    def _take(self) -> tuple[int, bool]:
        """The open file, and whether the system holds it for this process."""
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if fcntl is None:
                    return file, False
                # Of the process, not of the file: workers that outlive a killed process do not hold it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                used = self._used_by(_content(file))
                os.close(file)
                raise BlockingIOError(f"{used}: stop it first, or choose another run folder") from None
            except OSError:  # some network drives have no locks
                return file, False
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(self.path)):
                    return file, True
            os.close(file)  # the other process ended just now and removed it

    def _used_by(self, other: dict) -> str:
        who = f"process {other.get('pid', '?')} on {other.get('host', 'an unknown machine')}"
        return f"{self.path.parent} is being trained by {who}"

    def _write(self, alive: float) -> None:
        content = {"host": socket.gethostname(), "pid": os.getpid(), "alive": round(alive)}
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, json.dumps(content).encode().ljust(200))

    def _beat(self, left: threading.Event) -> None:
        while not left.wait(BEAT_S):
            with suppress(OSError):  # a full disk: the next time
                self._write(time.time())


def _content(file: int) -> dict:
    os.lseek(file, 0, os.SEEK_SET)
    try:
        content = json.loads(os.read(file, 1000))
        return content if {"host", "pid", "alive"} <= set(content) else {}
    except (ValueError, TypeError):  # empty, or of something else
        return {}
