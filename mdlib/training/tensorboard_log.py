"""TensorBoard's events: what metrics.jsonl and the sheets say, in the folder `events` of the run.

Look at them with `tensorboard --logdir RUN`. Each sitting of a run writes a file of its own, and each event
is in it at once: a killed process loses none.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    Raises ImportError where TensorBoard is not installed. Where something cannot be written, OSError, and the
    next event begins a new file.
    """

    def __init__(self, folder: Path):
        if not installed():
            raise ImportError(
                "TensorBoard is asked for, but not installed: pip install tensorboard (or mdlib[train]), "
                "or leave tensorboard and histograms out"
            )
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def begin(self, rows: list[dict[str, Any]]) -> None:
        """Go on after the metrics `rows`: what was written after them counts no more, what lacks is added.

        The last row is that of a check unless the check is still to come: then it may have been written.
        """
        files = [file.name for file in self.folder.glob("events.out.tfevents.*")]
        while any(f"tfevents.{int(time.time()):010d}" in name for name in files):
            time.sleep(0.1)  # files are read in the order of their names, which begin with the second
        last = rows[-1]["step"] if rows else 0
        purged = last + 1 if rows and "scores" in rows[-1] else last
        self._writer = _new_writer(self.folder, purge_step=purged)  # this step and later ones
        for row in rows:
            if not files or row["step"] >= purged:
                self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """The numbers of a row of the metrics as points of curves."""
        with self._writing() as writer:
            for tag, number in _numbers(row):
                writer.add_scalar(tag, number, row["step"])

    def add_sheet(self, step: int, sheet: Image.Image) -> None:
        """A sheet of samples."""
        with self._writing() as writer:
            writer.add_image("samples", np.asarray(sheet), step, dataformats="HWC")

    def add_weights(self, step: int, network: nn.Module) -> None:
        """Histograms of the weights and of their gradients in the last step, where there are any."""
        with self._writing() as writer:
            for name, weight in network.named_parameters():
                for kind, tensor in (("weights", weight), ("gradients", weight.grad)):
                    numbers = np.empty(0) if tensor is None else tensor.detach().float().cpu().numpy()
                    if np.isfinite(numbers).any():
                        writer.add_histogram(f"{kind}/{name}", numbers[np.isfinite(numbers)], step)

    def close(self) -> None:
        """End the thread of the writer."""
        if self._writer:
            self._writer.close()

    @contextmanager
    def _writing(self) -> Iterator["SummaryWriter"]:
        self._writer = self._writer or _new_writer(self.folder)
        try:
            yield self._writer
            self._writer.flush()  # else it may be two minutes until an event is in the file
        except OSError:
            self._writer = None  # its thread has ended
            raise


def installed() -> bool:
    """Whether TensorBoard is there."""
    return find_spec("tensorboard") is not None


def _new_writer(folder: Path, **options: int) -> "SummaryWriter":
    # A SummaryWriter imports TensorFlow, where that is installed, to write its file (tensorboard 2.21); on
    # Colab this takes many seconds. Where the module `notf` exists, TensorBoard does without.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), **options)


def _numbers(row: Mapping[str, Any], group: str = "training") -> Iterator[tuple[str, float]]:
    """Names, with the group that TensorBoard shows them in, and numbers: {"losses": {"total": 1}} is
    losses/total."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, name)
        elif value is not None and name not in POSITION:
            yield f"{group}/{name}", value
