"""Live data: samples composed as they are read, from the sources and placements that a data set keeps.

The pixels are those of the stored samples before their encoding, so nothing is decoded and nothing but the
sources and a table is stored. Samples are composed on the CPU, in the threads of a loader, or with
`make_loader(..., decode_on_device=True)` on the device that `to_float` is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from mdlib.creation.composing.sample import Backdrops, backdrops_of, stacked
from mdlib.creation.composing.sprite import Sprite
from mdlib.creation.items import Placements
from mdlib.creation.sources import stored
from mdlib.creation.workers import on_one_core
from mdlib.creation.writing.shard import Composer
from mdlib.loading import codec
from mdlib.loading.dataset import SceneDataset, open_dataset
from mdlib.loading.format import first_objects, live_id, of_each_sample, open_shards, read_info, read_objects
from mdlib.loading.store import BaseStore


def live_dataset(path: str | Path) -> SceneDataset:
    """The data set in the folder `path`, with its samples composed as they are read.

    Works on what `create` made, with or without `--recipe-only`, and is used like `open_dataset`; depth has
    the type that it would be stored in. Raises FileNotFoundError or ValueError with a sentence where the
    folder is missing, unfinished, damaged, or of another origin.
    """
    path = Path(path)
    info = read_info(path)
    if "sources" not in info or not (path / stored.NAME).is_file():
        raise FileNotFoundError(
            f"{path} has no {stored.NAME}, so its samples cannot be composed: use open_dataset, or make the "
            f"data set with `python -m mdlib create`"
        )
    if info["depth"].get("teacher", {}).get("on") == "composite":
        raise ValueError(
            f"{path}: its depth was guessed for each finished picture, which is not done while reading: use "
            f"open_dataset, or make it with --teacher-on bg"
        )
    archive = open_shards(path, info)
    tables = [read_objects(archive, part) for part in range(len(archive.paths))]
    table = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    kinds = {"sample": np.int64, "bg": np.int64, "fg": np.int64, "flip": bool}
    numbers = {name: column.astype(kinds.get(name, column.dtype)) for name, column in table.items()}
    objects = Placements(*(numbers[field.name] for field in fields(Placements)))
    first = np.flatnonzero(np.diff(objects.sample, prepend=-1))
    info |= {"id": live_id(info["recipe_sha256"], info["sources"]["sha256"])}
    bg, ends = objects.bg[first], np.append(first, len(objects))
    fg = of_each_sample(objects.fg, ends)
    return SceneDataset(LiveStore(path, info, first_objects(table), bg, fg, objects, ends))


def is_recipe_only(path: str | Path) -> bool:
    """Whether the folder `path` is a data set without pictures of its samples."""
    try:
        return bool(read_info(Path(path)).get("recipe_only"))
    except (OSError, ValueError, AttributeError):
        return False  # opening it will say what is wrong


def open_stored_or_live(path: str | Path) -> SceneDataset:
    """The data set in the folder `path`: its stored samples, or live ones where only the recipe is stored."""
    return live_dataset(path) if is_recipe_only(path) else open_dataset(path)


@dataclass
class LiveStore(BaseStore):
    """The samples are composed."""

    objects: Placements  # one row per object; those of a sample follow one another
    first: np.ndarray  # number of each sample's first row in `objects`, and at the end the number of rows

    def __post_init__(self):
        super().__post_init__()
        self._composer: Composer | None = None
        self._ready: dict[torch.device, tuple[list[Sprite], Backdrops]] = {}

    def tensors(
        self, rows: np.ndarray, reduce: int = 1, empty: Callable = np.empty, encoded: bool = False
    ) -> dict[str, torch.Tensor]:
        """`encoded` leaves all but the numbers of the samples, `row`."""
        if encoded:
            return {"row": torch.from_numpy(rows)}
        return self._composed(rows, torch.device("cpu"), reduce)

    def to_device(self, batch: dict, device: torch.device, reduce: int = 1) -> dict[str, torch.Tensor]:
        """Composes on `device` what is not composed yet."""
        made = self._composed(batch["row"].numpy(), device, reduce) if "row" in batch else {}
        rest = {name: value for name, value in batch.items() if name != "row"}
        return super().to_device(rest, device) | made

    def _composed(self, rows: np.ndarray, device: torch.device, reduce: int) -> dict[str, torch.Tensor]:
        sprites, backdrops = self._sources_on(device)
        counts = self.first[rows + 1] - self.first[rows]
        starts = np.cumsum(counts) - counts
        picked = np.repeat(self.first[rows] - starts, counts) + np.arange(counts.sum())
        # Numbered anew: a batch has its own order, and may hold a sample twice.
        placements = replace(self.objects[picked], sample=np.repeat(np.arange(len(rows)), counts))
        backdrops = backdrops.pick(torch.from_numpy(self.bg[rows]))
        batch, _ = self._composer.composed(backdrops, placements, sprites)
        return {kind: codec.shrink(pictures, reduce) for kind, pictures in batch.items()}

    def _read_backgrounds(self) -> torch.Tensor:
        return self._sources_on(torch.device("cpu"))[1].bg

    def _sources_on(self, device: torch.device) -> tuple[list[Sprite], Backdrops]:
        """Sprites and backgrounds on `device`, read once per process."""
        with self._lock:
            if self._composer is None:
                composer = on_one_core(Composer, self.path)  # as where samples are stored
                sources, numbers = composer.sources, range(len(composer.sources.backgrounds))
                parts = (backdrops_of(sources.background(i), composer.recipe) for i in numbers)
                backdrops = stacked(parts, len(numbers))
                self._ready[torch.device("cpu")] = composer.sprites, backdrops
                self._composer = composer
            if device not in self._ready:
                sprites, backdrops = self._ready[torch.device("cpu")]
                self._ready[device] = [sprite.to(device) for sprite in sprites], backdrops.to(device)
            return self._ready[device]
