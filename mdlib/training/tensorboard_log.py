"""TensorBoard's events: what metrics.jsonl and the sheets say, in the folder `events` of the run.

Look at them with `tensorboard --logdir RUN`. Each sitting of a run writes a file of its own, and each event
is in it at once: a killed process loses none.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import nn

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

POSITION = ("step", "epoch", "stage", "elapsed_s")  # where a row stands; no curves


class EventLog:
    """The events in `folder`; nothing is written before `begin`.

    Raises ImportError where TensorBoard is not installed, OSError where something cannot be written. Rows are
    made up for in a new file when that works again.
    """

    def __init__(self, folder: Path):
        if not installed():
            raise ImportError(
                "TensorBoard is asked for, but not installed: pip install tensorboard (or mdlib[train]), "
                "or leave tensorboard and histograms out"
            )
        self.folder = folder
        self._writer: SummaryWriter | None = None
        self._missing: list[Mapping[str, Any]] = []

    def begin(self, rows: list[dict[str, Any]]) -> None:
        """Go on after the metrics `rows`: what was written after them counts no more, what lacks is added.

        The last row is that of a check unless the check is still to come: then it may have been written.
        """
        files = [file.name for file in self.folder.glob("events.out.tfevents.*")]
        while any(f"tfevents.{int(time.time()):010d}" in name for name in files):
            time.sleep(0.1)  # files are read in the order of their names, which begin with the second
        last = rows[-1]["step"] if rows else 0
        purged = last + 1 if rows and "scores" in rows[-1] else last
        self._writer = _new_writer(self.folder, purged)
        self._missing = [row for row in rows if not files or row["step"] >= purged]
        self._write()

    def add(self, row: Mapping[str, Any]) -> None:
        """The numbers of a row of the metrics as points of curves."""
        self._missing.append(row)
        if self._writer:  # else it has failed, and is tried again with the next sheet
            self._write()

    def add_sheet(self, step: int, sheet: Image.Image) -> None:
        """A sheet of samples."""
        self._write(lambda writer: writer.add_image("samples", np.asarray(sheet), step, dataformats="HWC"))

    def add_weights(self, step: int, network: nn.Module) -> None:
        """Histograms of the weights and of their gradients in the last step, where there are any."""
        for name, weight in network.named_parameters():
            for kind, tensor in (("weights", weight), ("gradients", weight.grad)):
                numbers = np.empty(0) if tensor is None else tensor.detach().float().cpu().numpy()
                numbers = numbers[np.isfinite(numbers)]
                if numbers.size:
                    self._write(
                        lambda writer, tag=f"{kind}/{name}", x=numbers: writer.add_histogram(tag, x, step)
                    )

    def close(self) -> None:
        """End the thread of the writer."""
        if self._writer:
            self._writer.close()

    def _write(self, *more: Callable[["SummaryWriter"], None]) -> None:
        """The rows that are missing, and more. Afterwards it is in the file, or missing again."""
        purged = self._missing[0]["step"] if self._missing else None
        try:
            self._writer = self._writer or _new_writer(self.folder, purged)
            for row in self._missing:
                for tag, number in _numbers(row):
                    self._writer.add_scalar(tag, number, row["step"])
            for add in more:
                add(self._writer)
            self._writer.flush()  # else it may be two minutes until an event is in the file
        except OSError:
            self._writer = None  # its thread has ended
            raise
        self._missing = []


def installed() -> bool:
    """Whether TensorBoard is there."""
    return find_spec("tensorboard") is not None


def _new_writer(folder: Path, purged: int | None) -> "SummaryWriter":
    """One that makes TensorBoard forget the step `purged` and later ones."""
    # A SummaryWriter imports TensorFlow, where that is installed, to write its file (tensorboard 2.21); on
    # Colab this takes many seconds. Where the module `notf` exists, TensorBoard does without.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=purged)


def _numbers(row: Mapping[str, Any], group: str = "training") -> Iterator[tuple[str, float]]:
    """Names, with the group that TensorBoard shows them in, and numbers: {"losses": {"total": 1}} is
    losses/total."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, name)
        elif value is not None and name not in POSITION:
            yield f"{group}/{name}", value
