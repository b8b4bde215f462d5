"""What a prediction costs: multiplications, time, memory."""

import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mdlib.modeling.modes import evaluation_mode
from mdlib.training.memory import process_mb


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
