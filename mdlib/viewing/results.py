"""What an evaluation found, as files and figures: conditions, and how much a soft mask can be trusted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdlib.creation.live import open_stored_or_live
from mdlib.evaluation.disturb import UNSEEN
from mdlib.evaluation.protocol import evaluate
from mdlib.evaluation.report import format_table
from mdlib.viewing.figures import BLUE, GRAY, INK, ORANGE, blank, label
from mdlib.viewing.predict import Predictor

# Form and colour tell them apart; the network comes last, on top of the others.
MARKS = {"subtraction": ("s", GRAY), "best threshold": ("D", ORANGE), "network": ("o", BLUE)}
BINS = 10


@dataclass(frozen=True)
class EvaluateConfig:
    """Measures a network on rooms and objects that its training never saw, beside plain subtraction.

    Writes the table as JSON and, beside it, as Markdown.
    """

    data: Path
    """Folder of the data set."""
    weights: str = "mdnet"
    """Name of packaged weights, or folder of a run or saved model."""
    json: Path = Path("evaluation.json")
    """File for the result; the same name with .md gets the table."""
    pairs: int | None = None
    """Pairs per set and condition; those of published tables (2,000 and 500) where it is not given."""
    seed: int = 0
    """Seed of the pairs and the disturbances."""
    batch_size: int = 32
    """Pairs measured at a time; changes no result."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto takes a GPU if there is one."""


def evaluate_weights(config: EvaluateConfig) -> list[str | Path]:
    """Measure a network by the protocol; returns the table and the files written."""
    model = Predictor.load(config.weights, None if config.device == "auto" else config.device).model
    data = open_stored_or_live(config.data)
    result = evaluate(
        model, data, pairs=config.pairs, seed=config.seed, batch_size=config.batch_size, progress=True
    )
    table = format_table(result)
    config.json.parent.mkdir(parents=True, exist_ok=True)
    config.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    config.json.with_suffix(".md").write_text(table, "utf-8")
    return [table, config.json, config.json.with_suffix(".md")]


def conditions_figure(result: Mapping) -> Figure:
    """Mask IoU under each condition, the network's beside the baselines'; below a line the mean of the ten.

    result: what `evaluation.protocol.evaluate` returned, or its JSON file read back. Raises ValueError where
    it has no conditions.
    """
    rows = {
        name: one["scores"]
        for name, one in result["conditions"].items()
        if "iou" in one["scores"].get("network", {})
    }
    if not rows:
        raise ValueError("the result has no conditions to show: evaluate with some")
    if result["mean_of_ten"]:
        rows["mean of the ten"] = result["mean_of_ten"]
    titles = [f"{name} (never trained on)" if name in UNSEEN else name for name in rows]
    ax = blank(6.8, 0.9 + 0.32 * len(rows)).subplots()
    for model, (form, colour) in MARKS.items():
        points = [
            (i, row[model]["iou"]) for i, row in enumerate(rows.values()) if "iou" in row.get(model, {})
        ]
        if points:
            at, values = zip(*points, strict=True)
            name = result["network"]["name"] if model == "network" else model
            ax.plot(values, at, form, color=colour, markersize=8, label=name, zorder=3)
    for i, row in enumerate(rows.values()):
        values = [scores["iou"] for model, scores in row.items() if model in MARKS and "iou" in scores]
        ax.plot([min(values), max(values)], [i, i], color="#dddddd", linewidth=2, zorder=1)
    if "mean of the ten" in rows:
        ax.axhline(len(rows) - 1.5, color=GRAY, linewidth=0.8)
    ax.set_yticks(range(len(rows)), titles, color=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.02)
    ax.grid(axis="x", color="#eeeeee")
    ax.set_axisbelow(True)
    counts = [one["pairs"] for one in result["conditions"].values()]
    pairs = " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
    _finish(ax, f"mask IoU ({pairs} pairs each)", "")
    return ax.figure


def reliability_figure(pred_masks: Sequence[np.ndarray], true_masks: Sequence[np.ndarray]) -> Figure:
    """Is what is called object to 70 % in truth covered to 70 %? Mean truth for each tenth of the prediction.

    pred_masks, true_masks: (H,W) each, 0 to 1. On the diagonal a soft mask can be believed. The bars below
    tell how many pixels lie in each tenth (Guo et al. 2017, with the true coverage in place of a class).
    Raises ValueError for an unequal number of masks, or none.
    """
    if len(pred_masks) != len(true_masks) or not len(pred_masks):
        raise ValueError(
            f"{len(pred_masks)} predicted and {len(true_masks)} true masks: give as many of both"
        )
    pred = np.concatenate([mask.ravel() for mask in pred_masks]).astype(np.float64)
    true = np.concatenate([mask.ravel() for mask in true_masks]).astype(np.float64)
    told, means, counts, error = reliability(pred, true)
    figure = blank(4.4, 4.8)
    ax, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ax.plot([0, 1], [0, 1], color=GRAY, linewidth=1, label="can be believed")
    ax.plot(told, means, "o-", color=BLUE, label=f"this mask (off by {error:.1%} in the mean)")
    _finish(ax, "", "true coverage")
    below.bar((np.floor(np.minimum(told, 1 - 1e-9) * BINS) + 0.5) / BINS, counts, 0.9 / BINS, color=BLUE)
    below.set_yscale("log")
    below.set_xlim(0, 1)
    _finish(below, "predicted coverage", "pixels")
    return figure


def reliability(pred: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """For each tenth of `pred` that has pixels: its mean, the mean of `true`, pixels; the calibration error.

    pred, true: (N,), 0 to 1. The error is the mean distance of the two, weighted by pixels (expected
    calibration error, Naeini et al. 2015).
    """
    tenth = np.minimum((pred * BINS).astype(int), BINS - 1)
    counts = np.bincount(tenth, minlength=BINS)
    some = counts > 0
    means = [np.bincount(tenth, x, BINS)[some] / counts[some] for x in (pred, true)]
    error = float((np.abs(means[0] - means[1]) * counts[some]).sum() / counts.sum())
    return means[0], means[1], counts[some], error


def _finish(ax: Axes, x: str, y: str) -> None:
    label(ax, x, y)
    ax.tick_params(colors=INK, labelsize=9)
    if ax.get_legend_handles_labels()[0]:
        ax.figure.legend(loc="outside upper center", ncols=3, frameon=False, labelcolor=INK, fontsize=9)
