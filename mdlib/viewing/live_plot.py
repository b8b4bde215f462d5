"""A picture in a notebook that follows a run while it trains.

    with LivePlot("run"):        # training in the same cell
        trainer.fit()

    plot = LivePlot("run")       # training elsewhere: a thread, another notebook, a command line
    plot.start()                 # follows in the background; other cells go on
    plot.stop()                  # whenever you like; start() again in any cell
    plot.show()                  # or one picture of now

It knows nothing but the files of the run: after a reload of the page, or in a new kernel, the same cell shows
where the run is and follows it from there. The picture is a plain image in the notebook, replaced as the run
goes on, so the last one stays in the saved file and is seen without a kernel, too.
"""

import io
import threading
from pathlib import Path

from PIL import Image

from mdlib.viewing.curves import newest_sheet, rows_so_far, run_figure


class LivePlot:
    """Losses, scores, speed, memory and the newest sheet of samples of the run folder `run`, as they change.

    At most one picture in `every_s` seconds is drawn; it takes about half a second of one core. The
    run need not have begun. One picture is followed at a time: `start` in another cell leaves the first one.
    """

    def __init__(self, run: str | Path, every_s: float = 10.0):
        if not every_s > 0:
            raise ValueError(f"every_s is {every_s}; expected more than 0 seconds")
        self.run, self.every_s = Path(run), every_s
        self._thread: threading.Thread | None = None

    def png(self) -> bytes:
        """The picture of now."""
        curves = io.BytesIO()
        run_figure(self.run.name, rows_so_far(self.run)).savefig(curves, format="png")
        sheet = newest_sheet(self.run)
        return _stacked(curves, sheet) if sheet else curves.getvalue()

    def show(self) -> None:
        """Show the picture of now in this cell."""
        self._display(self.png())

    def start(self) -> "LivePlot":
        """Show the picture in this cell and follow the run in the background, until `stop`."""
        self.stop()
        self._stopped, self._seen = threading.Event(), self._state()
        self._handle = self._display(self.png())
        self._thread = threading.Thread(target=self._follow, name="live plot", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Draw it a last time where something is new, and leave it there."""
        if self._thread:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def __enter__(self) -> "LivePlot":
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _follow(self) -> None:
        last = False
        while not last:
            last = self._stopped.wait(self.every_s)
            if (state := self._state()) != self._seen:
                self._seen = state
                self._handle.update(_as_output(self.png()))

    def _state(self) -> tuple | None:
        """What changes when the run writes something."""
        metrics = self.run / "metrics.jsonl"
        try:
            found = metrics.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size

    @staticmethod
    def _display(png: bytes):
        from IPython.display import display

        return display(_as_output(png), display_id=True)


def _stacked(above: io.BytesIO, below: Path) -> bytes:
    """One picture above another, as wide as the upper one."""
    upper, lower = Image.open(above).convert("RGB"), Image.open(below).convert("RGB")
    lower = lower.resize((upper.width, round(lower.height * upper.width / lower.width)))
    both = Image.new("RGB", (upper.width, upper.height + lower.height), "white")
    both.paste(upper, (0, 0))
    both.paste(lower, (0, upper.height))
    file = io.BytesIO()
    both.save(file, "png", compress_level=1)
    return file.getvalue()


def _as_output(png: bytes):
    from IPython.display import Image

    return Image(png, format="png")
