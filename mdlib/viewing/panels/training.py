"""The panel *Training*: a run that trains in the background, its curves and samples, stop and resume."""

import io
import threading

import numpy as np
from PIL import Image

from mdlib.loading.pictures import read_picture
from mdlib.run import new_model, open_feed
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Trainer
from mdlib.viewing.curves import newest_sheet, rows_so_far, run_figure
from mdlib.viewing.panels.panel import DONE, NOTE, WORKING, Panel, button, row
from mdlib.viewing.panels.pictures import PanelPicture

BY = "the stop button"


class TrainingPanel(Panel):
    """`TrainingPanel(config)`: start, stop and resume the run that a TrainConfig describes, and watch it.

    It trains in the background; a run that was stopped, or whose kernel was lost, goes on from its last
    checkpoint. A stop is that of a signal: the step at hand is finished and saved. `wait()` waits until the
    training at hand has ended; every_s: seconds between two looks at the run.
    """

    title = "Training, watched"
    about = "The run trains in the background. Stop it whenever you like: it goes on with the very next step."

    def __init__(self, config: TrainConfig, every_s: float = 2.0):
        import ipywidgets as widgets

        self.config, self.every_s = config, every_s
        self.trainer: Trainer | None = None
        self.thread: threading.Thread | None = None
        wide = {"width": "120px"}
        begin, end = "Start the run, or go on where it stopped", "Finish the step at hand, save, and stop"
        self.start = button("Start", begin, "training-start", self._start, icon="play", layout=wide)
        self.stop = button("Stop", end, "training-stop", self._ask_to_stop, icon="stop", layout=wide)
        self.bar = widgets.FloatProgress(
            min=0, max=1, description="0 %", layout={"width": "340px"}, style={"description_width": "50px"}
        )
        self.build([row(self.start, self.stop, self.bar)])
        self.stop.disabled = True
        self.tell([(NOTE, "Press Start. A run that was stopped earlier goes on from its last checkpoint.")])

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the training at hand has ended; whether it has."""
        if self.thread:
            self.thread.join(timeout_s)
        return not self.running

    @property
    def running(self) -> bool:
        """Whether a training is at hand."""
        return self.thread is not None and self.thread.is_alive()

    def settings(self) -> str:
        return "" if self.trainer is None else f"Run {self.trainer.run.name}, {self.bar.value:.0%} done."

    def _start(self) -> None:
        if self.running:
            return
        self.start.disabled, self.stop.disabled = True, False
        self.trainer, self._stop_asked = None, False
        self.tell([(WORKING, "opening the data ...")])
        self.thread = threading.Thread(target=self._run, name="training panel", daemon=True)
        self.thread.start()

    def _ask_to_stop(self) -> None:
        self._stop_asked = True
        if self.trainer is not None:
            self.trainer.stop.ask(BY)
        self.tell([(WORKING, "finishing the step at hand, then saving ...")])

    def _run(self) -> None:
        """In a thread of its own: train, while a second one looks at the run."""
        ended = threading.Event()
        follower = threading.Thread(
            target=self._follow, args=(ended,), name="training panel's eyes", daemon=True
        )

        def work() -> list[tuple[str, str]]:
            self.trainer = Trainer(self.config, new_model(self.config), open_feed(self.config))
            if self._stop_asked:
                return [(NOTE, "Stopped before the first step. Resume goes on.")]
            follower.start()
            try:
                fitted = self.trainer.fit()
            finally:
                ended.set()
                follower.join()
            self._look()
            if not fitted.finished:
                return [(NOTE, f"Stopped and saved at step {fitted.step}. Resume goes on with the next one.")]
            scores = "".join(f", {name} {value:.3f}" for name, value in fitted.scores.items())
            return [(DONE, f"{fitted.run} is finished after {fitted.step} steps{scores}.")]

        finished = self.attempt(work, "opening the data ...")
        self.start.description = "Start" if finished and self.messages[0][0] == DONE else "Resume"
        self.start.disabled, self.stop.disabled = False, True

    def _follow(self, ended: threading.Event) -> None:
        """Show where the run is, each time that it has written something."""
        seen = None
        while not ended.wait(self.every_s):
            rows = rows_so_far(self.trainer.run)
            self._move_bar()
            if not self._stop_asked:
                self.tell([(WORKING, f"training, step {rows[-1]['step'] if rows else 0}")])
            if len(rows) != seen:
                seen = len(rows)
                self._look()

    def _look(self) -> None:
        """Show the curves and the newest sheet of samples."""
        run = self.trainer.run
        file = io.BytesIO()
        run_figure(run.name, rows_so_far(run), columns=2).savefig(file, format="png")
        img = np.asarray(Image.open(file).convert("RGB"))
        shown = [
            PanelPicture("curves", "Curves of the run", img, encoded=("png", file.getvalue()), wide=True)
        ]
        if sheet := newest_sheet(run):
            data, about = sheet.read_bytes(), "Samples that training does not see"
            shown.append(
                PanelPicture("samples", about, read_picture(sheet), encoded=("png", data), wide=True)
            )
        self._move_bar()
        self.show(shown)

    def _move_bar(self) -> None:
        done = min(1.0, getattr(self.trainer, "progress", 0.0))
        self.bar.value, self.bar.description = done, f"{done:.0%}".replace("%", " %")
