"""Our own format: `dataset.json` and shards, read into a store.

Each shard is complete in itself: `bg/<bg>.jpg`, `fg_bg/<sample>.jpg`, `mask/<sample>.png`,
`depth/<sample>.png` and the table `placements.csv`, whose rows are parsed as arrays.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from mdlib.loading.archive import Archive
from mdlib.loading.store import Store

FORMAT = 1
DATASET_FILE = "dataset.json"
PLACEMENTS_FILE = "placements.csv"  # in a shard
STATISTICS_FILE = "statistics.json"  # in a shard
DEPTH_SUFFIX = {"exact": ".png", "fast": ".jpg"}  # by encoding
_NEEDED = ("id", "size", "depth", "backgrounds", "cutouts", "shards")
_NUMBERS = {"flip": np.int64, "x_px": np.int64, "y_px": np.int64, "seed": np.int64, "scale": np.float64}


def shard_name(number: int, recipe_only: bool = False) -> str:
    """File name of the shard of background `number`."""
    return f"{'placements' if recipe_only else 'shard'}-{number:05d}.zip"


def id_digits(backgrounds: int, cutouts: int, per_pair: int) -> tuple[int, int, int]:
    """How many digits the ids of samples, backgrounds and cut-outs have."""
    counts = ((backgrounds * cutouts * per_pair, 6), (backgrounds, 4), (cutouts, 4))
    return tuple(max(least, len(str(count - 1))) for count, least in counts)


def live_id(recipe_sha256: str, sources_sha256: str) -> str:
    """The id of samples that are composed as they are read: all that their pixels follow from."""
    return hashlib.sha256(f"live {recipe_sha256} {sources_sha256}".encode()).hexdigest()


def read_store(path: Path) -> Store:
    """The store of the data set in the folder `path`.

    Raises FileNotFoundError or ValueError with a sentence where the folder is missing, unfinished, of
    another format, or one of its shards is missing or not whole.
    """
    info = read_info(path)
    if info.get("recipe_only"):
        raise ValueError(
            f"{path} holds only a recipe, no pictures of its samples: open it with mdlib.live_dataset, which "
            f"composes them as they are read; or run the same create command without --recipe-only, which "
            f"stores them"
        )
    archive = open_shards(path, info)
    suffixes = {"fg_bg": ".jpg", "mask": ".png"}
    if info["depth"]["kind"] != "none":
        suffixes["depth"] = info["depth"]["suffix"]
    objects = [read_objects(archive, part) for part in range(len(archive.paths))]
    tables = [first_objects(table) for table in objects]
    members = {
        kind: np.concatenate([_members(archive, p, kind, t["sample"], suffix) for p, t in enumerate(tables)])
        for kind, suffix in suffixes.items()
    }
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    bg_members = archive.find_many([f"bg/{entry['id']}.jpg" for entry in info["backgrounds"]])
    bg = _numbers(columns["bg"], info["backgrounds"])
    fg = _all_cutouts(objects, info["cutouts"])
    return Store(path, info, columns, bg, fg, archive, members, bg_members)


def read_info(path: Path) -> dict:
    """The content of `dataset.json` in the folder `path`; errors as in `read_store`."""
    file = path / DATASET_FILE
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such data set; `python -m mdlib create {path} ...` makes one")
    if not file.is_file():
        begun = (path / "recipe.json").is_file()
        hint = "It was begun but not finished: run the same create command again." if begun else ""
        raise FileNotFoundError(f"{path} is not a data set: it has no dataset.json. {hint}".strip())
    try:
        info = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); run the same create command again") from None
    found = info.get("format") if isinstance(info, dict) else None
    if found != FORMAT:
        raise ValueError(f"{file}: format {found!r}, but this version of mdlib reads {FORMAT}")
    if missing := [name for name in _NEEDED if name not in info]:
        raise ValueError(
            f"{file} is damaged: {', '.join(missing)} missing; run the same create command again"
        )
    return info


def open_shards(path: Path, info: dict) -> Archive:
    """The shards of the data set in the folder `path`, each in the length that `info` states."""
    shards = [path / shard["name"] for shard in info["shards"]]
    for shard, entry in zip(shards, info["shards"], strict=True):
        if not shard.is_file():
            raise FileNotFoundError(f"{shard} is missing; run the same create command again to make it")
        if shard.stat().st_size != entry["bytes"]:
            raise ValueError(
                f"{shard} has {shard.stat().st_size:,} bytes, expected {entry['bytes']:,}: it is truncated "
                f"or was changed. Delete it and run the same create command again."
            )
    return Archive(shards)


def read_objects(archive: Archive, part: int) -> dict[str, np.ndarray]:
    """The columns of a shard's `placements.csv`, one entry per object: ids as bytes, numbers as such."""
    text = archive.read(int(archive.find_many([PLACEMENTS_FILE], part)[0]))
    head, _, body = text.partition(b"\n")
    names = head.decode().split(",")
    table = dict(zip(names, _columns(body, len(names)), strict=False))
    if len(table) < len(names):
        raise ValueError(
            f"{archive.paths[part]}: placements.csv is damaged; delete the shard and run create again"
        )
    columns = {name: table[name] for name in ("sample", "bg", "fg")}
    columns |= {name: table[name].astype(kind) for name, kind in _NUMBERS.items()}
    z_m = table["z_m"]
    return columns | {"z_m": np.where(z_m == b"", b"nan", z_m).astype(np.float64)}


