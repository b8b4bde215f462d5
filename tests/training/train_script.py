"""Trains mdnet, in a process that tests can kill: train_script.py DATA RUN SETTINGS_AS_JSON TRACE."""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mdlib.modeling.networks.base import MaskDepth, MaskDepthNet, conv_bn_relu
from mdlib.run import new_model, open_feed
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Fitted, Trainer

SMALL = {"batch_size": 4, "size": 32, "log_every": 5, "check_pairs": 8, "checks": 2, "device": "cpu"}


class Watched:
    """A loader that calls `before(epoch, number, batch)` before it gives each batch."""

    def __init__(self, loader, before):
        self.loader, self.before = loader, before

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __len__(self):
        return len(self.loader)

    def set_epoch(self, epoch, start=0):
        self.epoch, self.start = epoch, start
        self.loader.set_epoch(epoch, start)

    def __iter__(self):
        for number, batch in enumerate(self.loader, self.start):
            self.before(self.epoch, number, batch)
            yield batch


class Tiny(MaskDepthNet):
    """Three convolutions, in the parts that networks have; always with the same first weights.

    drawing: it draws random numbers, too.
    """

    name, options = "tiny", {}
    parts = {"encoder": ("encoder",), "mask_decoder": ("mask",), "depth_decoder": ("depth",)}

    def __init__(self, normalised: bool = True, drawing: bool = False):
        super().__init__()
        self.drawing = drawing
        with torch.random.fork_rng():
            torch.manual_seed(1)
            kind = conv_bn_relu if normalised else lambda a, b: nn.Conv2d(a, b, 3, padding=1)
            self.encoder, self.mask, self.depth = kind(6, 8), kind(8, 1), kind(8, 1)

    def predict(self, bg, fg_bg):
        features = self.encoder(torch.cat([bg, fg_bg], 1))
        if self.drawing:
            features = F.dropout(features, 0.5, self.training)
        return MaskDepth(self.mask(features), self.depth(features).sigmoid())


def note(trace: Path, what: str):
    """Appends a line to `trace` for each batch: what for, epoch, number, samples."""

    def before(epoch, number, batch):
        with open(trace, "a", encoding="utf-8") as file:
            file.write(json.dumps([what, epoch, number, batch["index"].tolist()]) + "\n")

    return before


def loaders_for(config: TrainConfig, trace: Path | None = None):
    """make_loaders of a Trainer, as the command line has it; they note what they give in `trace`."""
    feed = open_feed(config)

    def make_loaders(stage):
        train, check = feed(stage)
        if trace is None:
            return train, check
        watched = ((train, f"stage {stage.index}"), (check, "check"))
        return tuple(Watched(loader, note(trace, what)) for loader, what in watched)

    return make_loaders


def fit(data: Path, run: Path, make_loaders=None, model=None, trace=None, **settings) -> Fitted:
    """Train at 32 px in batches of 4, unless `settings` say otherwise."""
    config = TrainConfig(data=data, run=run, **{**SMALL, **settings})
    make_loaders = make_loaders or loaders_for(config, trace)
    return Trainer(config, model or new_model(config), make_loaders).fit()


if __name__ == "__main__":
    fit(Path(sys.argv[1]), Path(sys.argv[2]), trace=Path(sys.argv[4]), **json.loads(sys.argv[3]))
