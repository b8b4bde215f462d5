"""Being asked to stop: without being torn out of a step, and without leaving worker processes behind."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """While entered, SIGTERM and SIGINT (Ctrl-C, a notebook's stop button) only set `name`, to be looked at.

    A second signal acts as it would have without this. Outside the main thread no signal can be caught; there
    `ask` does the same.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[int, object] = {}

    def ask(self, name: str) -> None:
        """Ask to stop, from any thread; `name` says who does."""
        self.name = name

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._asked) for number in (signal.SIGTERM, signal.SIGINT)
            }
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        self.__exit__()


@contextmanager
def held_back(signals: set[signal.Signals]) -> Iterator[None]:
    """Inside, these signals wait, also for processes that begin inside. On Windows nothing is held back."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Let this worker process end when its parent is gone; it would wait for its next task for ever."""
    threading.Thread(target=_outlive_no_parent, daemon=True).start()


def _outlive_no_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
