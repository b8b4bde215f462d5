"""What the notebooks share: where their files go, and data and networks made where they are missing.

Everything that takes long is kept in the work folder under a name that tells its settings: a notebook that is
run again, or after it was killed, finds it there or goes on with it.
"""

import os
import subprocess
import sys
from pathlib import Path

from mdlib import colab
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.modeling.registry import WEIGHTS_NAME
from mdlib.run import train
from mdlib.training.config import TrainConfig

WORK = "mdlib-work"


def work_folder(drive_folder: str = "") -> Path:
    """The folder for data sets and runs: of that name on Google Drive (on Colab alone), else "mdlib-work".

    Relative to the current folder where it lies inside, so that what is printed reads well.
    """
    folder = colab.working_folder(drive_folder or WORK, keep_on_drive=bool(drive_folder))
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def data_folder(
    work: Path, rooms: int, objects: int, size: int, seed: int = 0, source: str = "", placements: int = 1
) -> Path:
    """The data set in the folder `source`, or, where that is "", one of made-up rooms and objects in `work`.

    It is made on the spot where it is missing, and finished where it was left half done.
    """
    if source:
        return Path(source)
    out = Path(work) / f"rooms-{rooms}x{objects}x{placements}-{size}px-{seed}"
    config = CreateConfig(out, rooms=rooms, props=objects, placements=placements, size=size, seed=seed)
    return create(config)


def lesson_config(data: Path, work: Path, size: int, steps: int, seed: int = 0) -> TrainConfig:
    """The settings of the run that notebook 4 trains and notebook 5 looks at: first at half the size."""
    stages = f"{size // 2}:0.7,{size}:0.3"
    run = Path(work) / f"run-{Path(data).name}-{steps}-{seed}"
    every = max(1, min(10, steps // 10))
    return TrainConfig(data, run, stages=stages, steps=steps, seed=seed, log_every=every)


def trained_run(config: TrainConfig) -> Path:
    """The run folder of `config` with its finished network; trained on the spot where it is missing."""
    if not (Path(config.run) / WEIGHTS_NAME).is_file():
        train(config)
    return Path(config.run)


def start_command(*words: object) -> subprocess.Popen:
    """Start `python -m mdlib WORDS` as a process of its own, with this package and nothing printed."""
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "mdlib", *map(str, words)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, **quiet)
