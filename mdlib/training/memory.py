"""How much memory the process and its GPU use."""

import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")  # Linux


def memory_mb(device: torch.device) -> dict[str, float | None]:
    """Megabytes (10^6 bytes) in use now and at most so far; None where this is not known.

    host, host_peak: of this process, without processes that it started. gpu, gpu_peak: of torch's tensors.
    """
    on_gpu = device.type == "cuda"
    return {
        "host": process_mb("VmRSS"),
        "host_peak": process_mb("VmHWM") or _peak_mb(),
        "gpu": round(torch.cuda.memory_allocated(device) / 1e6, 1) if on_gpu else None,
        "gpu_peak": round(torch.cuda.max_memory_allocated(device) / 1e6, 1) if on_gpu else None,
    }


def memory_gb(memory: dict[str, float | None]) -> dict[str, float]:
    """What is in use now, as far as known, in gigabytes: short enough for a progress bar."""
    now = {"memory_gb": memory["host"], "gpu_gb": memory["gpu"]}
    return {name: megabytes / 1000 for name, megabytes in now.items() if megabytes is not None}


def process_mb(entry: str) -> float | None:
    """An entry of /proc/self/status, such as VmRSS, in megabytes; None where there is no such file."""
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else []
    found = (int(line.split()[1]) for line in lines if line.startswith(f"{entry}:"))
    return next((round(kibibytes * 1024 / 1e6, 1) for kibibytes in found), None)


def _peak_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)  # a Mac counts bytes
