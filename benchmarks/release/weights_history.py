"""The runs that packaged weights come from, each of which may have begun where others ended.

python -m benchmarks.release.weights_history      draws their course from the log in benchmarks/results
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import colormaps
from matplotlib.figure import Figure

from mdlib.creation.live import open_stored_or_live
from mdlib.files import write_whole
from mdlib.viewing.figures import INK

NAME = "start.json"
WEIGHTS = Path("assets/weights/mdnet.safetensors")  # in a copy of the project
LOG = Path("benchmarks/results/weights_training.jsonl")  # of the runs that these come from
COLOURS = [*colormaps["tab20"].colors, *colormaps["tab20b"].colors]
CURVES = {"iou": "IoU", "iou_disturbed": "IoU, disturbed", "depth_error": "mean |closeness error|"}
KEPT = ("step", "stage", "lr", "losses", "scores", "elapsed_s")  # of a row, what is worth its room
FREEZES = {"iou": "mask_decoder", "iou_disturbed": "mask_decoder", "depth_error": "depth_decoder"}


class Part(NamedTuple):
    """A run on the way to the weights."""

    run: str
    of_depth: bool  # whether only its depth was taken
    before: int  # samples that the runs had seen that it began from
    samples: int  # that it has seen itself
    stages: str
    augment: float
    mix: list[str]  # names of the data sets that it saw
    data: dict[str, dict]  # these, and where its weights came with the package all before: what they hold
    rows: list[dict]

    def about(self) -> dict[str, Any]:
        """What the file beside the weights says about it."""
        names = {"samples_seen": self.samples, "samples_before": self.before, "data": self.mix}
        how = {"stages": self.stages, "augment": self.augment}
        return {"run": self.run, "of_depth": self.of_depth, **how, **names}


def part_of(run: Path, of_depth: bool, before: int) -> Part:
    """The run in this folder."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    training = json.loads((run / "config.json").read_text())["training"]
    data = {Path(path).name: about_data(path) for path in (training["data"], *training["mix"])}
    samples = rows[-1]["step"] * training["batch_size"]
    how = training["stages"] or "", training["augment"]
    return Part(run.name, of_depth, before, samples, *how, list(data), data, rows)


@cache  # most runs saw the same ones
def about_data(path: str) -> dict[str, Any]:
    """What the file beside the weights says about a data set."""
    dataset = open_stored_or_live(Path(path))
    used = len(dataset.split()["train"])
    held = {"samples": len(dataset), "used": used, "depth": dataset.depth_kind}
    return {"id": dataset.dataset_id, "size": min(dataset.size), **held}


def packaged(about_file: Path, log_file: Path) -> list[Part]:
    """The runs that packaged weights come from: the file beside the weights, and the log of the runs."""
    about = json.loads(about_file.read_text())
    rows: dict[str, list[dict]] = {}
    for line in log_file.read_text().splitlines():
        row = json.loads(line)
        rows.setdefault(row.pop("run"), []).append(row)
    training = {name: about["training"][name] for name in ("stages", "augment")}
    last = {name: about[name] for name in ("run", "samples_seen", "samples_before")}
    last |= {**training, "of_depth": False, "data": about["mix"]}
    return [
        Part(
            one["run"], one["of_depth"], one["samples_before"], one["samples_seen"], one["stages"],
            one["augment"], one["data"], about["data"] if one is last else {}, rows[one["run"]],
        )
        for one in (*about["start"], last)
    ]  # fmt: skip


def remember_start(run: Path, starts: Sequence[Path]) -> None:
    """Keep from which runs this one begins: one, or one for the mask and one for the depth.

    Of the packaged weights, which newer ones may replace, what is known about them is kept too.
    """
    run.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(starts):
        if is_packaged(start):
            weights = start.resolve()
            shutil.copy(weights.with_suffix(".json"), run / f"start{number}.json")
            shutil.copy(weights.parents[2] / LOG, run / f"start{number}.jsonl")
    write_whole(run / NAME, json.dumps([str(path.resolve()) for path in starts]).encode())


