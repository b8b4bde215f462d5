"""What a data set holds, in words, on the command line and as the card beside it; and whether it is whole.

`card.md` and its pictures are made from `dataset.json`, the statistics in the shards and a few samples. They
are no part of the checksums: a card can be deleted, and comes back with the next run of the same command.
"""

import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mdlib.creation import coverage, recipe
from mdlib.creation.live import open_stored_or_live
from mdlib.creation.writing import manifest
from mdlib.creation.writing.statistics import depth_histogram
from mdlib.files import sha256_of, write_whole
from mdlib.loading.archive import Archive
from mdlib.loading.dataset import SceneDataset
from mdlib.loading.format import DATASET_FILE, STATISTICS_FILE

NAME = "card.md"
SAMPLES, DISTRIBUTIONS = "card_samples.jpg", "card_distributions.png"
_MAX_LISTED = 5
_MAX_ON_CARD = 50


class Facts(NamedTuple):
    """A data set summed up: `dataset.json`, `recipe.json`, `coverage.combine`, `depth_histogram`."""

    data: SceneDataset
    recipe: dict
    coverage: dict | None
    depth: tuple[np.ndarray, np.ndarray] | None

    @property
    def content(self) -> dict:
        """The content of `dataset.json`."""
        return self.data.info

    @property
    def metric(self) -> bool:
        """Whether depth is in metres."""
        return self.data.depth_kind == "metric"


def info(path: str | Path, check: bool = False) -> str:
    """Counts, sizes, depth, near-duplicates and statistics of the data set in the folder `path`, as text.

    Every shard must be there in its full length; with `check` every byte is read and compared with the
    checksums. Raises FileNotFoundError or ValueError with a sentence for what is missing or damaged.
    """
    path = Path(path)
    if (path / recipe.NAME).is_file() and not (path / DATASET_FILE).is_file():
        raise FileNotFoundError(
            f"{path} is not finished: {manifest.progress(path)}. Run the same create command again to go on."
        )
    facts = collect(path)
    lines = [*_what(facts), *_duplicates(facts.content, _MAX_LISTED)]
    lines.append(f"{'':8}mean{'':20}standard deviation")
    lines += [f"{kind:8}{mean:24}{std}{rest}" for kind, mean, std, rest in _moments(facts.content)]
    lines.append(f"id {facts.content['id']}")
    if (path / NAME).is_file():
        lines.append(f"with pictures: {path / NAME}")
    if check:
        content = facts.content
        _compare(path, content["shards"] + ([content["sources"]] if "sources" in content else []))
        lines.append("every byte read: all checksums agree")
    return "\n".join([str(path), *(f"  {line}" for line in lines)])


def write_if_missing(path: Path) -> None:
    """Write the card of a finished data set; what goes wrong is a warning: the data is whole without it."""
    if (path / NAME).exists():
        return
    try:
        write(path)
    except Exception as error:  # whatever it is, hours of work must not end in an error for a picture's sake
        warnings.warn(f"{path} is whole, but its card could not be made: {error!r}", stacklevel=2)


def write(path: Path) -> Path:
    """Write `card.md` and its pictures beside the data set in `path`; the same data gives the same bytes."""
    from mdlib.creation.writing import card_figures

    facts = collect(path)
    write_whole(path / SAMPLES, card_figures.sample_sheet(facts.data))
    if facts.coverage is not None:
        drawn = card_figures.distributions(facts.coverage, facts.depth, facts.metric)
        write_whole(path / DISTRIBUTIONS, drawn)
    write_whole(path / NAME, _card(facts).encode())  # last: where it is, the pictures are
    return path / NAME


def collect(path: Path) -> Facts:
    """Sum up the data set in the folder `path`; reads the small statistics of each shard, no pictures."""
    data = open_stored_or_live(path)
    states = []
    for shard in data.info["shards"]:
        archive = Archive(path / shard["name"])
        states.append(json.loads(archive.read(archive.find(STATISTICS_FILE))))
    depth, made = data.info["depth"], path / recipe.NAME
    return Facts(
        data,
        recipe.read(path) if made.is_file() else {},
        coverage.combine([state.get("coverage", {}) for state in states]),
        depth_histogram(states, depth.get("dtype", ""), depth["kind"] == "metric"),
    )


def quantiles(counts: np.ndarray, edges: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    """Values that the given shares of a histogram stay under, each step taken as evenly filled."""
    below = np.concatenate([[0], np.cumsum(counts)])
    return np.interp(np.array(shares) * below[-1], below, edges).tolist()


def _what(facts: Facts) -> list[str]:
    """What the set is, one statement per line."""
    content = facts.content
    height, width = content["size"]
    shards, counts = content["shards"], content["counts"]
    size = sum(shard["bytes"] for shard in shards)
    lines = [f"{counts['samples']:,} samples of {width} x {height} pixels (width x height)"]
    if content.get("recipe_only"):
        size += content["sources"]["bytes"]
        lines.append(f"{manifest.readable(size)}: a recipe only, its samples are composed as they are read")
    else:
        each = size / counts["samples"] / 1000
        lines.append(f"{manifest.readable(size)} in {len(shards)} shards, {each:.1f} kB per sample")
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
        edges = np.arange(len(areas) + 1) / coverage.AREA_STEPS
        low, first, half, third, high = quantiles(areas, edges, (0.01, 0.25, 0.5, 0.75, 0.99))
        lines.append(
            f"objects cover {half:.2%} of a picture in the median; half of them {first:.2%} to {third:.2%}, "
            f"98% of them {low:.2%} to {high:.2%}"
        )
    return [*lines, *_depth(facts)]


def _depth(facts: Facts) -> list[str]:
    depth = facts.content["depth"]
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
    content = facts.content
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


def _compare(path: Path, shards: list[dict]) -> None:
    problems = []
    for shard in shards:
        file = path / shard["name"]
        if sha256_of(file) != shard["sha256"]:
            members = Archive(file).check()
            problems.append(f"{file} was changed or is damaged{': ' + members[0] if members else ''}")
    if problems:
        more = f"\n  and {len(problems) - _MAX_LISTED} more" if len(problems) > _MAX_LISTED else ""
        raise ValueError(
            f"{len(problems)} of {len(shards)} files differ from what was written; delete them and run the "
            f"same create command again to make them anew:\n  " + "\n  ".join(problems[:_MAX_LISTED]) + more
        )
