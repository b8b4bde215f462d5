"""Archives of other projects turned into a data set of our own.

JPEG pictures keep their bytes. Masks and depth get the values that reading the archives in place gives, as
gray PNG. One shard for each background, by a recipe, through any interruption, like a creation.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from mdlib import __version__
from mdlib.creation import recipe
from mdlib.creation.items import Placements
from mdlib.creation.resumable import Crew, make_by_recipe
from mdlib.creation.writing import manifest, shard
from mdlib.creation.writing.statistics import Statistics
from mdlib.loading import codec
from mdlib.loading.foreign.layout import Layout, read_layout
from mdlib.loading.format import FORMAT, PLACEMENTS_FILE, STATISTICS_FILE, id_digits, shard_name
from mdlib.loading.store import Store
from mdlib.loading.zip_writer import ShardWriter

NAMES = "names.txt"  # of the samples in the source, in the order of the table
_BATCH = 64


@dataclass(frozen=True)
class PackConfig:
    """Turns archives of another project into a data set; JPEG pictures keep their bytes."""

    source: Path
    """ZIP file, folder of ZIP files, or folder of pictures."""
    out: Path
    """Folder of the data set. The same command goes on where an interrupted one stopped."""
    layout: Layout = Layout()
    """How the source is laid out."""
    jpeg_quality: int = 95
    """Quality of pictures that are not JPEG in the source, 1 to 100."""
    workers: int = 2
    """Processes to work in."""


def pack(config: PackConfig, progress: bool = True, executor: Executor | None = None) -> Path:
    """Make a data set of what lies at `config.source`, or finish it; returns its folder.

    Samples are numbered in the order of the layout; their names stand in `names.txt` of each shard. In the
    table of placements x_px, y_px and scale are those of the box around what a mask shows; flip and seed are
    not known and 0. A source that does not tell its cut-outs gets one for each sample.
    The bytes depend on the source and the layout alone. Raises FileNotFoundError or ValueError for a source
    that is not laid out like that or has damaged pictures, ValueError where the folder holds another recipe,
    OSError when the disk is full; what is finished is always kept.
    """
    if config.workers < 1 or not 1 <= config.jpeg_quality <= 100:
        raise ValueError(
            f"workers is {config.workers}, jpeg_quality {config.jpeg_quality}; they must be 1 or more, and "
            f"from 1 to 100"
        )
    out = Path(config.out)
    store = read_layout(config.source, config.layout)
    make = partial(_make, config, store, out)
    return make_by_recipe(
        out, _recipe(config, store), make, workers=config.workers, executor=executor, progress=progress
    )


def make_shard(source: Path, layout: Layout, folder: Path, number: int) -> dict:
    """Write the shard of background `number` unless it is there, and tell what it is, like `create` does."""
    path, comment = folder / shard_name(number), recipe.comment(folder)
    if not path.exists():
        store, quality = _opened(source, layout, comment), recipe.read(folder)["jpeg_quality"]
        with ShardWriter(path, comment) as writer:
            for name, data in _members(store, number, quality):
                writer.add(name, data)
    return shard.facts_of(path, comment)


@lru_cache(maxsize=1)
def _opened(source: Path, layout: Layout, comment: bytes) -> Store:
    """The source of this process; another recipe (another comment) opens it again."""
    return read_layout(source, layout)


def _recipe(config: PackConfig, store: Store) -> dict:
    """Everything that decides the bytes of the data set: the source by its contents, not by its path."""
    made = {
        "format": FORMAT,
        "mdlib": __version__,
        "kind": "pack",
        "source": store.info["id"],
        "layout": config.layout.described(),
        "size": list(store.size),
        "encoding": "exact",
        "jpeg_quality": config.jpeg_quality,
        "depth": store.info["depth"]["kind"],
    }
    return json.loads(json.dumps(made))  # as it reads from the file: lists, no tuples


def _make(config: PackConfig, store: Store, out: Path, crew: Crew) -> dict:
    """Write the shards; returns the content of `dataset.json`."""
    samples = np.bincount(store.bg, minlength=len(store.bg_members))
    names = [shard_name(number) for number in range(len(samples))]
    source, folder = Path(config.source).absolute(), out.absolute()
    tasks = ((make_shard, source, config.layout, folder, number) for number in range(len(samples)))
    facts = crew.shards("pack", out, names, samples, tasks)
    groups = store.groups("backgrounds")
    backgrounds = [
        {"name": entry["name"], "group": groups[i]} for i, entry in enumerate(store.info["backgrounds"])
    ]
    things = [entry["name"] for entry in store.info["cutouts"]]
    things = things or [name.decode("utf-8", "replace") for name in store.columns["sample"].tolist()]
    cutouts = [{"name": name, "group": i} for i, name in enumerate(things)]
    depth = {"kind": store.info["depth"]["kind"]}
    if depth["kind"] == "metric":
        depth |= {"suffix": ".png", **store.info["depth"]}
    elif depth["kind"] == "relative":
        unit = "closeness / 255, relative"
        depth |= {"suffix": ".png", "dtype": "uint8", "unit": unit, "near_m": codec.NEAR_M}
    made = {"size": list(store.size), "encoding": "exact", "depth": depth}
    return manifest.describe(out, facts, backgrounds, cutouts, _digits(store), made)


def _digits(store: Store) -> tuple[int, int, int]:
    """How many digits the ids of samples, backgrounds and cut-outs have."""
    samples, cutouts = len(store.bg), len(store.info["cutouts"]) or len(store.bg)
    _, bg_digits, fg_digits = id_digits(len(store.bg_members), cutouts, 1)
    return id_digits(1, 1, samples)[0], bg_digits, fg_digits


def _members(store: Store, number: int, quality: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all members of the shard of background `number`, in order."""
    sample_digits, bg_digits, fg_digits = digits = _digits(store)
    statistics = Statistics()
    data, bg = _picture(store, int(store.bg_members[number]), quality)
    statistics.add_picture("bg", bg)
    yield f"bg/{number:0{bg_digits}d}.jpg", data
    rows = np.flatnonzero(store.bg == number)
    boxes = []
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        gray = store.tensors(part, kinds=[kind for kind in store.members if kind != "fg_bg"])
        masks = gray["mask"][:, 0].numpy()
        statistics.add_masks(masks)
        depths = gray["depth"][:, 0].numpy() if "depth" in gray else None
        for k, row in enumerate(part.tolist()):
            name = f"{row:0{sample_digits}d}"
            data, fg_bg = _picture(store, int(store.members["fg_bg"][row]), quality)
            statistics.add_picture("fg_bg", fg_bg)
            yield f"fg_bg/{name}.jpg", data
            statistics.add_picture("mask", masks[k])
            boxes.append(_box(masks[k]))
            yield f"mask/{name}.png", codec.encode_png(masks[k])
            if depths is not None:
                statistics.add_depth(depths[k])
                yield f"depth/{name}.png", codec.encode_png(depths[k])
    yield PLACEMENTS_FILE, _placements(store, number, rows, np.array(boxes)).to_csv(*digits)
    yield NAMES, b"\n".join([*store.columns["sample"][rows].tolist(), b""])
    yield STATISTICS_FILE, json.dumps(statistics.state()).encode()


def _picture(store: Store, member: int, quality: int) -> tuple[bytes, np.ndarray]:
    """A colour picture as JPEG bytes, those of the source where it is one, and decoded."""
    data = store.archive.read(member, verify=True)
    img = np.empty((*store.size, 3), np.uint8)
    try:
        codec.decode_into(data, img)
    except ValueError as error:
        raise ValueError(f"{store.path}: {store.archive.name(member)}: {error}") from None
    return (data if data.startswith(codec.JPEG_SIGNATURE) else codec.encode_jpeg(img, quality)), img


def _box(mask: np.ndarray) -> tuple[int, int, float]:
    """Left and top of what a mask shows, in pixels, and its height over the picture's; else zeros."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0.0
    return int(columns[0]), int(rows[0]), float((rows[-1] + 1 - rows[0]) / len(mask))


def _placements(store: Store, number: int, rows: np.ndarray, boxes: np.ndarray) -> Placements:
    unknown = np.zeros(len(rows), np.int64)
    left, top = boxes[:, :2].T.astype(np.int64)
    bg, z_m = np.full(len(rows), number), np.full(len(rows), np.nan)
    return Placements(rows, bg, store.fg[rows, 0], unknown > 0, left, top, boxes[:, 2], z_m, unknown)
