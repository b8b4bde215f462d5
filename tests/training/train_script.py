"""Trains mdnet, in a process that tests can kill: train_script.py DATA RUN SETTINGS_AS_JSON TRACE."""

import json
import sys
from pathlib import Path

from mdlib.loading.dataset import open_dataset
from mdlib.loading.loader import make_loader
from mdlib.training.trainer import Fitted, TrainConfig, Trainer, new_model

SMALL = {"batch_size": 4, "size": 32, "log_every": 5, "check_pairs": 8, "checks": 2, "device": "cpu"}


class Traced:
    """A loader that appends a line to `trace` for each batch: what for, epoch, number, samples."""

    def __init__(self, loader, what: str, trace: Path):
        self.loader, self.what, self.trace = loader, what, trace

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __len__(self):
        return len(self.loader)

    def set_epoch(self, epoch, start=0):
        self.epoch, self.start = epoch, start
        self.loader.set_epoch(epoch, start)

    def __iter__(self):
        for i, batch in enumerate(self.loader, self.start):
            with open(self.trace, "a", encoding="utf-8") as file:
                file.write(json.dumps([self.what, self.epoch, i, batch["index"].tolist()]) + "\n")
            yield batch


def loaders_for(config: TrainConfig, processes: int = 0, trace: Path | None = None):
    """make_loaders of a Trainer, as the command line has it, or with processes that decode."""
    sets = open_dataset(config.data).split(config.seed)
    common = {"shuffle": True, "seed": config.seed, "threads": config.workers, "workers": processes}

    def make_loaders(stage):
        own = {**common, "batch_size": stage.batch_size, "size": stage.size}
        train = make_loader(sets["train"], drop_last=True, **own)
        check = make_loader(sets["new_both"], **own)
        if trace is None:
            return train, check
        return Traced(train, f"stage {stage.index}", trace), Traced(check, "check", trace)

    return make_loaders


def fit(data: Path, run: Path, make_loaders=None, model=None, processes=0, trace=None, **settings) -> Fitted:
    """Train at 32 px in batches of 4, unless `settings` say otherwise."""
    config = TrainConfig(data=data, run=run, **{**SMALL, **settings})
    make_loaders = make_loaders or loaders_for(config, processes, trace)
    return Trainer(config, model or new_model(config), make_loaders).fit()


if __name__ == "__main__":
    fit(Path(sys.argv[1]), Path(sys.argv[2]), trace=Path(sys.argv[4]), **json.loads(sys.argv[3]))
