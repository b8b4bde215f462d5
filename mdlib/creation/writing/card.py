"""What a data set holds, in words and pictures: the card beside it, and its short form for the command line.

`card.md` and its pictures are made from `dataset.json`, the statistics in the shards and a few samples. They
are no part of the checksums: a card can be deleted, and comes back with the next run of the same command.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mdlib.creation import recipe
from mdlib.creation.writing import card_figures
from mdlib.creation.writing.statistics import AREA_STEPS, combine_coverage, depth_histogram
from mdlib.files import readable, write_whole
from mdlib.loading.archive import Archive
from mdlib.loading.format import STATISTICS_FILE

if TYPE_CHECKING:
    from mdlib.loading.dataset import SceneDataset

NAME = "card.md"
SAMPLES, DISTRIBUTIONS = "card_samples.jpg", "card_distributions.png"
_MAX_LISTED = 5
_MAX_ON_CARD = 50


class Facts(NamedTuple):
    """A data set summed up: `dataset.json`, `recipe.json`, `combine_coverage`, `depth_histogram`."""

    data: "SceneDataset"
    recipe: dict
    coverage: dict | None
    depth: tuple[np.ndarray, np.ndarray] | None

    @property
    def metric(self) -> bool:
        """Whether depth is in metres."""
        return self.data.depth_kind == "metric"


def write(data: "SceneDataset") -> Path:
    """Write `card.md` and its pictures beside a data set; the same data gives the same bytes."""
    facts, path = collect(data), data.path
    write_whole(path / SAMPLES, card_figures.sample_sheet(data))
    if facts.coverage is not None:
        drawn = card_figures.distributions(facts.coverage, facts.depth, facts.metric)
        write_whole(path / DISTRIBUTIONS, drawn)
    write_whole(path / NAME, _card(facts).encode())  # last: where it is, the pictures are
    return path / NAME


def collect(data: "SceneDataset") -> Facts:
    """Sum up a data set; reads the small statistics of each shard, no pictures."""
    states = []
    for shard in data.info["shards"]:
        archive = Archive(data.path / shard["name"])
        states.append(json.loads(archive.read(archive.find(STATISTICS_FILE))))
    depth = data.info["depth"]
    return Facts(
        data,
        recipe.read(data.path) if (data.path / recipe.NAME).is_file() else {},
        combine_coverage([state.get("coverage", {}) for state in states]),
        depth_histogram(states, depth.get("dtype", ""), depth["kind"] == "metric"),
    )


def summary(facts: Facts) -> list[str]:
    """The card's short form: counts, sizes, depth, near-duplicates, mean and standard deviation, id."""
    lines = [*_what(facts), *_duplicates(facts.data.info, _MAX_LISTED)]
    lines.append(f"{'':8}mean{'':20}standard deviation")
    lines += [f"{kind:8}{mean:24}{std}{rest}" for kind, mean, std, rest in _moments(facts.data.info)]
    return [*lines, f"id {facts.data.info['id']}"]


