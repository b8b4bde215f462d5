"""`dataset.json`: what a finished data set is, put together from its shards."""

import hashlib
import json
from pathlib import Path

from mdlib.creation import recipe
from mdlib.creation.config import CreateConfig
from mdlib.creation.depth import relative
from mdlib.creation.sources import stored
from mdlib.creation.writing.statistics import combine
from mdlib.files import sha256_of
from mdlib.loading import codec
from mdlib.loading.format import DATASET_FILE, DEPTH_SUFFIX, FORMAT, id_digits, live_id


def is_complete(folder: Path, recipe_only: bool = False) -> bool:
    """Whether `folder` holds a finished data set of its recipe, with every file in its full length.

    One without pictures of its samples counts where no more was asked for (`recipe_only`).
    """
    try:
        content = json.loads((folder / DATASET_FILE).read_text())
        sizes = {shard["name"]: shard["bytes"] for shard in content["shards"]}
        if "sources" in content:
            sizes[content["sources"]["name"]] = content["sources"]["bytes"]
        same = content["recipe_sha256"] == sha256_of(folder / recipe.NAME)
        enough = recipe_only or not content.get("recipe_only")
    except (OSError, ValueError, KeyError, TypeError):
        return False
    there = {path.name: path.stat().st_size for path in folder.glob("*.zip")}
    return same and enough and all(there.get(name) == size for name, size in sizes.items())


def progress(folder: Path) -> str:
    """How far the creation in `folder` has come: "3 of 80 shards are finished (about 1.2 GB to go)"."""
    backgrounds = recipe.read(folder)["backgrounds"]
    count = backgrounds["count"] if "count" in backgrounds else len(backgrounds["files"])
    shards = list(folder.glob("shard-*.zip")) or list(folder.glob("placements-*.zip"))
    sizes = [path.stat().st_size for path in shards]
    to_go = f" (about {readable(sum(sizes) / len(sizes) * (count - len(sizes)))} to go)" if sizes else ""
    return f"{len(sizes)} of {count} shards are finished{to_go}"


def readable(count: float) -> str:
    """A number of bytes in the unit that fits, such as 1.2 GB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def describe(config: CreateConfig, sources: stored.KeptSources, facts: list[dict], folder: Path) -> dict:
    """The content of `dataset.json`, from what `make_shard` told of each shard."""
    facts = sorted(facts, key=lambda fact: fact["name"])
    statistics = combine([fact["statistics"] for fact in facts])
    error = statistics.pop("depth_error", None)
    made = recipe.read(folder)["depth"] != "none"
    depth = _depth(config, sources.teacher, error) if made else {"kind": "none"}
    per_pair = facts[0]["samples"] // len(sources.cutouts)
    digits = id_digits(len(sources.backgrounds), len(sources.cutouts), per_pair)
    recipe_sha256, sources_sha256 = (sha256_of(folder / name) for name in (recipe.NAME, stored.NAME))
    stored_id = hashlib.sha256("".join(fact["sha256"] for fact in facts).encode()).hexdigest()
    return {
        "format": FORMAT,
        "id": live_id(recipe_sha256, sources_sha256) if config.recipe_only else stored_id,
        "recipe_only": config.recipe_only,
        "size": list(config.height_width),
        "encoding": config.encoding,
        "depth": depth,
        "counts": {
            "samples": sum(fact["samples"] for fact in facts),
            "backgrounds": len(sources.backgrounds),
            "cutouts": len(sources.cutouts),
            "placements": config.placements,
            "flips": 2 if config.flip else 1,
        },
        "statistics": statistics,
        "recipe_sha256": recipe_sha256,
        "backgrounds": _entries(sources.backgrounds, digits[1]),
        "cutouts": _entries(sources.cutouts, digits[2]),
        "sources": {
            "name": stored.NAME,
            "bytes": (folder / stored.NAME).stat().st_size,
            "sha256": sources_sha256,
        },
        "shards": [{key: fact[key] for key in ("name", "samples", "bytes", "sha256")} for fact in facts],
    }


def _depth(config: CreateConfig, teacher: dict | None, error: dict | None) -> dict:
    """Kind, unit and direction of the stored depth, and where it is from."""
    metric = teacher is None or teacher["kind"] == "metric"
    millimetres = metric and config.encoding == "exact"
    depth: dict = {
        "kind": "metric" if metric else "relative",
        "suffix": DEPTH_SUFFIX[config.encoding],
        "dtype": "uint16" if millimetres else "uint8",
        "unit": "millimetres, 0 = unknown" if millimetres else "closeness / 255",
        "direction": "larger = farther" if millimetres else "larger = nearer",
    }
    if metric:
        depth["near_m"] = codec.NEAR_M
    else:
        depth["percentiles"] = {f"{rank:g}": at for rank, at in zip(relative.RANK, relative.AT, strict=True)}
    if teacher is not None:
        depth["teacher"] = {key: value for key, value in teacher.items() if key != "kind"}
    return depth if error is None else depth | {"encoding_error": error}


def _entries(table: list[dict], digits: int) -> list[dict]:
    entries = []
    for i, row in enumerate(table):
        entry = {"id": f"{i:0{digits}d}", "name": row["name"], "group": row["group"]}
        if row.get("teacher_scale"):
            entry["teacher_scale"] = row["teacher_scale"]
        entries.append(entry)
    return entries
