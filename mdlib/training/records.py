"""The files of a run that people read: config.json and metrics.jsonl."""

import json
import uuid
import warnings
from pathlib import Path
from typing import Any

from mdlib.training.checkpoint import replace_file

WALL_CLOCK = ("elapsed_s", "samples_per_s", "data_wait")  # fields that differ from run to run


class Records:
    """The run folder `folder`. `run_id` tells its checkpoints from those of other runs.

    `found_id` is what the folder says, None where no run began there. Raises ValueError where the folder
    holds something else than a run.
    """

    def __init__(self, folder: str | Path):
        self.config_path, self.metrics_path = Path(folder) / "config.json", Path(folder) / "metrics.jsonl"
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

    def begin(self, config: dict[str, Any], metrics: bytes) -> None:
        """Write what the run is asked to do, and go back to the metrics of the checkpoint it goes on from."""
        folder = self.config_path.parent
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in (*folder.glob(".*.tmp"), *folder.glob("*.part")):  # of a process that was killed
            leftover.unlink(missing_ok=True)
        replace_file(self.config_path, json.dumps(config, indent=2).encode())
        replace_file(self.metrics_path, metrics)
        self.metrics = metrics

    def add_metrics(self, row: dict[str, Any]) -> None:
        """Append one row; where that does not work, it is told once, and made up for when it works again."""
        line = (json.dumps(row) + "\n").encode()
        self.metrics += line
        try:
            if self._behind:
                replace_file(self.metrics_path, self.metrics)
            else:
                with open(self.metrics_path, "ab") as file:
                    file.write(line)
            self._behind = False
        except OSError as error:
            if not self._behind:
                warnings.warn(f"{self.metrics_path} is not written ({error}); training goes on", stacklevel=2)
            self._behind = True  # part of a row may be in the file
