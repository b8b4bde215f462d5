"""Checkpoints that are either whole or not there.

run/checkpoints/step-00001234/
    state.safetensors   every tensor: weights, averages, optimizer, random states
    state.json          everything else: position, settings, scores
    metrics.jsonl       the metrics up to this step
    manifest.json       bytes and sha256 of the other three

A checkpoint is written under a temporary name, synced to the disk, read back, and only then renamed; it is
taken only if every checksum fits. Nothing in it is code: tensors and JSON.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import warnings
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from torch import Tensor

from mdlib.files import sync, write_synced

FORMAT = "mdlib checkpoint 1"
TENSORS, STATE, METRICS, MANIFEST = "state.safetensors", "state.json", "metrics.jsonl", "manifest.json"
NAME = re.compile(r"step-(\d{8,})")
# Every way in which reading damaged or foreign files fails; a mistake in this program is not among them.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError)


class Checkpoint(NamedTuple):
    """What a checkpoint holds: tensors on the CPU, JSON-able state, the lines of metrics.jsonl."""

    path: Path
    tensors: dict[str, Tensor]
    state: dict[str, Any]
    metrics: bytes


class Checkpoints:
    """The checkpoints of one run, in the folder `folder`; the `keep` newest and the best one stay.

    The best one has the highest state["score"]. Checkpoints found damaged or foreign are left untouched, and
    do not count as kept.
    """

    def __init__(self, folder: str | Path, keep: int = 3):
        self.folder, self.keep = Path(folder), keep
        self.rejected: set[Path] = set()

    def paths(self) -> list[Path]:
        """All finished checkpoints, found by name, in the order of their steps; not yet verified."""
        found = [path for path in self.folder.glob("step-*") if NAME.fullmatch(path.name) and path.is_dir()]
        return sorted(found, key=step_of)

    def latest(self, run_id: str | None = None, after: int = -1) -> Checkpoint | None:
        """The newest checkpoint that is whole and belongs to the run `run_id` (None = to any).

        Only those of a step greater than `after` are looked at. Each that is damaged or of another run is
        named in a warning; older ones too, for they must not count as kept.
        """
        newest = None
        for path in reversed(self.paths()):
            if step_of(path) <= after:
                break
            try:
                checkpoint = read(path)
                if run_id is not None and checkpoint.state.get("run_id") != run_id:
                    raise ValueError(
                        f"it belongs to run {checkpoint.state.get('run_id')}, this is run {run_id}"
                    )
                newest = newest or checkpoint
            except UNREADABLE as error:
                self.rejected.add(path)
                warnings.warn(f"checkpoint {path} is left out: {_sentence(error)}", stacklevel=2)
        return newest

    def save(
        self, step: int, tensors: Mapping[str, Tensor], state: dict[str, Any], metrics: bytes = b""
    ) -> Path:
        """Write the checkpoint of `step`, read it back, then remove those that need not stay.

        The tensors may be of any device and memory layout. Raises OSError, as on a full disk; then nothing is
        left of it, and the others stay.
        """
        path = self.put(f"step-{step:08d}", pack(tensors, {**state, "step": step}, metrics))
        self.prune()
        return path

    def put(self, name: str, contents: Mapping[str, bytes]) -> Path:
        """Write the files of a checkpoint so that it is there when every byte is on the disk, or not at all.

        Raises OSError; then nothing is left of it. The run folder is not made here: one that left with its
        drive would come back as an empty folder on the disk behind, where the drive could not return.
        """
        self.folder.mkdir(exist_ok=True)
        for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed while it saved or removed
            shutil.rmtree(leftover, ignore_errors=True)
        path = self.folder / name
        temporary = self._temporary(path, "new")
        try:
            temporary.mkdir()
            for file, data in contents.items():
                write_synced(temporary / file, data)
            sync(temporary)
            if path.exists():  # rejected, or saved before the run went back to an older one
                path.rename(self._free_name(path)) if path in self.rejected else self._remove(path)
            temporary.rename(path)
            sync(self.folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        self.rejected.discard(path)
        return path

    def prune(self, spare: Container[str] = ()) -> None:
        """Remove all but the `keep` newest, the best, and those with a name in `spare`."""
        sound = [path for path in self.paths() if path not in self.rejected]
        scores = {path: score for path in sound if (score := _score(path)) is not None}
        best = max(scores, key=scores.get, default=None)
        for path in sound[: -self.keep]:
            if path != best and path.name not in spare:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        # Renamed first: killed halfway, it never stands there half a checkpoint under a finished one's name.
        leftover = self._temporary(path, "removed")
        path.rename(leftover)
        shutil.rmtree(leftover)

    def _temporary(self, path: Path, what: str) -> Path:
        return path.with_name(f".{path.name}.{what}.{socket.gethostname()}.{os.getpid()}.tmp")

    def _free_name(self, path: Path) -> Path:
        names = (path.with_name(f"{path.name}.rejected-{i}") for i in range(1, 1_000_000))
        return next(name for name in names if not name.exists())


def pack(tensors: Mapping[str, Tensor], state: dict[str, Any], metrics: bytes) -> dict[str, bytes]:
    """The files of a checkpoint, by name."""
    frozen = safetensors.torch.save({name: x.detach().cpu().contiguous() for name, x in tensors.items()})
    contents = {TENSORS: frozen, STATE: json.dumps(state, indent=1).encode(), METRICS: metrics}
    files = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in contents.items()}
    return {**contents, MANIFEST: json.dumps({"format": FORMAT, "files": files}, indent=1).encode()}


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of the checkpoint in `folder`; raises one of UNREADABLE where a byte is not as written."""
    contents = {MANIFEST: (folder / MANIFEST).read_bytes()}
    manifest = json.loads(contents[MANIFEST])
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"{MANIFEST} does not say {FORMAT!r}")
    for name in (TENSORS, STATE, METRICS):
        data, expected = (folder / name).read_bytes(), manifest["files"][name]
        if len(data) != expected["bytes"]:
            raise ValueError(f"{name} has {len(data)} bytes instead of {expected['bytes']}")
        if _sha256(data) != expected["sha256"]:
            raise ValueError(f"{name} is not what was written: its sha256 differs")
        contents[name] = data
    return contents


def read(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`; raises one of UNREADABLE where it is not whole."""
    contents = read_files(folder)
    state = json.loads(contents[STATE])
    if state["step"] != step_of(folder):
        raise ValueError(f"it is of step {state['step']}, not of the step in its name")
    return Checkpoint(folder, safetensors.torch.load(contents[TENSORS]), state, contents[METRICS])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def step_of(path: Path) -> int:
    """The step in a checkpoint's name."""
    return int(NAME.fullmatch(path.name)[1])


def _score(path: Path) -> float | None:
    """The score written in a checkpoint, None where it has none or cannot be read."""
    try:
        return json.loads((path / STATE).read_bytes()).get("score")
    except (OSError, ValueError, AttributeError):
        return None


def _sentence(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{Path(error.filename).name} is missing"
    return f"{error} is missing in {MANIFEST}" if isinstance(error, KeyError) else str(error)
