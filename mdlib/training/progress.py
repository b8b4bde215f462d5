"""The progress bar, how fast it goes, and how much memory the process and its GPU use."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from tqdm.auto import tqdm

T = TypeVar("T")
LINE_EVERY_S = 15.0  # where the output is a file, each state of the bar is a line of it
STATUS = Path("/proc/self/status")  # Linux


class Progress:
    """A bar from 0 to 1 with the time left, the speed, and the share of time spent waiting for data.

    Where it is not `shown` it still measures.
    """

    def __init__(self, done: float, shown: bool = True):
        in_notebook = any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__)
        interactive = in_notebook or sys.stderr.isatty()
        self._bar = tqdm(
            total=1.0,
            initial=min(1.0, done),
            disable=not shown,
            dynamic_ncols=True,
            mininterval=0.5 if interactive else LINE_EVERY_S,
            bar_format="{percentage:3.0f}%|{bar:20}| {elapsed} < {remaining}{postfix}",
        )
        self.restart_pace()

    def waiting(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches; the time that each takes to come is counted as waiting."""
        iterator = iter(batches)
        while True:
            asked = time.monotonic()
            batch = next(iterator, None)
            self._waited_s += time.monotonic() - asked
            if batch is None:
                return
            yield batch

    def move_to(self, done: float, samples: int) -> None:
        """A step with so many samples was done."""
        self._samples += samples
        self._bar.update(min(1.0, done) - self._bar.n)

    def pace(self) -> dict[str, float]:
        """Samples per second and share of time spent waiting for data, since it was asked or restarted."""
        seconds = max(1e-9, time.monotonic() - self._since)
        pace = {
            "samples_per_s": round(self._samples / seconds, 1),
            "data_wait": round(self._waited_s / seconds, 3),
        }
        self.restart_pace()
        return pace

    def restart_pace(self) -> None:
        """Forget the time so far, such as that of saving."""
        self._since, self._waited_s, self._samples = time.monotonic(), 0.0, 0

    def tell(self, values: Mapping[str, float]) -> None:
        """Show these values behind the bar; whole numbers with all their digits."""
        texts = {name: f"{x:,}" if isinstance(x, int) else f"{x:.3g}" for name, x in values.items()}
        self._bar.set_postfix(texts, refresh=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()


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
