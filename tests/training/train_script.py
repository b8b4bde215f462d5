"""Trains mdnet, in a process that tests can kill: python train_script.py DATA RUN SETTINGS_AS_JSON."""

import json
import sys
from pathlib import Path

from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader
from mdlib.training.trainer import Fitted, TrainConfig, Trainer, new_model

SMALL = {"batch_size": 4, "size": 32, "log_every": 5, "check_pairs": 8, "checks": 2, "device": "cpu"}


def loaders_for(config: TrainConfig):
    """make_loaders of a Trainer, as the command line has it."""
    sets = open_dataset(config.data).split(config.seed)

    def make_loaders(stage):
        common = {"batch_size": stage.batch_size, "shuffle": True, "seed": config.seed, "size": stage.size}
        return make_loader(sets["train"], drop_last=True, **common), make_loader(sets["new_both"], **common)

    return make_loaders


def fit(data: Path, run: Path, make_loaders=None, model=None, **settings) -> Fitted:
    """Train at 32 px in batches of 4, unless `settings` say otherwise."""
    config = TrainConfig(data=data, run=run, **{**SMALL, **settings})
    return Trainer(config, model or new_model(config), make_loaders or loaders_for(config)).fit()


if __name__ == "__main__":
    fit(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3]))
