"""Sums over the processes of a training, and a BatchNorm that is made of them; see several."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

GONE = (
    "another of the {size} processes has ended, or cannot be reached any more: the same command goes on from "
    "the last checkpoint, also with another number of processes ({why})"
)


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
        raise ConnectionError(GONE.format(size=dist.get_world_size(), why=why)) from error


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
