"""Training by several processes, one for each GPU or part of the processor.

    python -m torch.distributed.run --nproc_per_node 2 -m mdlib -- train DATA --run RUN

(The -- keeps the launcher from taking --run for an option of its own.) In a notebook the same:
accelerate.notebook_launcher(mdlib.train, (config,), num_processes=2).

Each process takes its share of every batch, and what they find is added up: the known pixels that a loss is
a mean over, the mean and variance of each BatchNorm, the losses, the gradients. So a step is that of one
process with the same batch, up to rounding, and every process does the same step. Gradients are added in one
piece after the last part of a batch, not by DistributedDataParallel while they come about: that costs the
time of one message, and frozen parts, parts of batches and a fixed order of additions need no care.

What differs from one process: rounding; which samples a BatchNorm sees together where `accumulate` divides a
batch, for each process divides its own share; and what a network draws itself, such as dropout.

The place in the data is counted in batches of all, so a run goes on with another number of processes at the
very batch where it stopped, and the order of samples stays. A process that was not there before begins its
own random numbers (again, those of dropout) from the seed; those of a process that is no more are lost.

The first process alone writes files, shows the bar and looks at the validation set; what it found the others
are told. Whatever ends a run is agreed on, so that all end at the same step. A process that dies is noticed
by the others at their next message.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from mdlib.training.config import TrainConfig

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)  # with one that is alive, and that the others wait for
LOST = (
    "another of the {size} processes has ended, or cannot be reached any more: the same command goes on from "
    "the last checkpoint, also with another number of processes ({why})"
)


def new_accelerator(config: TrainConfig) -> Accelerator:
    """Device and number format of the run, and its place among several processes.

    Raises ValueError where the machine has not got them, RuntimeError where the processes that were started
    together do not find each other.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but this machine has no GPU that torch can use: take auto or cpu")
    AcceleratorState._reset_state(reset_partial_state=True)  # else the first run's choice holds for all
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


class Share(NamedTuple):
    """Samples `start` to `stop` of a batch of `count`."""

    start: int
    stop: int
    count: int


