"""A network in numbers: torchsummary's table of its layers, put right, and what a prediction costs."""

import contextlib
import copy
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mdlib.modeling.networks.base import evaluation_mode
from mdlib.modeling.registry import create_model, load_model, model_names, packaged_weights
from mdlib.training.progress import process_mb
from mdlib.viewing.network.hooks import hooked

SUMMARY_PX, LEAST_PX = 224, 16


@dataclass(frozen=True)
class SummaryConfig:
    """Prints the layers of a network, its parameters and what a prediction costs on this machine's CPU."""

    model: str
    """Name of a network, or folder of a run or saved model."""
    size: int = SUMMARY_PX
    """Height and width of the pictures in px."""
    rounds: int = 10
    """Predictions that the latency is the median of."""


def summarise(config: SummaryConfig) -> str:
    """The table of the layers, and the costs of a prediction below it."""
    if config.rounds < 1:
        raise ValueError(f"--rounds {config.rounds}: expected at least 1")
    model, size = find_network(config.model), square(config.size)
    memory = prediction_memory_mb(model, size)  # first: it counts what the process never took before
    costs = {
        "Multiply-adds of a prediction": f"{count_macs(model, size) / 1e9:.2f} billion",
        "Latency of a prediction": (
            f"{latency_s(model, size, config.rounds) * 1e3:.1f} ms (CPU, {torch.get_num_threads()} threads, "
            f"batch 1, median of {config.rounds})"
        ),
        "Memory of a prediction (MB)": "not told by this system" if memory is None else f"{memory:.0f}",
    }
    lines = "\n".join(f"{name}: {value}" for name, value in costs.items())
    return f"{config.model}\n{summary(model, size)}{lines}"


def find_network(name_or_folder: str) -> nn.Module:
    """The network of a run folder or saved model folder, or of a name: packaged weights, else fresh (seed 0).

    Raises ValueError that lists the names where it is neither.
    """
    if name_or_folder in model_names() and name_or_folder not in packaged_weights():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return create_model(name_or_folder).eval()
    if name_or_folder not in model_names() and not Path(name_or_folder).is_dir():
        raise ValueError(
            f"{name_or_folder!r} is neither a folder of a run or saved model nor one of the networks "
            f"{', '.join(model_names())}"
        )
    return load_model(name_or_folder)


def square(side_px: int) -> tuple[int, int]:
    """The size (H, W) of square pictures; raises ValueError where they would be too small for a network."""
    if side_px < LEAST_PX:
        raise ValueError(f"--size {side_px}: expected at least {LEAST_PX}")
    return side_px, side_px


def summary(model: nn.Module, size: tuple[int, int] = (SUMMARY_PX, SUMMARY_PX)) -> str:
    """torchsummary's table of the layers for two pictures of `size` (H, W), then the totals.

    torchsummary counts a layer as often as it is called, multiplies the shapes of two inputs, fails on lists
    of features and moves the statistics of BatchNorm. So it sees a copy in evaluation mode and of it the
    layers that have no layers inside; one that is called again shows 0 parameters, and the totals are ours:
    all parameters, megabytes (10^6 bytes) of 32-bit floats. The model stays as it is.
    """
    from torchsummary import summary as torchsummary

    twin = _Leaves(copy.deepcopy(model).cpu().float()).eval()
    called: list[str] = []  # the rows of the table
    printed = io.StringIO()
    with (
        hooked(twin.leaves(), after=lambda name, output: called.append(name)),
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        contextlib.redirect_stdout(printed),
    ):
        torchsummary(twin, [(3, *size), (3, *size)], device="cpu")
    head, rows = _table_of(printed.getvalue())
    again = [name in called[:i] for i, name in enumerate(called)]
    rows = [row[:-15] + f"{0:>15}" if twice else row for row, twice in zip(rows, again, strict=True)]
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

    def leaves(self) -> list[tuple[str, nn.Module]]:
        """(name, layer) of those without layers inside."""
        return [(name, layer) for name, layer in self.named_modules() if next(layer.children(), None) is None]

    def apply(self, function: Callable[[nn.Module], object]) -> nn.Module:
        for _, layer in self.leaves():
            function(layer)
        return self

    def forward(self, bg: Tensor, fg_bg: Tensor) -> object:
        return self.network(bg, fg_bg)


def _table_of(printed: str) -> tuple[list[str], list[str]]:
    """The three lines of the head and the rows of torchsummary's table."""
    lines = printed.splitlines()
    ends = [i for i, line in enumerate(lines) if line.startswith("===")]
    return lines[: ends[0] + 1], lines[ends[0] + 1 : ends[1]]


def count_macs(model: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-accumulate operations of one prediction at `size` (H, W).

    Those of convolutions and matrix products, as torch counts them; an average or a resize counts nothing.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with evaluation_mode(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*two_pictures(model, size))
    return counter.get_total_flops() // 2


def latency_s(model: nn.Module, size: tuple[int, int], rounds: int = 10) -> float:
    """Seconds of one prediction at `size` (H, W), batch 1, on the model's device: the median of `rounds`."""
    bg, fg_bg = two_pictures(model, size)
    times = []
    with evaluation_mode(model), torch.inference_mode():
        for _ in range(rounds + 2):  # the first two prepare: memory, kernels
            begin = time.perf_counter()
            model(bg, fg_bg)
            if bg.is_cuda:
                torch.cuda.synchronize(bg.device)
            times.append(time.perf_counter() - begin)
    return statistics.median(times[2:])


def prediction_memory_mb(model: nn.Module, size: tuple[int, int]) -> float | None:
    """Megabytes that one prediction at `size` (H, W) takes beside the weights; see `peak_memory_mb`."""
    bg, fg_bg = two_pictures(model, size)
    with evaluation_mode(model), torch.inference_mode():
        return peak_memory_mb(lambda: model(bg, fg_bg), bg.device)


def peak_memory_mb(work: Callable[[], object], device: torch.device) -> float | None:
    """Megabytes (10^6 bytes) by which `work()` raises the memory in use at its peak.

    On a GPU that of torch's tensors. On a CPU that of the process, so measure in a fresh one: memory that an
    earlier call has left with the process would be used again unseen. None where the system does not tell.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = process_mb("VmRSS")
    work()
    after = process_mb("VmHWM")
    return None if before is None or after is None else max(0.0, after - before)


def two_pictures(model: nn.Module, size: tuple[int, int], batch: int = 1) -> tuple[Tensor, Tensor]:
    """Noise (batch,3,H,W) in [0, 1] where and as the model computes, the same each time."""
    first = next(model.parameters())
    noise = torch.rand(2, batch, 3, *size, generator=torch.Generator().manual_seed(0))
    bg, fg_bg = noise.to(first.device, first.dtype)
    return bg, fg_bg
