"""One of the processes of a training, as tests start them: see the fixture `together` in test_several.py.

JOB (a global) says which one: rank, size, meeting (a file where they find each other), report (a folder), and
`fit`: what to train. Each process writes to report/RANK.json how it ended, which files it opened for writing,
and which samples it got; report/RANK.running says how far it is.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader
from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, conv_bn_relu
from mdlib.training.trainer import TrainConfig, Trainer, new_model

COMMON = {"size": 32, "batch_size": 5, "log_every": 2, "check_pairs": 4, "checks": 0, "device": "cpu"}


class Small(MaskDepthNet):
    """Three convolutions in the parts that networks have; `drawing` = it draws random numbers too."""

    parts = {"encoder": ("encoder",), "mask_decoder": ("mask",), "depth_decoder": ("depth",)}

    def __init__(self, normalised: bool = True, drawing: bool = False):
        super().__init__()
        self.name, self.options, self.drawing = "small", {}, drawing
        with torch.random.fork_rng():
            torch.manual_seed(1)
            kind = conv_bn_relu if normalised else lambda a, b: nn.Conv2d(a, b, 3, padding=1)
            self.encoder, self.mask, self.depth = kind(6, 8), kind(8, 1), kind(8, 1)

    def predict(self, bg, fg_bg):
        features = self.encoder(torch.cat([bg, fg_bg], 1))
        if self.drawing:
            features = F.dropout(features, 0.5, self.training)
        return MaskDepth(self.mask(features), self.depth(features).sigmoid())


class Watched:
    """A loader that notes the samples of each batch, hides the depth of some, and may send a signal."""

    def __init__(self, loader, what: str, seen: list, job: dict):
        self.loader, self.what, self.seen, self.job = loader, what, seen, job

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __len__(self):
        return len(self.loader)

    def set_epoch(self, epoch, start=0):
        self.epoch, self.start = epoch, start
        self.loader.set_epoch(epoch, start)

    def __iter__(self):
        for i, batch in enumerate(self.loader, self.start):
            if self.job.get("signal") == [self.what, self.epoch, i]:
                os.kill(os.getpid(), signal.SIGTERM)
            self.seen.append([self.what, self.epoch, i, batch["index"].tolist()])
            if "report" in self.job:
                Path(self.job["report"], f"{self.job['rank']}.running").write_text(str(len(self.seen)))
            yield batch

    def to_float(self, batch, device):
        floats = self.loader.to_float(batch, device)
        floats["depth"][batch["index"] % 3 == 0] = (
            torch.nan
        )  # so that shares know depth of unlike many pixels
        return floats


def train(job: dict, seen: list):
    """Train as job["fit"] says: data, run, network (for Small, else mdnet), and settings."""
    settings = dict(job["fit"])
    network = settings.pop("network", None)
    config = TrainConfig(**{**COMMON, **settings})
    sets = open_dataset(config.data).split(config.seed)

    def make_loaders(stage):
        own = {"batch_size": stage.batch_size, "size": stage.size, "shuffle": True, "threads": 1}
        train, check = make_loader(sets["train"], drop_last=True, **own), make_loader(sets["new_both"], **own)
        return Watched(train, f"stage {stage.index}", seen, job), Watched(check, "check", seen, job)

    model = new_model(config) if network is None else Small(**network)
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
