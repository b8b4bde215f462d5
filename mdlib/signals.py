"""Being asked to stop without being torn out of a step."""

import signal
import threading
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
