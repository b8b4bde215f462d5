"""What a run is made of before its first step: device, network, loss, optimizer."""

import os
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from mdlib.modeling.losses import PRESETS, Losses
from mdlib.training.config import OPTIMIZERS, TrainConfig


def new_losses(name: str, frozen: Sequence[str] = ()) -> Losses:
    """The loss terms of the preset `name`, without those of `frozen` decoders.

    Raises ValueError for an unknown preset, or where no term is left.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown loss {name!r}; there are {', '.join(map(repr, PRESETS))}")
    left_out = tuple(part.removesuffix("decoder") for part in frozen if part.endswith("_decoder"))
    weights = {term: weight for term, weight in PRESETS[name].items() if not term.startswith(left_out)}
    if not weights:
        raise ValueError(f"nothing of {name!r} is left with {', '.join(frozen)} frozen: freeze less")
    return Losses(weights)


def new_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of `config.optimizer`; weights of one dimension (biases, normalisation) do not decay."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": config.decay()},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    lr = config.lr or OPTIMIZERS[config.optimizer][0]  # the loop sets it anew before each step
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=config.momentum, fused=config.fused)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=lr, betas=(config.momentum, 0.999), fused=config.fused)


def set_rates(optimizer: torch.optim.Optimizer, lr: float, momentum: float) -> None:
    """Learning rate and momentum of the next step; RMSprop, and SGD begun without momentum, have none."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group["momentum"]:
            group["momentum"] = momentum


def new_accelerator(config: TrainConfig) -> Accelerator:
    """Device and number format of the run, and its place among several processes.

    Raises ValueError where the machine has not got them, RuntimeError where the processes that were started
    together do not find each other.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but this machine has no GPU that torch can use: take auto or cpu")
    AcceleratorState._reset_state(
        reset_partial_state=True
    )  # else the first run's choice holds for all others
    on_cpu = config.device == "cpu" or not torch.cuda.is_available()
    if on_cpu and config.precision == "fp16":
        raise ValueError("precision fp16 needs a GPU; a CPU can do fp32 and bf16")
    precision = "no" if config.precision == "fp32" else config.precision
    accelerator = Accelerator(cpu=on_cpu, mixed_precision=precision)
    started = int(os.environ.get("WORLD_SIZE", 1))
    if accelerator.num_processes != started:  # each would train a run of its own
        raise RuntimeError(
            f"{started} processes were started, but this one found {accelerator.num_processes}: start them "
            "with python -m torch.distributed.run or accelerate.notebook_launcher"
        )
    return accelerator