def is_packaged(start: Path) -> bool:
    """Whether it is the file of packaged weights, in any copy of the project, not the folder of a run."""
    return start.resolve().parts[-len(WEIGHTS.parts) :] == WEIGHTS.parts


def starts_of(run: Path) -> list[Path]:
    """What `remember_start` kept."""
    file = run / NAME
    return [Path(path) for path in json.loads(file.read_text())] if file.exists() else []


def history(run: Path, of_depth: bool = False) -> list[Part]:
    """All runs that this one goes back to, oldest first, each once, and itself."""
    parts, before = {}, 0
    for number, start in enumerate(starts_of(run)):
        if is_packaged(start):
            found = packaged(run / f"start{number}.json", run / f"start{number}.jsonl")
        else:
            found = history(start, of_depth or number == 1)
        for part in found:
            parts.setdefault(part.run, part)
        before = max(before, found[-1].before + found[-1].samples)
    return [*parts.values(), part_of(run, of_depth, before)]


def data_of(parts: Sequence[Part]) -> dict[str, dict]:
    """All data sets that the runs saw, each once; a second one of a name with its size or id."""
    data: dict[str, dict] = {}
    for name, one in (item for part in parts for item in part.data.items()):
        if one["id"] in (other["id"] for other in data.values()):
            continue
        if name in data:
            same_size = one["size"] == data[name]["size"]
            name += f" ({one['id'][:8]})" if same_size else f" at {one['size']} px"
        data[name] = one
    return data


def log(parts: Sequence[Part]) -> bytes:
    """The thinned rows of all runs, each with the name of its run, as JSON lines."""
    rows = [{"run": part.run, **row} for part in parts for row in thinned(part.rows)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def thinned(rows: Sequence[dict]) -> list[dict]:
    """Every check with the losses before it, where a stage begins, and the end; thinned again, the same."""
    kept, stage = [], None
    for row, following in zip_longest(rows, rows[1:]):
        check_or_end = following is None or "scores" in following
        if "scores" in row or check_or_end or row.get("stage", stage) != stage:
            kept.append({name: value for name, value in row.items() if name in KEPT})
        stage = row.get("stage", stage)
    return kept


def curve(parts: Sequence[Part]) -> Figure:
    """Scores of the checks against samples seen; a line where the pictures became larger."""
    figure = Figure(figsize=(12, 3.6), dpi=110, facecolor="white", layout="constrained")
    axes = figure.subplots(1, len(CURVES))
    for ax, (score, title) in zip(axes, CURVES.items(), strict=True):
        for number, part in enumerate(parts):
            frozen = FREEZES[score] in part.stages
            draw(ax, part, score if not frozen else "", COLOURS[number])
        ax.set_title(title, color=INK, fontsize=11)
        ax.set_xlabel("thousand samples seen", color=INK)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#e8e8e8")
    labels = axes[0].get_legend_handles_labels()
    figure.legend(*labels, frameon=False, fontsize=8, labelspacing=0.3, loc="outside right")
    return figure


def draw(ax: Any, part: Part, score: str, colour: tuple) -> None:
    """One score of one run; nothing but its name for the legend where it has no such score."""
    rows, batch_size = part.rows, part.samples / part.rows[-1]["step"]
    seen = [row for row in rows if score in row.get("scores", {})]
    x = [(part.before + row["step"] * batch_size) / 1000 for row in seen]
    y = [row["scores"][score] for row in seen]
    ax.plot(x, y, "o-", color=colour, markersize=4, linewidth=2, label=part.run)
    steps = [row for row in rows if "stage" in row] if seen else []
    for a, b in zip(steps, steps[1:], strict=False):
        if b["stage"] > a["stage"]:
            ax.axvline((part.before + b["step"] * batch_size) / 1000, color="#b0b0b0", linewidth=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=LOG.with_suffix(".png"))
    args = parser.parse_args()
    curve(packaged(WEIGHTS.with_suffix(".json"), LOG)).savefig(args.out)
    print(args.out)
