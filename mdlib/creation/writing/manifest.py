"""`dataset.json`: what a finished data set is, put together from its shards."""

import hashlib
import json
from pathlib import Path

from mdlib.creation import recipe
from mdlib.creation.writing.statistics import combine
from mdlib.files import readable, sha256_of
from mdlib.loading.format import DATASET_FILE, FORMAT, live_id

# In the order in which a reader of the file wants them.
_KEYS = (
    "format", "id", "recipe_only", "size", "encoding", "depth", "counts", "statistics", "recipe_sha256",
    "backgrounds", "cutouts", "sources", "shards",
)  # fmt: skip


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
    backgrounds = recipe.read(folder).get("backgrounds")
    shards = list(folder.glob("shard-*.zip")) or list(folder.glob("placements-*.zip"))
    if backgrounds is None:  # of a pack, whose source alone knows how many there are
        return f"{len(shards)} shards are finished"
    count = backgrounds["count"] if "count" in backgrounds else len(backgrounds["files"])
    sizes = [path.stat().st_size for path in shards]
    to_go = f" (about {readable(sum(sizes) / len(sizes) * (count - len(sizes)))} to go)" if sizes else ""
    return f"{len(sizes)} of {count} shards are finished{to_go}"


def describe(
    folder: Path,
    facts: list[dict],
    backgrounds: list[dict],
    cutouts: list[dict],
    digits: tuple[int, int, int],
    made: dict,
) -> dict:
    """The content of `dataset.json`.

    facts: what was told of each shard; backgrounds, cutouts: of each its `name`, its `group` of
    near-duplicates and, if it has one, its `teacher_scale`; digits: of the ids, as `id_digits` counts them;
    made: `size`, `encoding`, `depth`, and what else there is to tell. `counts` there are added to those of
    samples, backgrounds and cut-outs.
    """
    facts = sorted(facts, key=lambda fact: fact["name"])
    statistics = combine([fact["statistics"] for fact in facts])
    error = statistics.pop("depth_error", None)
    recipe_sha256 = sha256_of(folder / recipe.NAME)
    content = {
        **made,
        "format": FORMAT,
        "id": hashlib.sha256("".join(fact["sha256"] for fact in facts).encode()).hexdigest(),
        "depth": made["depth"] if error is None else made["depth"] | {"encoding_error": error},
        "counts": {
            "samples": sum(fact["samples"] for fact in facts),
            "backgrounds": len(backgrounds),
            "cutouts": len(cutouts),
            **made.get("counts", {}),
        },
        "statistics": statistics,
        "recipe_sha256": recipe_sha256,
        "backgrounds": _entries(backgrounds, digits[1]),
        "cutouts": _entries(cutouts, digits[2]),
        "shards": [{key: fact[key] for key in ("name", "samples", "bytes", "sha256")} for fact in facts],
    }
    if content.get("recipe_only"):
        content["id"] = live_id(recipe_sha256, content["sources"]["sha256"])
    return {key: content[key] for key in _KEYS if key in content}


def _entries(table: list[dict], digits: int) -> list[dict]:
    keys = ("name", "group", "teacher_scale")
    return [
        {"id": f"{i:0{digits}d}"} | {key: row[key] for key in keys if row.get(key) is not None}
        for i, row in enumerate(table)
    ]