def _columns(text: bytes, count: int) -> list[np.ndarray]:
    """The columns of a table without quotes, as bytes; none where it has no rows or one is not whole."""
    letters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero((letters == ord(",")) | (letters == ord("\n")))
    if not len(ends) or len(ends) % count:
        return []
    starts = np.append(0, ends[:-1] + 1).reshape(-1, count)
    columns = []
    for start, length in zip(starts.T, (ends.reshape(-1, count) - starts).T, strict=True):
        place = np.arange(max(1, length.max()))
        cells = letters[np.minimum(start[:, None] + place, len(letters) - 1)]
        cells[place >= length[:, None]] = 0
        columns.append(cells.view(f"S{len(place)}")[:, 0])
    return columns


def first_objects(table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same columns with one entry per sample: that of its first object."""
    _, first = np.unique(table["sample"], return_index=True)
    first.sort()
    return {name: column[first] for name, column in table.items()}


def of_each_sample(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """What objects have, (objects,), as one row per sample, (N,K), the last of each repeated to fill.

    ends (N + 1): the number of each sample's first object, and at the end of all of them.
    """
    counts = np.diff(ends)
    return values[ends[:-1, None] + np.minimum(np.arange(counts.max(initial=1)), counts[:, None] - 1)]


def _all_cutouts(objects: list[dict[str, np.ndarray]], entries: list[dict]) -> np.ndarray:
    samples, fg = (np.concatenate([table[name] for table in objects]) for name in ("sample", "fg"))
    first = np.flatnonzero(np.append(True, samples[1:] != samples[:-1]))
    return of_each_sample(_numbers(fg, entries), np.append(first, len(samples)))


def _members(archive: Archive, part: int, kind: str, samples: np.ndarray, suffix: str) -> np.ndarray:
    names = np.char.add(np.char.add(f"{kind}/".encode(), samples), suffix.encode())
    try:
        return archive.find_many(names, part)
    except KeyError as error:
        raise ValueError(f"{error.args[0]}: delete the shard and run the same create command again") from None


def _numbers(ids: np.ndarray, entries: list[dict]) -> np.ndarray:
    """Position of each id in the list of entries."""
    known = np.array([entry["id"].encode() for entry in entries])
    order = np.argsort(known)
    return order[np.searchsorted(known[order], ids)].astype(np.int64)
