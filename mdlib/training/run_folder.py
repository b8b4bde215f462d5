"""The run folder: its files that people read, and the lock that lets one process at a time train in it.

config.json                what was asked for
metrics.jsonl              a row of losses every so many steps, a row of scores per check
samples/step-00001234.png  a sheet of samples per check, see sample_sheet
events/                    the same for TensorBoard, see tensorboard_log.EventLog
lock.json                  who trains here
"""

import io
import json
import os
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from mdlib.files import write_whole
from mdlib.training.sample_sheet import Shown, draw_sheet
from mdlib.training.tensorboard_log import EventLog, installed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK_NAME = "lock.json"
BEAT_S = 30.0  # how often a process says that it is alive
SILENT_S = 120.0  # one on another machine that said nothing for so long is taken for dead
WALL_CLOCK = ("elapsed_s", "samples_per_s", "data_wait", "memory_mb")  # fields that differ from run to run


class Records:
    """The run folder `folder`. `run_id` tells its checkpoints from those of other runs.

    `found_id` is what the folder says, None where no run began there. Raises ValueError where the folder
    holds something else than a run.
    """

    def __init__(self, folder: str | Path):
        self.config_path, self.metrics_path = Path(folder) / "config.json", Path(folder) / "metrics.jsonl"
        self.samples_path = Path(folder) / "samples"
        self.events: EventLog | None = None
        self.found_id = self._read_run_id()
        self.run_id = self.found_id or uuid.uuid4().hex
        self.metrics = b""  # the rows so far; while the disk is full the file lacks some
        self._behind = False

    def _read_run_id(self) -> str | None:
        if not self.config_path.exists():
            return None
        try:
            config = json.loads(self.config_path.read_bytes())
        except ValueError as error:
            raise ValueError(
                f"{self.config_path} is damaged ({error}): remove it, and the run goes on"
            ) from None
        if not isinstance(config, dict) or "run_id" not in config:
            raise ValueError(
                f"{self.config_path.parent} holds something else than a run: choose another run folder"
            )
        return config["run_id"]

    def begin(self, config: dict[str, Any], metrics: bytes, events: bool | None = False) -> None:
        """Write what the run is asked to do, and go back to the metrics of the checkpoint it goes on from.

        Sheets and events of later steps go too. `events`: for TensorBoard too, None = if it is installed.
        """
        folder = self.config_path.parent
        folder.mkdir(parents=True, exist_ok=True)
        halves = (*folder.glob(".*.tmp"), *self.samples_path.glob(".*.tmp"), *folder.glob("*.part"))
        for leftover in halves:  # of a process that was killed
            leftover.unlink(missing_ok=True)
        write_whole(self.config_path, json.dumps(config, indent=2).encode())
        write_whole(self.metrics_path, metrics)
        self.metrics = metrics
        rows = [json.loads(line) for line in metrics.splitlines()]
        self.samples_path.mkdir(exist_ok=True)
        kept = {self._sheet_path(row["step"]) for row in rows if "scores" in row}
        for path in set(self.samples_path.glob("step-*.png")) - kept:
            path.unlink()
        if events or (events is None and installed()):
            self.events = EventLog(folder / "events")
            self.events.begin(rows)

    def add_metrics(self, row: dict[str, Any]) -> None:
        """Append one row; where that does not work, it is told once, and made up for when it works again."""
        line = (json.dumps(row) + "\n").encode()
        self.metrics += line
        try:
            if self._behind:
                write_whole(self.metrics_path, self.metrics)
            else:
                with open(self.metrics_path, "ab") as file:
                    file.write(line)
            self._behind = False
        except OSError as error:
            if not self._behind:
                warnings.warn(f"{self.metrics_path} is not written ({error}); training goes on", stacklevel=2)
            self._behind = True  # part of a row may be in the file
        if self.events:
            self._try(self.events.add, row)

    def add_sheet(self, step: int, shown: Shown, network: nn.Module | None = None) -> None:
        """Draw the samples of a check. Its row comes after it, so that a row of scores has its sheet.

        `network`: the one whose weights TensorBoard shows as histograms.
        """
        sheet, png = draw_sheet(shown, f"step {step:,}"), io.BytesIO()
        sheet.save(png, "png", compress_level=1)  # a third of the time of the default, a fifth more bytes
        self._try(write_whole, self._sheet_path(step), png.getvalue())
        if self.events:
            self._try(self.events.add_sheet, step, sheet)
        if self.events and network:
            self._try(self.events.add_weights, step, network)

    def close(self) -> None:
        """Nothing more will be added."""
        if self.events:
            self.events.close()

    def _try(self, write: Callable, *what: object) -> None:
        """Training goes on without a picture, as where the disk is full."""
        try:
            write(*what)
        except OSError as error:
            warnings.warn(f"a picture of the run is not written ({error}); training goes on", stacklevel=3)

    def _sheet_path(self, step: int) -> Path:
        return self.samples_path / f"step-{step:08d}.png"


class RunLock:
    """While entered, no other process gets in; raises BlockingIOError with a sentence that names the other.

    On one machine the system knows who is alive: what a killed process left is taken over at once. Of a
    process on another machine (the folder is on a network drive) only lock.json tells, where each writes
    every BEAT_S seconds that it is alive.
    """

    def __init__(self, folder: str | Path):
        self.path = Path(folder) / LOCK_NAME

    def __enter__(self) -> "RunLock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file, held = self._take()
        try:
            other = _lock_content(self._file)
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
                used = self._used_by(_lock_content(file))
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


def _lock_content(file: int) -> dict:
    os.lseek(file, 0, os.SEEK_SET)
    try:
        content = json.loads(os.read(file, 1000))
        return content if {"host", "pid", "alive"} <= set(content) else {}
    except (ValueError, TypeError):  # empty, or of something else
        return {}
