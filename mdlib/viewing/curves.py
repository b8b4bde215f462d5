"""Curves of trainings, for people."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from mdlib.viewing.figures import BLUE, COLOURS, GRAY, INK, ORANGE, blank, label

if TYPE_CHECKING:
    from mdlib.training.lr_range import LrRange, LrRangeConfig


def lr_range_figure(found: "LrRange") -> Figure:
    """Loss against learning rate, on a logarithmic axis, with the suggested rate marked."""
    rates, losses, smoothed, suggestion = found
    ax = blank(6.4, 3.8).subplots()
    ax.plot(rates, losses, color=GRAY, linewidth=1, label="loss of the step")
    ax.plot(rates, smoothed, color=BLUE, linewidth=2, label="smoothed")
    if suggestion is not None:
        ax.axvline(suggestion, color=ORANGE, linewidth=2, label=f"suggestion: {suggestion:g}")
    known = [loss for loss in smoothed if math.isfinite(loss)]
    if known:
        low, high = min(known), max(known)
        ax.set_ylim(low - 0.1 * (high - low) - 1e-9, high + 0.1 * (high - low) + 1e-9)
    ax.set_xscale("log")
    label(ax, "learning rate", "loss")
    ax.legend(frameon=False)
    return ax.figure


def write_lr_range(folder: str | Path, found: "LrRange", settings: Mapping) -> list[Path]:
    """Write lr_range.json (with the `settings`) and lr_range.png to `folder`; returns their paths."""
    paths = [Path(folder) / name for name in ("lr_range.json", "lr_range.png")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    paths[0].write_text(json.dumps(found._asdict() | {"settings": dict(settings)}, indent=1) + "\n", "utf-8")
    lr_range_figure(found).savefig(paths[1])
    return paths


def suggest_lr(config: "LrRangeConfig") -> list[str | Path]:
    """Try the rates that `config` describes; returns which one to take, in words, and the files written."""
    from mdlib.run import new_model, open_feed
    from mdlib.training.lr_range import lr_range

    found = lr_range(config, new_model(config), open_feed(config))
    words = "the loss never fell" if found.suggestion is None else f"take --lr {found.suggestion:g}"
    return [words, *write_lr_range(config.run, found, config.as_json())]


def read_rows(run: str | Path) -> list[dict]:
    """The rows of a run's metrics.jsonl; raises FileNotFoundError where there is no run.

    A row that is only half written, as training goes on, is left out.
    """
    *lines, _half = (Path(run) / "metrics.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines]


def rows_so_far(run: str | Path) -> list[dict]:
    """The rows of a run's metrics.jsonl; none where the run has not begun."""
    try:
        return read_rows(run)
    except FileNotFoundError:
        return []


def newest_sheet(run: str | Path) -> Path | None:
    """The picture with the newest samples of a run, if there is one."""
    return max((Path(run) / "samples").glob("step-*.png"), default=None)


def score_figure(runs: Mapping[str, Sequence[dict]], names: Sequence[str]) -> Figure:
    """Scores of the checks against minutes of training: a panel per name, a curve per run (name -> rows)."""
    figure = blank(4.2 * len(names), 3.6)
    for ax, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for colour, (run, rows) in zip(COLOURS, runs.items(), strict=False):
            seen = [row for row in rows if name in row.get("scores", {})]
            minutes, values = [row["elapsed_s"] / 60 for row in seen], [row["scores"][name] for row in seen]
            ax.plot(minutes, values, "o-", color=colour, markersize=3, linewidth=2, label=run)
        label(ax, "minutes", name)
        ax.set_xlim(left=0)
    ax.figure.axes[0].legend(frameon=False)
    return figure


def run_figure(name: str, rows: Sequence[dict], columns: int = 4) -> Figure:
    """Where the run `name` is, by the rows of its metrics: losses, scores, samples/s and learning rate
    against steps, dotted where a stage begins; side by side, or in 2 columns for narrow pages."""
    lines = 4 // columns
    figure = Figure(figsize=(10.0 if lines == 1 else 7.0, 2.4 * lines + 0.4), dpi=100, facecolor="white")
    figure.suptitle(_where(name, rows), fontsize=11 if lines == 1 else 9, color=INK, y=0.97)
    axes = figure.subplots(lines, columns, sharex=True).flatten()
    edges = {"left": 0.22 / columns, "right": 0.99, "bottom": 0.17 / lines, "top": 1 - 0.2 / lines}
    figure.subplots_adjust(**edges, wspace=0.3, hspace=0.35)  # quicker than a layout
    logged, checked = ([row for row in rows if kind in row] for kind in ("losses", "scores"))
    _draw_each(axes[0], logged, "losses", sorted(_names(logged, "losses"), key="total".__ne__))
    _draw_each(axes[1], checked, "scores", _names(checked, "scores"))
    for ax, name in zip(axes[2:], ("samples_per_s", "lr"), strict=True):
        ax.plot([row["step"] for row in logged], [row[name] for row in logged], color=BLUE, linewidth=2)
    begins = [b["step"] for a, b in zip(logged, logged[1:], strict=False) if a["stage"] != b["stage"]]
    for ax, title in zip(axes, ("loss", "check", "samples/s", "learning rate"), strict=True):
        for step in begins:
            ax.axvline(step, color=GRAY, linewidth=1, linestyle=":")
        ax.set_title(title, fontsize=10, color=INK)
        ax.tick_params(labelsize=8)
        label(ax, "step", "")
    for ax in axes[1:]:
        ax.set_ylim(bottom=0)
    if logged:
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[0].yaxis.set_major_formatter("{x:g}")
        axes[0].yaxis.set_minor_locator(NullLocator())
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(low, high * (high / low) ** 0.4)  # room for the legend
        style = {"handlelength": 1.0, "columnspacing": 0.8, "handletextpad": 0.4, "borderaxespad": 0.0}
        axes[0].legend(frameon=False, fontsize=7, loc="upper right", ncols=2, **style)
    if checked:
        axes[1].legend(frameon=False, fontsize=7.5, loc="center right")
    return figure


def _names(rows: Sequence[dict], kind: str) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row[kind]))


def _draw_each(ax, rows: Sequence[dict], kind: str, names: Sequence[str]) -> None:
    """A curve per name; the first one is thick."""
    for i, name in enumerate(names):
        seen = [row for row in rows if name in row[kind]]
        style = {"color": COLOURS[i % len(COLOURS)], "linewidth": 2 if i == 0 else 1.2, "label": name}
        marker = "o" if kind == "scores" else None
        ax.plot(
            [row["step"] for row in seen], [row[kind][name] for row in seen], marker=marker, ms=3, **style
        )


def _where(name: str, rows: Sequence[dict]) -> str:
    """The line above the curves: how far the run is, how fast, with how much memory."""
    last = next((row for row in reversed(rows) if "losses" in row), None)
    if last is None:
        return f"{name}: no numbers yet"
    memory = {kind: x / 1000 for kind, x in last.get("memory_mb", {}).items() if x is not None}
    names = {"host": "memory", "gpu": "GPU memory"}
    used = [f"{names[kind]} {memory[kind]:.1f} GB" for kind in names if kind in memory]
    parts = [
        f"{name}: step {rows[-1]['step']:,}",
        f"epoch {last['epoch']}",
        f"{rows[-1]['elapsed_s'] / 60:.1f} minutes",
        f"{last['samples_per_s']:.0f} samples/s",
        f"waiting for data {last['data_wait']:.0%}",
        *used,
    ]
    return "   ".join(parts)
