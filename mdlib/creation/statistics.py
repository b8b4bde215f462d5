"""Mean, standard deviation and distributions of a data set, summed up while it is made.

Stored values are whole numbers and are counted, so the sums over a shard are exact and do not depend on the
order of its samples, nor the result on the number of workers.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from mdlib.creation.coverage import Coverage
from mdlib.loading import codec

_LEVELS = 255.0
_DEPTH_STEP_MM = 100  # of the histogram of metric depth


class Statistics:
    """Counts of every stored value over the pixels of one shard, before encoding."""

    def __init__(self):
        self._pictures: dict[str, np.ndarray] = {}  # kind -> (channels, 256)
        self._depth_counts: np.ndarray | None = None
        self._error = {"count": 0, "sum": 0, "max": 0}  # of depth after encoding, in levels
        self._coverage = Coverage()

    def add_picture(self, kind: str, img: np.ndarray) -> None:
        """Add one picture, (H,W,3) or (H,W) uint8."""
        counts = np.array(Image.fromarray(img).histogram(), np.int64).reshape(
            -1, 256
        )  # quickest of seven ways
        self._pictures[kind] = self._pictures[kind] + counts if kind in self._pictures else counts

    def add_masks(self, masks: np.ndarray) -> None:
        """Add where the objects of a batch are, (B,H,W) uint8; their values are added by `add_picture`."""
        self._coverage.add(masks)

    def add_depth(self, stored: np.ndarray) -> None:
        """Add depth as stored: uint16 millimetres (0 = unknown) or uint8 closeness."""
        levels = np.iinfo(stored.dtype).max + 1
        counts = np.bincount(stored.reshape(-1), minlength=levels)
        self._depth_counts = counts if self._depth_counts is None else self._depth_counts + counts

    def add_depth_error(self, stored: np.ndarray, decoded: np.ndarray) -> None:
        """Add what encoding changed in a uint8 closeness map."""
        error = np.abs(stored.astype(np.int16) - decoded)
        self._error["count"] += error.size
        self._error["sum"] += int(error.sum())
        self._error["max"] = max(self._error["max"], int(error.max()))

    def state(self) -> dict:
        """The sums, for JSON: integers per channel in levels of 255, doubles in closeness for depth."""
        state = {kind: _picture_sums(counts) for kind, counts in self._pictures.items()}
        if self._depth_counts is not None:
            state["depth"] = _depth_sums(self._depth_counts)
            state["depth_histogram"] = _depth_histogram(self._depth_counts)
        if self._error["count"]:
            state["depth_error"] = self._error
        state["coverage"] = self._coverage.state()
        return state


def _picture_sums(counts: np.ndarray) -> dict:
    levels = np.arange(256)
    total, squares = counts @ levels, counts @ levels**2
    return {"count": int(counts[0].sum()), "sum": total.tolist(), "squares": squares.tolist()}


def _depth_sums(counts: np.ndarray) -> dict:
    values = torch.from_numpy(np.arange(len(counts)).astype(np.uint8 if len(counts) == 256 else np.uint16))
    closeness = codec.depth_to_closeness(values).double().numpy()
    known = ~np.isnan(closeness)
    weight, closeness = counts[known].astype(np.float64), closeness[known]
    return {
        "count": int(counts[known].sum()),
        "unknown": int(counts[~known].sum()),
        "sum": [math.fsum(weight * closeness)],
        "squares": [math.fsum(weight * closeness**2)],
    }


def _depth_histogram(counts: np.ndarray) -> list[int]:
    """Pixels per step of 100 mm, or per level of closeness; unknown ones left out, none after the last."""
    if len(counts) > 256:
        known = counts.copy()
        known[0] = 0  # unknown
        counts = np.add.reduceat(known, np.arange(0, len(known), _DEPTH_STEP_MM))
    return np.trim_zeros(counts, "b").tolist()


def depth_histogram(states: Sequence[dict], dtype: str, metric: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixels per depth over all shards: (counts (N,), edges (N + 1,) rising), or None without depth.

    dtype: of the stored depth, "uint16" or "uint8". Edges are metres where the depth is metric, else
    closeness. The step at the far end of closeness, which reaches to infinity, is left out of metres.
    """
    parts = [state["depth_histogram"] for state in states if "depth_histogram" in state]
    if not parts:
        return None
    counts = np.zeros(max(256 if dtype == "uint8" else 0, max(map(len, parts))), np.int64)
    for part in parts:
        counts[: len(part)] += part
    if dtype == "uint16":
        return counts, np.arange(len(counts) + 1) * (_DEPTH_STEP_MM / 1000)
    edges = np.clip(np.arange(257) - 0.5, 0, 255) / 255
    if not metric:
        return counts, edges
    return counts[:0:-1], codec.NEAR_M / edges[:0:-1]  # level 0 dropped: it reaches to infinity


def combine(states: Sequence[dict]) -> dict:
    """Mean and standard deviation per kind and channel over all shards, in [0, 1]; and the encoding error."""
    result = {}
    for kind in ("bg", "fg_bg", "mask", "depth"):
        parts = [state[kind] for state in states if kind in state]
        count = sum(part["count"] for part in parts)
        if not count:
            continue
        scale = 1.0 if kind == "depth" else _LEVELS
        means, stds = [], []
        for c in range(len(parts[0]["sum"])):
            total = _add([part["sum"][c] for part in parts])
            squares = _add([part["squares"][c] for part in parts])
            mean = total / count
            variance = (squares * count - total * total) / (count * count)  # exact in integers up to here
            means.append(mean / scale)
            stds.append(math.sqrt(max(0.0, variance)) / scale)
        result[kind] = {"mean": means, "std": stds}
        if kind == "depth":
            unknown = sum(part["unknown"] for part in parts)
            result[kind]["unknown"] = unknown / (unknown + count)
    errors = [state["depth_error"] for state in states if "depth_error" in state]
    if errors:
        mean = sum(e["sum"] for e in errors) / sum(e["count"] for e in errors)
        result["depth_error"] = {"mean": mean / _LEVELS, "max": max(e["max"] for e in errors) / _LEVELS}
    return result


def _add(values: list) -> int | float:
    return sum(values) if isinstance(values[0], int) else math.fsum(values)
