"""A copy of the run folder where files survive, such as Google Drive, made while training goes on.

What is there can vanish, fill up or turn read-only at any moment: then training goes on, one warning says so,
and what is missing is copied as soon as that works again. Nothing counts as safe before it was read back.
"""

import hashlib
import json
import os
import threading
import warnings
from collections import deque
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm

from mdlib.files import write_whole
from mdlib.modeling.registry import CONFIG_NAME, WEIGHTS_NAME
from mdlib.training.checkpoint import (
    MANIFEST,
    METRICS,
    UNREADABLE,
    Checkpoint,
    Checkpoints,
    read_files,
    step_of,
)
from mdlib.training.run_folder import Records

RECORD_NAME = "mirror.json"
FILES = (METRICS, WEIGHTS_NAME, CONFIG_NAME)
LONGEST_PAUSE_S = 60.0


class Mirror:
    """Copies the run folder that `checkpoints` is in to `folder`; where that is None, nothing is done.

    From `begin` to the end of the with statement a thread copies after each `wake`: finished checkpoints, the
    newest first, then metrics, network and config.json. A failure is told by `warn`, once until it works
    again; it is tried again after `retry_s`, then after twice as long, and so on. At the end it gets
    `patience_s` to finish, and what is not there by then is named. mirror.json in the run folder says at any
    time what was read back from there.
    """

    def __init__(self, checkpoints: Checkpoints, folder: Path | None):
        self.here, self.run = checkpoints, checkpoints.folder.parent
        self.problems: deque[str] = deque()  # sentences of the thread, not told yet
        self.retry_s, self.patience_s = 1.0, 60.0
        self.trouble: str | None = None
        self._safe: dict[str, bytes] = {}  # name -> manifest or sha256 of what was read back there
        self._damaged: dict[str, bytes] = {}  # name -> manifest of a checkpoint here that is not whole
        self._mount: Path | None = None
        self._thread: threading.Thread | None = None
        self.folder = None if folder is None else Path(folder)
        if self.folder:
            self.there = Checkpoints(self.folder / self.here.folder.name, checkpoints.keep)

    def begin(self, records: Records, found: Checkpoint | None) -> Checkpoint | None:
        """The checkpoint to go on from: `found`, the newest of the run folder, or a newer one of the mirror.

        A newer one is copied to the run folder. A run folder without a run takes up that of the mirror.
        Raises ValueError where the mirror holds another run; OSError where it cannot be reached and nothing
        was found here, for a run that is there would begin anew.
        """
        if self.folder is None:
            return found
        self._records, self._mount, self.trouble = records, None, None
        if found:
            records.run_id = found.state["run_id"]
        try:
            there_id = self._open()
            if not found and not records.found_id:
                records.run_id = there_id or records.run_id
            self._must_be_ours(there_id)
            for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed while it copied
                leftover.unlink(missing_ok=True)
            newer = self.there.latest(records.run_id, after=found.state["step"] if found else -1)
            if newer:
                found = newer._replace(path=self.here.put(newer.path.name, read_files(newer.path)))
        except OSError as error:
            if not found:
                raise
            self._tell(error)
        self._asked, self._leaving, self._given_up = (threading.Event() for _ in range(3))
        self._asked.set()  # something may be missing since the last time
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()
        return found

    def wake(self) -> None:
        """There is something new to copy."""
        if self._thread:
            self._asked.set()

    def warn(self) -> None:
        """Tell what went wrong since the last call, as warnings."""
        while self.problems:
            warnings.warn(self.problems.popleft(), stacklevel=2)

    def safe_step(self) -> int | None:
        """The newest step of which a whole copy was read back from the mirror."""
        return max((step_of(Path(name)) for name in self._safe if name not in FILES), default=None)

    def missing(self) -> list[str]:
        """Names of what is in the run folder and not known to be safe in the mirror, which is not asked."""
        checkpoints = [path.name for path in self._unsafe_checkpoints()]
        return checkpoints + [name for name in FILES if self._digest(name) != self._safe.get(name)]

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._thread is None:
            return
        self._leaving.set()
        self._asked.set()
        self._thread.join(1)
        if self._thread.is_alive():
            print(f"waiting for the mirror {self.folder}, {self.patience_s:.0f} s at most")
            self._thread.join(self.patience_s)
        self._given_up.set()  # one that hangs in the system ends with this process
        self._thread = None
        if missing := self.missing() or (["what was there before"] if self.trouble else []):
            reason = f" ({self.trouble})" if self.trouble else ""
            print(f"NOT known to be in the mirror {self.folder}: {', '.join(missing)}{reason}")
        else:
            print(f"everything is in the mirror {self.folder} too, up to step {self.safe_step()}")

    def _work(self) -> None:
        pause = self.retry_s
        while not self._given_up.is_set():
            self._asked.wait()
            self._asked.clear()
            last = self._leaving.is_set()
            try:
                self._copy_all()
                pause = self.retry_s
                if last:
                    return
            except Exception as error:  # whatever a broken drive does, training goes on
                self._tell(error)
                self._asked.set()
                (self._given_up if last else self._leaving).wait(self.retry_s if last else pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _copy_all(self) -> None:
        """Bring the mirror up to date; raises OSError or ValueError where that does not work."""
        self._forget_what_is_gone()
        while unsafe := self._unsafe_checkpoints():  # looked at anew each time: training goes on
            self._copy_checkpoint(unsafe[0])
        self.there.prune(spare=[path.name for path in self.here.paths()])
        for name in FILES:
            digest = self._digest(name)
            if digest and digest != self._safe.get(name):
                data = (self.run / name).read_bytes()
                write_whole(self.folder / name, data)
                self._safe[name] = hashlib.sha256(data).digest()
        self._forget_what_is_gone()
        if self.trouble:
            tqdm.write(f"the mirror {self.folder} works again: step {self.safe_step()} is safe there")
        self.trouble = None
        self._record()

    def _forget_what_is_gone(self) -> None:
        there = {path.name for path in self.there.paths()}
        there |= {name for name in FILES if (self.folder / name).is_file()}
        self._must_be_ours(self._open())  # after the look: behind a drive that left is an empty folder
        self._safe = {name: what for name, what in self._safe.items() if name in there}

    def _copy_checkpoint(self, path: Path) -> None:
        try:
            contents = read_files(path)
        except UNREADABLE:  # pruned meanwhile, or damaged: then there is nothing to copy
            with suppress(FileNotFoundError):
                self._damaged[path.name] = (path / MANIFEST).read_bytes()
            return
        try:
            same = read_files(self.there.folder / path.name) == contents
        except UNREADABLE:
            same = False
        if not same:
            self.there.put(path.name, contents)
        self._safe[path.name] = contents[MANIFEST]
        self._record()

    def _unsafe_checkpoints(self) -> list[Path]:
        """Checkpoints of the run folder that were not read back from the mirror, the newest first."""
        unsafe = []
        for path in reversed(self.here.paths()):
            with suppress(FileNotFoundError):  # pruned meanwhile
                manifest = (path / MANIFEST).read_bytes()
                if manifest not in (self._safe.get(path.name), self._damaged.get(path.name)):
                    unsafe.append(path)
        return unsafe

    def _digest(self, name: str) -> bytes | None:
        path = self.run / name
        return hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None

    def _open(self) -> str | None:
        """The id of the run in the mirror, None where there is none; raises OSError out of its reach."""
        there, here = self.folder.resolve(), self.run.resolve()
        if there == here:
            raise ValueError(f"the mirror {self.folder} is the run folder itself: choose another one")
        if here in there.parents or there in here.parents:
            raise ValueError(
                f"one of the mirror {self.folder} and the run {self.run} is in the other: part them"
            )
        if self._mount is None:
            if not self.folder.parent.is_dir():
                raise FileNotFoundError(
                    f"{self.folder.parent} is not there: connect the drive or make the folder"
                )
            self.folder.mkdir(exist_ok=True)
            self._mount = _mount_point(self.folder)
        elif not self.folder.is_dir():
            raise FileNotFoundError(f"{self.folder} is gone: connect the drive or make the folder again")
        elif _mount_point(self.folder) != self._mount:  # else copies would land on the disk behind the drive
            raise FileNotFoundError(f"{self._mount} is not connected any more")
        return Records(self.folder).found_id

    def _must_be_ours(self, there_id: str | None) -> None:
        if there_id not in (None, self._records.run_id):
            raise ValueError(
                f"the mirror {self.folder} holds run {there_id}, this is run {self._records.run_id}: choose "
                "another mirror, or an empty run folder to go on with the run in the mirror"
            )

    def _tell(self, error: Exception) -> None:
        if self.trouble is None:
            safe = "none" if self.safe_step() is None else f"step {self.safe_step()}"
            self.problems.append(
                f"the mirror {self.folder} does not work ({error}): training goes on, what is missing "
                f"there is copied when it works again (the newest step that was read back there: {safe})"
            )
        self.trouble = str(error)
        self._record()

    def _record(self) -> None:
        content = {"mirror": str(self.folder), "read_back": sorted(self._safe), "trouble": self.trouble}
        with suppress(OSError):  # a full disk here: the next time
            write_whole(self.run / RECORD_NAME, json.dumps(content, indent=1).encode())


def _mount_point(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.ismount(path))