class Processes:
    """The processes that train together, seen from one of them; most often it is the only one.

    All of them must call each method, in the same order. Each raises ConnectionError where one is gone.
    """

    def __init__(self, accelerator: Accelerator):
        self.size, self.rank = accelerator.num_processes, accelerator.process_index
        self.first = self.rank == 0
        # What is agreed on goes by the CPU: so no GPU is waited for, and one that is gone is noticed.
        self._talk = dist.new_group(backend="gloo", timeout=PATIENCE) if self.size > 1 else None

    def say(self, sentence: str) -> None:
        """Print it once."""
        if self.first:
            print(sentence, flush=True)

    def from_first(self, function: Callable[[], T]) -> T:
        """What `function` returns in the first process, which alone calls it; all raise its error."""
        if self.size == 1:
            return function()
        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = function()
            except Exception as error:
                answer[1] = error if type(error).__module__ == "builtins" else RuntimeError(str(error))
                self._tell(answer)
                raise
        result, error = self._tell(answer)
        if error is not None:
            raise error
        return result

    @contextmanager
    def by_first(self, context: AbstractContextManager) -> Iterator[None]:
        """Let the first process alone enter `context`; where it cannot, all raise its error."""
        with ExitStack() as stack:
            self.from_first(lambda: stack.enter_context(context) and None)
            yield

    def latest(self, number: float) -> float:
        """The largest of the processes' numbers."""
        if self.size == 1:
            return number
        largest = torch.tensor(number, dtype=torch.float64)
        with may_lose_one():
            dist.all_reduce(largest, dist.ReduceOp.MAX, self._talk)
        return largest.item()

    def asked(self, name: str | None) -> str | None:
        """Who or what asked this process to stop, or the first of the others that was; None for nobody."""
        if self.size == 1 or not self.latest(name is not None):
            return name
        return next(filter(None, self.all_of(name)))

    def divide(self, loader: Any, batch_size: int, parts: int) -> None:
        """Let the loader give the share of this process of every batch.

        Raises ValueError where the smallest share cannot go through the network in so many `parts`.
        """
        if self.size == 1:
            return
        least = batch_size // self.size
        if least < parts:
            raise ValueError(
                f"{self.size} processes share batches of {batch_size}, so that some get {least} samples, but "
                f"each share needs {parts} (accumulate) or more: take a larger batch_size or fewer processes"
            )
        loader.divide(self.rank, self.size)

    def share(self, samples: int) -> Share:
        """Where the `samples` of this process stand in the batch of all, which is in order of their ranks."""
        counts = self.all_of(samples)
        start = sum(counts[: self.rank])
        return Share(start, start + samples, sum(counts))

    def all_of(self, thing: T) -> list[T]:
        """The things of all processes, by rank."""
        if self.size == 1:
            return [thing]
        things: list[Any] = [None] * self.size
        with may_lose_one():
            dist.all_gather_object(things, thing, self._talk)
        return things

    def whole(self, batch: Mapping[str, Tensor], share: Share) -> Mapping[str, Tensor]:
        """The batch of all processes, as far as losses must know it: how large it is, where depth is unknown
        and where an object is."""
        if self.size == 1:
            return batch
        # 1 where depth is known, 2 on an object, 3 where both hold.
        facts = batch["depth"].isfinite() + 2 * (batch["mask"] > 0.5)
        everywhere = facts.new_zeros((share.count, *facts.shape[1:]), dtype=torch.uint8)
        everywhere[share.start : share.stop] = facts
        everywhere = add_up(everywhere)
        depth = torch.where(everywhere % 2 > 0, 0.0, torch.nan)
        return {"mask": (everywhere >= 2).float(), "depth": depth}

    def total(self, terms: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The sums of the processes' losses, each of which is a share."""
        if self.size == 1:
            return terms
        sums = add_up(torch.stack([term.detach() for term in terms.values()]))
        return dict(zip(terms, sums.unbind(), strict=True))

    def add_gradients(self, network: nn.Module) -> None:
        """Replace the gradients by their sums."""
        gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
        if self.size == 1:
            return
        sums = add_up(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = sums.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def prepare(self, network: nn.Module) -> None:
        """Give all processes the weights of the first one, and BatchNorms that see the batch of all."""
        if self.size == 1:
            return
        for tensor in network.state_dict().values():
            sent = tensor.contiguous()
            with may_lose_one():
                dist.broadcast(sent, 0)
            tensor.copy_(sent)
        share_batch_norms(network)

    def _tell(self, answer: list[Any]) -> list[Any]:
        with may_lose_one():
            dist.broadcast_object_list(answer, 0, self._talk)
        return answer


def add_up(tensor: Tensor) -> Tensor:
    """The sum of the processes' tensors, in place; raises ConnectionError where one of them is gone."""
    with may_lose_one():
        dist.all_reduce(tensor)
    return tensor


@contextmanager
def may_lose_one() -> Iterator[None]:
    """Around messages between processes: what they raise becomes a ConnectionError that says what to do."""
    try:
        yield
    except RuntimeError as error:
        why = str(error).split("\n")[0].split("] ", 1)[-1].split(". ")[0]  # without the line of gloo's source
        raise ConnectionError(LOST.format(size=dist.get_world_size(), why=why)) from error


def share_batch_norms(network: nn.Module) -> None:
    """Let every BatchNorm2d of the network be a SharedBatchNorm; weights and names stay."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm


class SharedBatchNorm(nn.BatchNorm2d):
    """A BatchNorm2d that in training takes mean and variance over the batches of all processes.

    torch.nn.SyncBatchNorm is the same for GPUs alone. Mean and variance of the shares are joined as in Chan,
    Golub and LeVeque 1979.
    """

    @torch.compiler.disable
    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) of this process, normalised."""
        if not self.training:
            return super().forward(features)
        x, rank = features.float(), dist.get_rank()  # x: (B, C, H, W)
        count = x.new_full((x.shape[1],), x.numel() / x.shape[1])
        mean = x.mean((0, 2, 3))
        squares = (x - mean[:, None, None]).square().sum((0, 2, 3))
        others = dist.get_world_size() - 1 - rank
        shares = F.pad(torch.stack([count, mean, squares])[None], (0, 0, 0, 0, rank, others))
        counts, means, squares = _AddUp.apply(shares).unbind(1)  # (processes, C)
        count = counts.sum(0)
        mean = (counts * means).sum(0) / count
        variance = (squares + counts * (means - mean).square()).sum(0) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        offset = self.bias - mean * scale
        return (x * scale[:, None, None] + offset[:, None, None]).to(features.dtype)


class _AddUp(torch.autograd.Function):
    """Sums over the processes; the gradient of each part is the sum of the processes' gradients."""

    @staticmethod
    def forward(ctx: Any, shares: Tensor) -> Tensor:
        return add_up(shares.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return add_up(gradient.clone(memory_format=torch.contiguous_format))
