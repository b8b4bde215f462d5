"""One of the processes of a training, as tests start them: see the fixture `together` in test_several.py.

JOB (a global) says which one: rank, size, meeting (a file where they find each other), report (a folder), and
`fit`: what to train. Each process writes to report/RANK.json how it ended, which files it opened for writing,
and which samples it got; report/RANK.running says how far it is.
"""

import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader
from mdlib.run import new_model
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Trainer

NAMES = runpy.run_path(str(Path(__file__).with_name("train_script.py")))
COMMON = {"size": 32, "batch_size": 5, "log_every": 2, "check_pairs": 4, "checks": 0, "device": "cpu"}


class Watched(NAMES["Watched"]):
    """A loader that notes the samples of each batch, hides the depth of some, and may send a signal."""

    def __init__(self, loader, what: str, seen: list, job: dict):
        def before(epoch, number, batch):
            if job.get("signal") == [what, epoch, number]:
                os.kill(os.getpid(), signal.SIGTERM)
            seen.append([what, epoch, number, batch["index"].tolist()])
            if "report" in job:
                Path(job["report"], f"{job['rank']}.running").write_text(str(len(seen)))

        super().__init__(loader, before)

    def to_float(self, batch, device):
        floats = self.loader.to_float(batch, device)
        floats["depth"][batch["index"] % 3 == 0] = (
            torch.nan
        )  # so that shares know depth of unlike many pixels
        return floats


def train(job: dict, seen: list):
    """Train as job["fit"] says: data, run, network (for Tiny, else mdnet), and settings."""
    settings = dict(job["fit"])
    network = settings.pop("network", None)
    config = TrainConfig(**{**COMMON, **settings})
    sets = open_dataset(config.data).split(config.seed)

    def make_loaders(stage):
        own = {"batch_size": stage.batch_size, "size": stage.size, "shuffle": True, "threads": 1}
        train, check = make_loader(sets["train"], drop_last=True, **own), make_loader(sets["new_both"], **own)
        return Watched(train, f"stage {stage.index}", seen, job), Watched(check, "check", seen, job)

    model = new_model(config) if network is None else NAMES["Tiny"](**network)
    return Trainer(config, model, make_loaders).fit()


def main(job: dict) -> None:
    torch.set_num_threads(1)
    report = {"written": [], "seen": []}
    rank, folder = job["rank"], Path(job["report"])
    sys.stdout = sys.stderr = open(folder / f"{rank}.txt", "w", buffering=1)  # noqa: SIM115
    size = str(job["size"])
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    dist.init_process_group("gloo", init_method=f"file://{job['meeting']}", rank=rank, world_size=job["size"])

    def watch(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            report["written"].append(str(arguments[0]))

    sys.addaudithook(watch)
    try:
        report["fitted"] = train(job, report["seen"])._asdict()
    except Exception as error:
        traceback.print_exc()
        report["error"] = f"{type(error).__name__}: {error}"
    report["written"] = [path for path in report["written"] if path.startswith(str(job["fit"]["run"]))]
    partial = folder / f"{rank}.part"
    partial.write_text(json.dumps(report, default=str))
    partial.rename(folder / f"{rank}.json")
    sys.stdout.flush()
    os._exit(0)  # without waiting for one that is gone


if __name__ == "__main__":
    main(JOB)  # noqa: F821
