"""Curves of trainings, for people."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mdlib.training.lr_range import LrRange
from mdlib.viewing.figures import INK

BLUE, ORANGE, GRAY = "#0060c0", "#e07000", "#b0b0b0"
COLOURS = (BLUE, ORANGE, "#008060", "#a02080")


def lr_range_figure(found: LrRange) -> Figure:
    """Loss against learning rate, on a logarithmic axis, with the suggested rate marked."""
    rates, losses, smoothed, suggestion = found
    figure = Figure(figsize=(6.4, 3.8), dpi=110, facecolor="white", layout="constrained")
    ax = figure.subplots()
    ax.plot(rates, losses, color=GRAY, linewidth=1, label="loss of the step")
    ax.plot(rates, smoothed, color=BLUE, linewidth=2, label="smoothed")
    if suggestion is not None:
        ax.axvline(suggestion, color=ORANGE, linewidth=2, label=f"suggestion: {suggestion:g}")
    known = [loss for loss in smoothed if math.isfinite(loss)]
    if known:
        low, high = min(known), max(known)
        ax.set_ylim(low - 0.1 * (high - low) - 1e-9, high + 0.1 * (high - low) + 1e-9)
    ax.set_xscale("log")
    _label(ax, "learning rate", "loss")
    ax.legend(frameon=False)
    return figure


def write_lr_range(folder: str | Path, found: LrRange, settings: Mapping) -> list[Path]:
    """Write lr_range.json (with the `settings`) and lr_range.png to `folder`; returns their paths."""
    paths = [Path(folder) / name for name in ("lr_range.json", "lr_range.png")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    paths[0].write_text(json.dumps(found._asdict() | {"settings": dict(settings)}, indent=1) + "\n", "utf-8")
    lr_range_figure(found).savefig(paths[1])
    return paths


def read_rows(run: str | Path) -> list[dict]:
    """The rows of a run's metrics.jsonl; raises FileNotFoundError where there is no run."""
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text("utf-8").splitlines()]


def score_figure(runs: Mapping[str, Sequence[dict]], names: Sequence[str]) -> Figure:
    """Scores of the checks against minutes of training: a panel per name, a curve per run (name -> rows)."""
    figure = Figure(figsize=(4.2 * len(names), 3.6), dpi=110, facecolor="white", layout="constrained")
    for ax, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for colour, (run, rows) in zip(COLOURS, runs.items(), strict=False):
            seen = [row for row in rows if name in row.get("scores", {})]
            minutes, values = [row["elapsed_s"] / 60 for row in seen], [row["scores"][name] for row in seen]
            ax.plot(minutes, values, "o-", color=colour, markersize=3, linewidth=2, label=run)
        _label(ax, "minutes", name)
        ax.set_xlim(left=0)
    ax.figure.axes[0].legend(frameon=False)
    return figure


def _label(ax, x: str, y: str) -> None:
    ax.set_xlabel(x, color=INK)
    ax.set_ylabel(y, color=INK)
    ax.spines[["top", "right"]].set_visible(False)
