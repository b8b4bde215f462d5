"""From a TrainConfig to a trained network: the one place where data, network and trainer are put together.

    fitted = train(TrainConfig("data", "run", steps=1000))

`open_feed` and `new_model` are its two parts, for whoever needs them apart.
"""

from collections.abc import Callable

import torch
from torch import nn

from mdlib.creation.live import is_recipe_only, open_stored_or_live
from mdlib.loading.dataset import Mixture
from mdlib.loading.loader import Loader, make_loader
from mdlib.modeling.registry import create_model
from mdlib.training.config import Stage, TrainConfig
from mdlib.training.trainer import Fitted, Trainer


def train(config: TrainConfig, model: nn.Module | None = None) -> Fitted:
    """Train as `config` says, or go on where the run stopped; see Trainer.fit.

    `model`: a network to begin with, that `config.model` would not make or whose first weights are others;
    most often it is left out. Of several processes each calls this.
    """
    trainer = Trainer(config, new_model(config) if model is None else model, open_feed(config))
    fitted = trainer.fit()
    trainer.accelerator.end_training()  # several processes part here
    return fitted


def new_model(config: TrainConfig) -> nn.Module:
    """The network that `config` names, with first weights that depend on `config.seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return create_model(config.model, **config.model_options)


def open_feed(config: TrainConfig) -> Callable[[Stage], tuple[Loader, Loader]]:
    """A function that gives (training loader, validation loader) of a stage: what a Trainer needs.

    The data are those of `config.data`, stored or live, mixed with `config.mix`. Both loaders shuffle, by the
    seed. A training epoch leaves out what does not fill its last batch; validation is of new backgrounds and
    new cut-outs. Raises ValueError or FileNotFoundError where a folder is no data set.
    """
    folders = [config.data, *config.mix]
    parts = [open_stored_or_live(folder) for folder in folders]
    sets = (parts[0] if len(parts) == 1 else Mixture(parts)).split()
    on_gpu = config.device != "cpu" and torch.cuda.is_available()
    # A GPU composes faster than the machine around it.
    leave_to_gpu = on_gpu and any(is_recipe_only(folder) for folder in folders)

    def make_loaders(stage: Stage) -> tuple[Loader, Loader]:
        common = {
            "batch_size": stage.batch_size,
            "shuffle": True,
            "seed": config.seed,
            "size": stage.size,
            "threads": config.workers,
            "decode_on_device": leave_to_gpu,
        }
        enough = len(sets["train"]) >= stage.batch_size
        return make_loader(sets["train"], drop_last=enough, **common), make_loader(sets["new_both"], **common)

    return make_loaders
