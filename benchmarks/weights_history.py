"""The runs that packaged weights come from, each of which may have begun where others ended."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import colormaps
from matplotlib.figure import Figure

from mdlib.training.checkpoint import replace_file
from mdlib.viewing.figures import INK

NAME = "start.json"
CURVES = {"iou": "IoU", "iou_disturbed": "IoU, disturbed", "depth_error": "mean |closeness error|"}
FREEZES = {"iou": "mask_decoder", "iou_disturbed": "mask_decoder", "depth_error": "depth_decoder"}


class Part(NamedTuple):
    """A run on the way to the weights."""

    run: Path
    of_depth: bool  # whether only its depth was taken
    before: int  # samples that the runs had seen that it began from

    @property
    def rows(self) -> list[dict]:
        return [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]

    @property
    def training(self) -> dict[str, Any]:
        return json.loads((self.run / "config.json").read_text())["training"]

    @property
    def data(self) -> list[Path]:
        """Folders of the data sets that it saw."""
        return [Path(path) for path in (self.training["data"], *self.training["mix"])]

    @property
    def samples(self) -> int:
        """Samples that it has seen itself."""
        return self.rows[-1]["step"] * self.training["batch_size"]

    def about(self) -> dict[str, Any]:
        """What the file beside the weights says about it."""
        training = self.training
        return {
            "run": self.run.name,
            "of_depth": self.of_depth,
            "samples_seen": self.samples,
            "stages": training["stages"],
            "data": [path.name for path in self.data],
        }


def remember_start(run: Path, starts: Sequence[Path]) -> None:
    """Keep from which runs this one begins: one, or one for the mask and one for the depth."""
    run.mkdir(parents=True, exist_ok=True)
    replace_file(run / NAME, json.dumps([str(path) for path in starts]).encode())


def starts_of(run: Path) -> list[Path]:
    """What `remember_start` kept."""
    file = run / NAME
    return [Path(path) for path in json.loads(file.read_text())] if file.exists() else []


def history(run: Path, of_depth: bool = False) -> list[Part]:
    """All runs that this one goes back to, oldest first, each once, and itself."""
    parts, before = {}, 0
    for number, start in enumerate(starts_of(run)):
        found = history(start, of_depth or number == 1)
        for part in found:
            parts.setdefault(part.run, part)
        before = max(before, found[-1].before + found[-1].samples)
    return [*parts.values(), Part(run, of_depth, before)]


def log(parts: Sequence[Part]) -> bytes:
    """The rows of all runs, each with the name of its run, as JSON lines."""
    rows = [{"run": part.run.name, **row} for part in parts for row in part.rows]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def curve(parts: Sequence[Part]) -> Figure:
    """Scores of the checks against samples seen; a line where the pictures became larger."""
    figure = Figure(figsize=(12, 3.6), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots(1, len(CURVES))
    for ax, (score, title) in zip(axes, CURVES.items(), strict=True):
        for number, part in enumerate(parts):
            frozen = FREEZES[score] in (part.training["stages"] or "")
            draw(ax, part, score if not frozen else "", colormaps["tab20"](number))
        ax.set_title(title, color=INK, fontsize=11)
        ax.set_xlabel("thousand samples seen", color=INK)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#e8e8e8")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside right")
    return figure


def draw(ax: Any, part: Part, score: str, colour: tuple) -> None:
    """One score of one run; nothing but its name for the legend where it has no such score."""
    rows, batch_size = part.rows, part.training["batch_size"]
    seen = [row for row in rows if score in row.get("scores", {})]
    x = [(part.before + row["step"] * batch_size) / 1000 for row in seen]
    y = [row["scores"][score] for row in seen]
    ax.plot(x, y, "o-", color=colour, markersize=4, linewidth=2, label=part.run.name)
    steps = [row for row in rows if "stage" in row] if seen else []
    for a, b in zip(steps, steps[1:], strict=False):
        if b["stage"] > a["stage"]:
            ax.axvline((part.before + b["step"] * batch_size) / 1000, color="#b0b0b0", linewidth=1)
