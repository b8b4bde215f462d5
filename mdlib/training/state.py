"""All that changes while a run goes on, as tensors and JSON for a checkpoint, and back.

| name | tensor |
| --- | --- |
| model.<weight>, average.<weight> | the network and its average |
| optimizer.<weight>.<kind> | what the optimizer remembers of a weight |
| sums.<term> | losses since the last row of the metrics |
| scaler.<name> | the loss scale of fp16 |
| random.<process>.cpu, .cuda | torch's generators |
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mdlib.modeling.networks.base import freeze
from mdlib.modeling.registry import misfit
from mdlib.training.config import TrainConfig
from mdlib.training.distributed import Processes
from mdlib.training.optim import AveragedModel, Plateau, new_optimizer


@dataclass
class Position:
    """How far a run is. The next batch is number `batch` of `epoch`, in the sizes of `stage`."""

    step: int = 0  # done
    stage: int = 0
    epoch: int = 0
    batch: int = 0
    passes: float = 0.0  # over the training set, in the epochs before this one; some a stage cut short
    logged_step: int = 0  # where the last row of losses was written
    checks: int = 0  # of the validation set, done
    elapsed_s: float = 0.0  # all sittings together
    plateau: Plateau = field(default_factory=Plateau)

    def __post_init__(self) -> None:
        if isinstance(self.plateau, dict):  # out of a checkpoint
            self.plateau = Plateau(**self.plateau)


class TrainState:
    """The network (`model`: wrapped for device and number format), its average, optimizer, position, sums."""

    def __init__(
        self, config: TrainConfig, network: nn.Module, accelerator: Accelerator, processes: Processes
    ):
        # With several processes accelerate says "cpu:0", and .to("cpu:0") copies all that is on "cpu".
        self.device = torch.device("cpu") if accelerator.device.type == "cpu" else accelerator.device
        self.scaler, self.processes = accelerator.scaler, processes
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.network = network.to(self.device, memory_format=layout).train()
        processes.prepare(self.network)
        self.average = AveragedModel(self.network, config.ema)
        # "evaluation": only the number format. Gradients of several processes are added up in train_step.
        self.model = accelerator.prepare_model(self.network, device_placement=False, evaluation_mode=True)
        self.optimizer = accelerator.prepare_optimizer(new_optimizer(config, self.network), False)
        if config.compile:
            self.model = torch.compile(self.model)
        self.at = Position()
        self.sums: dict[str, Tensor] = {}

    def freeze(self, parts: Sequence[str]) -> None:
        """Keep the weights and statistics of exactly these parts of the network from now on.

        What the optimizer remembers of them stays as it is until they are trained again.
        """
        freeze(self.network, parts)

    def add_losses(self, terms: Mapping[str, Tensor]) -> None:
        """Add to the sums on the device, without waiting for it."""
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0) + term.detach()

    def mean_losses(self) -> dict[str, float]:
        """Means since the last row of the metrics; raises FloatingPointError where one is not a number."""
        steps = self.at.step - self.at.logged_step
        means = {name: (total / steps).item() for name, total in self.sums.items()}
        for name, mean in means.items():
            if not abs(mean) < float("inf"):
                raise FloatingPointError(
                    f"the loss {name} is {mean} in steps {self.at.logged_step + 1} to {self.at.step}: take a "
                    "lower lr or a longer warmup; the last checkpoint is from before"
                )
        return means

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, as they are now; not copied. All processes must call it."""
        tensors = {f"model.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.model.state_dict().items()}
        for name, weight in self.network.named_parameters():
            for kind, value in self.optimizer.state.get(weight, {}).items():
                if value is not None:  # SGD has no momentum before its first step
                    tensors[f"optimizer.{name}.{kind}"] = value
        tensors |= {f"sums.{name}": total for name, total in self.sums.items()}
        if self.scaler is not None:
            values = self.scaler.state_dict().items()
            tensors |= {f"scaler.{name}": torch.tensor(value, dtype=torch.float64) for name, value in values}
        own = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            own["cuda"] = torch.cuda.get_rng_state(self.device)
        for rank, generators in enumerate(self.processes.all_of(own)):
            tensors |= {f"random.{rank}.{kind}": state for kind, state in generators.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put the tensors back; raises ValueError where they do not fit the network."""
        for prefix, model in (("model.", self.network), ("average.", self.average.model)):
            weights = part(tensors, prefix)
            if problem := misfit(model, weights):
                raise ValueError(
                    f"the checkpoint is of another network or version: {problem}; train in another folder, "
                    "or go on with the version that wrote it"
                )
            model.load_state_dict(weights)
        for name, weight in self.network.named_parameters():
            kinds = part(tensors, f"optimizer.{name}.")
            if kinds:
                fused = self.optimizer.param_groups[0].get("fused")
                self.optimizer.state[weight] = {
                    kind: _like(weight, value, bool(fused)) for kind, value in kinds.items()
                }
        self.sums = {name: total.to(self.device) for name, total in part(tensors, "sums.").items()}
        scale = part(tensors, "scaler.")
        if self.scaler is not None and scale:
            kinds = self.scaler.state_dict()
            self.scaler.load_state_dict({name: type(kinds[name])(x.item()) for name, x in scale.items()})
        # A process that was not there before draws on from the seed.
        for kind, state in part(tensors, f"random.{self.processes.rank}.").items():
            if kind == "cpu":
                torch.set_rng_state(state)
            elif self.device.type == kind:
                torch.cuda.set_rng_state(state, self.device)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, under the rest of their names."""
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def _like(weight: Tensor, value: Tensor, fused: bool) -> Tensor:
    """The value in the weight's place and memory layout: another layout could round differently."""
    if value.shape != weight.shape:  # the count of steps, which a fused optimizer alone wants on the device
        return value.to(weight.device if fused else "cpu", copy=True)
    return torch.empty_like(weight, dtype=value.dtype, requires_grad=False).copy_(value)


@contextmanager
def own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, torch's generators start from `seed`; afterwards they go on as if nothing had been drawn."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
