"""TensorBoard's events: what metrics.jsonl and the sheets say, in the folder `events` of the run.

Look at them with `tensorboard --logdir RUN`. Each sitting of a run writes a file of its own, and each event
is in it at once: a killed process loses none. (torch's SummaryWriter keeps events in a queue for up to two
minutes, and imports TensorFlow wherever that is installed, as on Colab.)
"""

import io
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

BUCKETS = 50  # of a histogram
POSITION = ("step", "epoch", "stage", "elapsed_s")  # where a row stands; no curves


def open_board(folder: Path, wanted: bool | None) -> "Board | None":
    """A Board in `folder`; None where it is not `wanted`, or where that is None and nothing can write it.

    Raises ImportError where it is wanted and TensorBoard is not installed.
    """
    if wanted is False or (wanted is None and find_spec("tensorboard") is None):
        return None
    if find_spec("tensorboard") is None:
        raise ImportError(
            "TensorBoard is asked for, but not installed: pip install tensorboard (or mdlib[train]), "
            "or leave tensorboard and histograms out"
        )
    return Board(folder)


class Board:
    """The events in `folder`; nothing is written before `begin`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def begin(self, rows: list[dict[str, Any]]) -> None:
        """Go on after the metrics `rows`: what was written after them counts no more, what lacks is added.

        The last row is that of a check unless the check is still to come: then it may have been written.
        """
        from tensorboard.compat.proto.event_pb2 import SessionLog

        files = sorted(self.folder.glob("events.out.tfevents.*")) if self.folder.is_dir() else []
        self.folder.mkdir(parents=True, exist_ok=True)
        number = int(files[-1].name.rsplit(".", 1)[1]) + 1 if files else 0
        self._path = self.folder / f"events.out.tfevents.{number:06d}"  # read in this order
        last = rows[-1]["step"] if rows else 0
        purged = last + 1 if rows and "scores" in rows[-1] else last
        self._write(purged, file_version="brain.Event:2")
        self._write(
            purged, session_log=SessionLog(status=SessionLog.START)
        )  # purges this step and later ones
        for row in rows:
            if not files or row["step"] >= purged:
                self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """The numbers of a row of the metrics as points of curves."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=number) for tag, number in _numbers(row)]
        self._write(row["step"], summary=Summary(value=values))

    def add_sheet(self, step: int, sheet: Image.Image) -> None:
        """A sheet of samples, as JPEG: the checksums of events take longer than anything else here."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        jpeg = io.BytesIO()
        sheet.save(jpeg, "jpeg", quality=85)
        size = {"height": sheet.height, "width": sheet.width}
        picture = Summary.Image(**size, colorspace=3, encoded_image_string=jpeg.getvalue())
        self._write(step, summary=Summary(value=[Summary.Value(tag="samples", image=picture)]))

    def add_weights(self, step: int, network: nn.Module) -> None:
        """Histograms of the weights and of their gradients in the last step, where there are any."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = []
        for name, weight in network.named_parameters():
            for kind, tensor in (("weights", weight), ("gradients", weight.grad)):
                numbers = np.empty(0) if tensor is None else tensor.detach().float().cpu().numpy()
                numbers = numbers[np.isfinite(numbers)]
                if numbers.size:
                    values.append(Summary.Value(tag=f"{kind}/{name}", histo=_histogram(numbers)))
        self._write(step, summary=Summary(value=values))

    def _write(self, step: int, **what: object) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = io.BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), step=step, **what).SerializeToString())
        with open(self._path, "ab", buffering=0) as file:
            end = file.tell()
            if file.write(record.getvalue()) < record.tell():  # half an event would hide all that follow
                file.truncate(end)
                raise OSError(f"{self._path} is not written: is the disk full?")


def _histogram(numbers: np.ndarray):
    """In TensorBoard's form: `bucket[i]` numbers are between `bucket_limit[i - 1]` and `bucket_limit[i]`."""
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    counts, edges = np.histogram(numbers.astype(np.float64), BUCKETS)
    return HistogramProto(
        min=numbers.min(),
        max=numbers.max(),
        num=numbers.size,
        sum=numbers.sum(dtype=np.float64),
        sum_squares=np.square(numbers, dtype=np.float64).sum(),
        bucket_limit=edges,
        bucket=[0, *counts],
    )


def _numbers(row: Mapping[str, Any], group: str = "training") -> Iterator[tuple[str, float]]:
    """Names, with the group that TensorBoard shows them in, and numbers: {"losses": {"total": 1}} is
    losses/total."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, name)
        elif value is not None and name not in POSITION:
            yield f"{group}/{name}", value
