"""Checkpoints are written by a thread of their own, so that training does not wait for the disk."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from mdlib.training.checkpoint import Checkpoints


class Snapshot(NamedTuple):
    """What a checkpoint will hold, as it was at one moment; nobody changes it."""

    step: int
    frozen: bytearray
    state: dict[str, Any]
    metrics: bytes


class Saver:
    """While entered, a thread writes the snapshots it is given; leaving waits until it is done.

    While one is being written, the newest other one waits; an older one that still waits gives way to it,
    unless it has a score and may be the best. What cannot be written is told to `problems`; `saved` is called
    after each that was written.
    """

    def __init__(self, checkpoints: Checkpoints, problems: deque[str], saved: Callable[[], None]):
        self.checkpoints, self.problems, self.saved = checkpoints, problems, saved
        self._waiting: Snapshot | None = None
        self._writing: Snapshot | None = None
        self._failed: Snapshot | None = None  # the last one, where it could not be written
        self._mistake: BaseException | None = None  # of the program
        self._changed = threading.Condition()

    def offer(self, snapshot: Snapshot) -> None:
        """Have it written. Waits only where one with a score waits already."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._waiting.state.get("score") is None)
            self._waiting = snapshot
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until the last snapshot is on the disk; raises OSError where it cannot be written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._writing)
        if self._mistake:
            raise self._mistake
        if self._failed:  # by now there may be room
            self._write(self._failed)

    def __enter__(self) -> "Saver":
        self._leaving = False
        self._thread = threading.Thread(target=self._work, name="saver", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._leaving)
                if not self._waiting:
                    return
                self._writing, self._waiting = self._waiting, None
                self._changed.notify_all()
            try:
                self._write(self._writing)
            except OSError as error:  # a full disk may have room again next time
                self.problems.append(f"step {self._writing.step} is not saved ({error}); training goes on")
            except BaseException as error:
                self._mistake = error
            with self._changed:
                self._writing = None
                self._changed.notify_all()

    def _write(self, snapshot: Snapshot) -> None:
        self._failed = snapshot
        self.checkpoints.save(*snapshot)
        self._failed = None
        self.saved()
