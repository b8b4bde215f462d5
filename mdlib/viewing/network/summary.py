"""A network as a table of its layers: torchsummary's, with the right numbers."""

import contextlib
import copy
import io
from collections.abc import Callable

import torch
from torch import Tensor, nn

SUMMARY_PX = 224


def summary(model: nn.Module, size: tuple[int, int] = (SUMMARY_PX, SUMMARY_PX)) -> str:
    """torchsummary's table of the layers for two pictures of `size` (H, W), then the totals.

    torchsummary counts a layer as often as it is called, multiplies the shapes of two inputs, fails on lists
    of features and moves the statistics of BatchNorm. So it sees a copy in evaluation mode and of it the
    layers that have no layers inside; one that is called again shows 0 parameters, and the totals are ours:
    all parameters, megabytes (10^6 bytes) of 32-bit floats. The model stays as it is.
    """
    from torchsummary import summary as torchsummary

    twin = _Leaves(copy.deepcopy(model).cpu().float()).eval()
    repeated = _note_repeated_calls(twin)
    printed = io.StringIO()
    with torch.random.fork_rng(devices=[]), torch.no_grad(), contextlib.redirect_stdout(printed):
        torchsummary(twin, [(3, *size), (3, *size)], device="cpu")
    head, rows = _table_of(printed.getvalue())
    rows = [row if not again else row[:-15] + f"{0:>15}" for row, again in zip(rows, repeated, strict=True)]
    parameters = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    inputs_mb = 2 * 3 * size[0] * size[1] * 4 / 1e6
    totals = [
        f"Total params: {parameters:,}",
        f"Trainable params: {trainable:,}",
        f"Non-trainable params: {parameters - trainable:,}",
        f"Input size (MB): {inputs_mb:.2f} (two pictures, 3 x {size[0]} x {size[1]})",
        f"Params size (MB): {parameters * 4 / 1e6:.2f}",
    ]
    return "\n".join([*head, *rows, "=" * 64, *totals]) + "\n"


class _Leaves(nn.Module):
    """The network, of which `apply` (where torchsummary looks) reaches the layers without layers inside."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def apply(self, function: Callable[[nn.Module], object]) -> nn.Module:
        for module in self.modules():
            if next(module.children(), None) is None:
                function(module)
        return self

    def forward(self, bg: Tensor, fg_bg: Tensor) -> object:
        return self.network(bg, fg_bg)


def _note_repeated_calls(model: _Leaves) -> list[bool]:
    """A list that the next call of the model fills: per row of torchsummary, was this layer called before?"""
    repeated: list[bool] = []
    called: set[nn.Module] = set()

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        repeated.append(module in called)
        called.add(module)

    model.apply(lambda module: module.register_forward_hook(note))
    return repeated


def _table_of(printed: str) -> tuple[list[str], list[str]]:
    """The three lines of the head and the rows of torchsummary's table."""
    lines = printed.splitlines()
    ends = [i for i, line in enumerate(lines) if line.startswith("===")]
    return lines[: ends[0] + 1], lines[ends[0] + 1 : ends[1]]
