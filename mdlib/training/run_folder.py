"""The files of a run that people read.

config.json                what was asked for
metrics.jsonl              a row of losses every so many steps, a row of scores per check
samples/step-00001234.png  a sheet of samples per check, see sheet.draw_sheet
events/                    the same for TensorBoard, see board.Board
"""

import io
import json
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from mdlib.files import write_whole
from mdlib.training.sample_sheet import Shown, draw_sheet
from mdlib.training.tensorboard_log import Board

WALL_CLOCK = ("elapsed_s", "samples_per_s", "data_wait", "memory_mb")  # fields that differ from run to run


class Records:
    """The run folder `folder`. `run_id` tells its checkpoints from those of other runs.

    `found_id` is what the folder says, None where no run began there. Raises ValueError where the folder
    holds something else than a run.
    """

    def __init__(self, folder: str | Path):
        self.config_path, self.metrics_path = Path(folder) / "config.json", Path(folder) / "metrics.jsonl"
        self.samples_path = Path(folder) / "samples"
        self.board: Board | None = None
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

    def begin(self, config: dict[str, Any], metrics: bytes, board: Board | None = None) -> None:
        """Write what the run is asked to do, and go back to the metrics of the checkpoint it goes on from.

        Sheets and events of later steps go too.
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
        self.board = board
        if board:
            board.begin(rows)

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
        if self.board:
            self._try(self.board.add, row)

    def add_sheet(self, step: int, shown: Shown) -> None:
        """Draw the samples of a check. Its row comes after it, so that a row of scores has its sheet."""
        sheet, png = draw_sheet(shown, f"step {step:,}"), io.BytesIO()
        sheet.save(png, "png", compress_level=1)  # a third of the time of the default, a fifth more bytes
        self._try(write_whole, self._sheet_path(step), png.getvalue())
        if self.board:
            self._try(self.board.add_sheet, step, sheet)

    def add_weights(self, step: int, network: nn.Module) -> None:
        """Histograms for TensorBoard."""
        if self.board:
            self._try(self.board.add_weights, step, network)

    def _try(self, write: Callable, *what: object) -> None:
        """Training goes on without a picture, as where the disk is full."""
        try:
            write(*what)
        except OSError as error:
            warnings.warn(f"a picture of the run is not written ({error}); training goes on", stacklevel=3)

    def _sheet_path(self, step: int) -> Path:
        return self.samples_path / f"step-{step:08d}.png"
