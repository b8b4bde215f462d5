"""Training by several processes, one for each GPU or part of the processor.

    python -m torch.distributed.run --nproc_per_node 2 -m mdlib -- train DATA --run RUN

(The -- keeps the launcher from taking --run for an option of its own.) In a notebook, the same with a
function that makes a Trainer and calls `fit`: accelerate.notebook_launcher(function, num_processes=2).

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

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn

from mdlib.training.adding import add_up, may_lose_one, share_batch_norms

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)  # with one that is alive, and that the others wait for


class Share(NamedTuple):
    """Samples `start` to `stop` of a batch of `count`."""

    start: int
    stop: int
    count: int


class Team:
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
