"""What a data set is made from: everything that decides its bytes, and nothing else.

`recipe.json` is written before anything else, and its checksum stands in the comment of every archive, so
that a folder never mixes samples of two recipes.
"""

import json
from pathlib import Path

from mdlib.files import sha256_of, write_json

NAME = "recipe.json"
_MAX_LISTED = 5


def read(folder: Path) -> dict:
    """The recipe of the data set in `folder`."""
    return json.loads((folder / NAME).read_text())


def comment(folder: Path) -> bytes:
    """The comment of every archive made from the recipe in `folder`."""
    return f"mdlib recipe sha256 {sha256_of(folder / NAME)}".encode()


def begin(folder: Path, recipe: dict) -> None:
    """Make `folder` one of this recipe, or find that it is; ValueError says how another recipe differs."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give a folder for the data set")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    if not path.exists():
        others = sorted(p.name for p in folder.glob("*.zip")) + [p.name for p in folder.glob("dataset.json")]
        if others:
            raise ValueError(
                f"{folder} holds {', '.join(others[:_MAX_LISTED])} but no {NAME}: it was not made by this "
                f"command. Give another folder."
            )
        write_json(path, recipe)
        return
    try:
        there = json.loads(path.read_text())
    except ValueError:
        raise ValueError(f"{path} is damaged; delete {folder} or give another folder") from None
    differences = _differences(there, recipe)
    if differences:
        raise ValueError(
            f"{folder} was begun with another recipe: {'; '.join(differences)}. "
            f"Give another folder, or the same options and pictures to go on."
        )


def _differences(there: dict, asked: dict) -> list[str]:
    """Sentences' parts that name what differs, such as "placements is 20 there, 6 asked"."""
    parts = []
    for key in dict.fromkeys([*there, *asked]):
        old, new = there.get(key), asked.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            parts += _other_files(key, old.get("files", []), new.get("files", []))
            parts += [
                f"{key} {k} is {old.get(k)} there, {new.get(k)} asked"
                for k in dict.fromkeys([*old, *new])
                if k != "files" and old.get(k) != new.get(k)
            ]
        elif old != new:
            parts.append(f"{key} is {old} there, {new} asked")
    return parts


def _other_files(what: str, old: list[dict], new: list[dict]) -> list[str]:
    before, now = {f["name"]: f for f in old}, {f["name"]: f for f in new}
    cases = {
        "missing now": [name for name in before if name not in now],
        "new": [name for name in now if name not in before],
        "changed": [name for name in now if name in before and now[name] != before[name]],
    }
    parts = []
    for case, names in cases.items():
        if names:
            more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
            parts.append(f"{what} {case}: {', '.join(names[:_MAX_LISTED])}{more}")
    return parts
