"""Arrays for batches, used again once nobody holds them.

A fresh array of ten megabytes costs thousands of page faults; a used one costs nothing. Whether an array is
free is read off its reference count, so a batch that the caller keeps is never overwritten.
"""

import sys
import threading

import numpy as np
import torch

_IDLE = 3  # references to an array that only the pool holds: its list, the loop variable, the argument


class BufferPool:
    """Keeps up to `limit` arrays of each shape and type."""

    def __init__(self, limit: int):
        self._limit, self._lock = limit, threading.Lock()
        self._arrays: dict[tuple, list[np.ndarray]] = {}

    def take(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array with arbitrary content that nobody else holds."""
        with self._lock:
            arrays = self._arrays.setdefault((shape, dtype), [])
            for array in arrays:
                if sys.getrefcount(array) == _IDLE:
                    return array
            array = _fresh(shape, dtype)
            if len(arrays) < self._limit:
                arrays.append(array)
            return array


def _fresh(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """A new array; pinned where there is a GPU, so that copies to it run beside the computation."""
    if not torch.cuda.is_available():
        return np.empty(shape, dtype)
    kind = {np.uint8: torch.uint8, np.uint16: torch.uint16}[dtype]
    return torch.empty(shape, dtype=kind, pin_memory=True).numpy()
