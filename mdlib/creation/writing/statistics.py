"""Mean, standard deviation and distributions of a data set, summed up while it is made; and how much of the
pictures objects cover, and where.

Stored values are whole numbers and are counted, so the sums over a shard are exact and do not depend on the
order of its samples, nor the result on the number of workers.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from mdlib.loading import codec

_LEVELS = 255.0
_DEPTH_STEP_MM = 100  # of the histogram of metric depth
AREA_STEPS = 1000  # of the histogram of areas; an object of 0.7 % falls into step 7
_LONGEST_CELLS = 56  # of the map, along the longer side
_AT_ONCE = 256  # masks whose sum fits 16 bits: the quickest way to add them


class Statistics:
    """Counts of every stored value over the pixels of one shard, before encoding."""

    def __init__(self):
        self._counts: dict[str, np.ndarray] = {}  # kind -> (channels, levels)
        self._error = {"count": 0, "sum": 0, "max": 0}  # of depth after encoding, in levels
        self._coverage = Coverage()

    def add_picture(self, kind: str, img: np.ndarray) -> None:
        """Add one picture, (H,W,3) or (H,W) uint8."""
        self._add(kind, _count(img))

    def add_masks(self, masks: np.ndarray) -> None:
        """Add where the objects of a batch are, (B,H,W) uint8; their values are added by `add_picture`."""
        self._coverage.add(masks)

    def add_depth(self, stored: np.ndarray) -> None:
        """Add depth as stored, of any shape: uint16 millimetres (0 = unknown) or uint8 closeness."""
        self._add("depth", _count(stored.reshape(1, -1)))

    def add_inside(self, kind: str, pictures: np.ndarray, boxes: np.ndarray) -> None:
        """Add the part inside its box of each picture of a batch; the others follow by `add_outside`.

        pictures (B,H,W,3) or (B,H,W) uint8, or depth as stored; boxes (B,4): top, bottom, left, right.
        """
        parts = [
            picture[top:bottom, left:right].reshape(-1, *picture.shape[2:])
            for picture, (top, bottom, left, right) in zip(pictures, boxes.tolist(), strict=True)
        ]
        self._add(kind, _count(np.concatenate(parts)[None]))

    def add_outside(self, kind: str, background: np.ndarray, boxes: np.ndarray) -> None:
        """Add what many pictures of one background show outside of their boxes: the background itself."""
        height, width = background.shape[:2]
        steps = np.zeros((height + 1, width + 1), np.int64)  # of how many boxes cover a pixel
        top, bottom, left, right = boxes.T
        for rows, columns, step in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
            np.add.at(steps, (rows, columns), step)
        outside = len(boxes) - steps.cumsum(0).cumsum(1)[:height, :width]
        self._add(kind, _count(background, outside))

    def _add(self, kind: str, counts: np.ndarray) -> None:
        self._counts[kind] = self._counts[kind] + counts if kind in self._counts else counts

    def add_depth_error(self, stored: np.ndarray, decoded: np.ndarray) -> None:
        """Add what encoding changed in a uint8 closeness map."""
        error = np.abs(stored.astype(np.int16) - decoded)
        self._error["count"] += error.size
        self._error["sum"] += int(error.sum())
        self._error["max"] = max(self._error["max"], int(error.max()))

    def state(self) -> dict:
        """The sums, for JSON: integers per channel in levels of 255, doubles in closeness for depth."""
        state = {
            kind: _depth_sums(counts[0]) if kind == "depth" else _picture_sums(counts)
            for kind, counts in self._counts.items()
        }
        if "depth" in self._counts:
            state["depth_histogram"] = _depth_histogram(self._counts["depth"][0])
        if self._error["count"]:
            state["depth_error"] = self._error
        state["coverage"] = self._coverage.state()
        return state


class Coverage:
    """The masks of one shard: a histogram of their areas, and the map of their sum."""

    def __init__(self):
        self._areas = np.zeros(AREA_STEPS + 1, np.int64)
        self._sum: np.ndarray | None = None  # (H, W)
        self._count = 0

    def add(self, masks: np.ndarray) -> None:
        """Add masks, (B,H,W) uint8."""
        if self._sum is None:
            self._sum = np.zeros(masks.shape[1:], np.int64)
        full = 255 * self._sum.size
        for start in range(0, len(masks), _AT_ONCE):
            part = masks[start : start + _AT_ONCE]
            areas = part.reshape(len(part), -1).sum(1, dtype=np.uint32).astype(np.int64)
            self._areas += np.bincount(AREA_STEPS * areas // full, minlength=AREA_STEPS + 1)
            self._sum += part.sum(0, dtype=np.uint16)
        self._count += len(masks)

    def state(self) -> dict:
        """The sums, for JSON: size [H,W], samples, areas per step (none after the last), map in levels."""
        if self._sum is None:
            return {}
        cell = -(-max(self._sum.shape) // _LONGEST_CELLS)
        starts = [np.arange(0, side, cell) for side in self._sum.shape]
        cells = np.add.reduceat(np.add.reduceat(self._sum, starts[0], 0), starts[1], 1)
        return {
            "size": list(self._sum.shape),
            "cell": cell,
            "samples": self._count,
            "areas": np.trim_zeros(self._areas, "b").tolist(),
            "map": cells.tolist(),
        }


def _count(img: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """How often each level occurs in each channel, (channels, levels); each pixel `weights` times."""
    if weights is None and img.dtype == np.uint8 and img.size:
        counts = np.array(Image.fromarray(img).histogram(), np.int64)  # quickest of seven ways
        return counts.reshape(-1, 256)
    levels, channels = np.iinfo(img.dtype).max + 1, img.reshape(*img.shape[:2], -1)
    each = None if weights is None else weights.reshape(-1).astype(np.float64)  # whole numbers below 2^53
    counts = [np.bincount(c.reshape(-1), each, levels) for c in np.moveaxis(channels, 2, 0)]
    return np.rint(counts).astype(np.int64)


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


def combine_coverage(states: Sequence[dict]) -> dict | None:
    """All shards together; None without any sample.

    samples; areas (AREA_STEPS + 1) int64, how many objects cover k / AREA_STEPS of the picture, or up to one
    step more; map (rows, columns) float64, share of the samples whose object covers a place; size (H, W);
    cell, the side in pixels of a place of the map.
    """
    states = [state for state in states if state]
    if not states:
        return None
    height, width = states[0]["size"]
    cell = states[0]["cell"]
    areas = np.zeros(AREA_STEPS + 1, np.int64)
    for state in states:
        areas[: len(state["areas"])] += state["areas"]
    samples = sum(state["samples"] for state in states)
    total = sum(np.array(state["map"], np.int64) for state in states)
    rows, columns = (np.diff([*range(0, side, cell), side]) for side in (height, width))
    pixels = rows[:, None] * columns  # the last places of a map can be smaller
    return {
        "samples": samples,
        "size": (height, width),
        "cell": cell,
        "areas": areas,
        "map": total / (255.0 * samples * pixels),
    }


def _add(values: list) -> int | float:
    return sum(values) if isinstance(values[0], int) else math.fsum(values)