def quantiles(counts: np.ndarray, edges: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    """Values that the given shares of a histogram stay under, each step taken as evenly filled."""
    below = np.concatenate([[0], np.cumsum(counts)])
    return np.interp(np.array(shares) * below[-1], below, edges).tolist()


def _what(facts: Facts) -> list[str]:
    """What the set is, one statement per line."""
    content = facts.data.info
    height, width = content["size"]
    shards, counts = content["shards"], content["counts"]
    size = sum(shard["bytes"] for shard in shards)
    lines = [f"{counts['samples']:,} samples of {width} x {height} pixels (width x height)"]
    if content.get("recipe_only"):
        size += content["sources"]["bytes"]
        lines.append(f"{readable(size)}: a recipe only, its samples are composed as they are read")
    else:
        each = size / counts["samples"] / 1000
        lines.append(f"{readable(size)} in {len(shards)} shards, {each:.1f} kB per sample")
    if "placements" in counts:  # each with each; other projects' archives hold what they hold
        mirrored = ", as they are and mirrored" if counts["flips"] == 2 else ""
        lines.append(
            f"{counts['backgrounds']} backgrounds x {counts['cutouts']} cut-outs{mirrored}, "
            f"x {counts['placements']} placements"
        )
    else:
        lines.append(f"{counts['backgrounds']} backgrounds, {counts['cutouts']} cut-outs")
    if facts.coverage is not None:
        areas = facts.coverage["areas"]
        edges = np.arange(len(areas) + 1) / AREA_STEPS
        low, first, half, third, high = quantiles(areas, edges, (0.01, 0.25, 0.5, 0.75, 0.99))
        lines.append(
            f"objects cover {half:.2%} of a picture in the median; half of them {first:.2%} to {third:.2%}, "
            f"98% of them {low:.2%} to {high:.2%}"
        )
    return [*lines, *_depth(facts)]


def _depth(facts: Facts) -> list[str]:
    depth = facts.data.info["depth"]
    if depth["kind"] == "none":
        return ["depth: none"]
    error = depth.get("encoding_error")
    loss = (
        f"; encoding changes closeness by {error['mean']:.4f} (at most {error['max']:.3f})" if error else ""
    )
    teacher = f", guessed by {depth['teacher']['name']}" if "teacher" in depth else ""
    scale = f"; closeness = {depth['near_m']} m / z" if "near_m" in depth else ""
    lines = [f"depth: {depth['kind']}{teacher}, stored as {depth['unit']}{scale}{loss}"]
    if facts.depth is not None and facts.depth[0].any():
        first, half, third = quantiles(*facts.depth, (0.25, 0.5, 0.75))
        unit = " m away" if facts.metric else " of closeness"
        lines.append(f"half of the pixels are {first:.2f} to {third:.2f}{unit}, the median is {half:.2f}")
    return lines


def _duplicates(content: dict, most: int) -> list[str]:
    lines = []
    for kind, what in (("backgrounds", "places"), ("cutouts", "things")):
        groups: dict[int, list[str]] = {}
        for entry in content[kind]:
            groups.setdefault(entry["group"], []).append(entry["name"])
        same = [" = ".join(names) for names in groups.values() if len(names) > 1]
        more = f"; and {len(same) - most} more" if len(same) > most else ""
        found = f"; nearly the same: {'; '.join(same[:most])}{more}" if same else ""
        lines.append(f"{len(groups)} different {what}{found}")
    return lines


def _moments(content: dict) -> list[tuple[str, str, str, str]]:
    """Kind, mean, standard deviation, and what is to be said besides."""
    rows = []
    for kind, values in content["statistics"].items():
        mean, std = (" ".join(f"{v:.4f}" for v in values[name]) for name in ("mean", "std"))
        unknown = f"  ({values['unknown']:.1%} unknown)" if values.get("unknown") else ""
        rows.append((kind, mean, std, unknown))
    return rows


def _card(facts: Facts) -> str:
    """The text of `card.md`."""
    content = facts.data.info
    moments = [f"| {kind} | {mean} | {std}{rest} |" for kind, mean, std, rest in _moments(content)]
    parts = [
        "# Data card",
        "Two pictures of one place, `bg` (empty) and `fg_bg` (with an object), the soft `mask` of the object"
        + ("" if content["depth"]["kind"] == "none" else " and the `depth` of the scene")
        + ". Made by mdlib; `python -m mdlib info` prints the same facts; `--check` tests the files.",
        "\n".join(f"- {line}" for line in _what(facts)),
        f"![samples from all over the set]({SAMPLES})",
    ]
    if facts.coverage is not None:
        parts += ["## Distributions", f"![areas, places, depth]({DISTRIBUTIONS})"]
    parts += [
        "## Mean and standard deviation",
        "Over all pixels of the data set before encoding, colours and masks from 0 to 1, depth as closeness.",
        "\n".join(["| | mean | standard deviation |", "| --- | --- | --- |", *moments]),
        "## Near-duplicates",
        "Pictures that are nearly the same, or mirrored, are one place or thing, and a split never divides "
        "them.",
        "\n".join(f"- {line}" for line in _duplicates(content, _MAX_ON_CARD)),
        "## How it was made",
        "\n".join(f"- {line}" for line in _settings(facts.recipe)),
        f"id {content['id']}",
        "## Licence",
        "The rights in the photographs and cut-outs stay with those who made them: name them here before the "
        "data is passed on. Rooms and objects that mdlib drew carry no rights of others.",
    ]
    return "\n\n".join(parts) + "\n"


def _settings(made: dict) -> list[str]:
    """The recipe, without its lists of files."""
    lines = []
    for key, value in made.items():
        if isinstance(value, dict):
            files = f"{len(value['files'])} files" if "files" in value else ""
            simple = [f"{k} {v}" for k, v in value.items() if not isinstance(v, dict | list)]
            value = ", ".join([*simple, *([files] if files else [])])
        lines.append(f"{key}: {value}")
    return lines
