"""From backgrounds and cut-outs to a data set on the disk, by a recipe, through any interruption."""

import errno
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from mdlib.creation import kept, manifest, recipe, shards
from mdlib.creation.config import CreateConfig, make_recipe
from mdlib.creation.sources import (
    Background,
    Cutout,
    folder_backgrounds,
    folder_cutouts,
    prop_cutout,
    room_background,
)
from mdlib.creation.workers import executor_of, remove_stale, run_all
from mdlib.loading.splits import group_duplicates

_DISK_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_GRAY = 128


def create(config: CreateConfig, progress: bool = True, executor: Executor | None = None) -> Path:
    """Make the data set that `config` describes, or finish it; returns its folder.

    The bytes depend on the recipe alone: not on the number of workers, interruptions or machines. Works on any
    `executor` whose workers see the folder; without one, on `config.workers` processes. Raises ValueError or
    FileNotFoundError for bad input, ValueError where the folder holds another recipe, OSError when the disk is
    full, RuntimeError when a worker died; what is finished is always kept.
    """
    config.check()
    out = Path(config.out)
    with _disk_errors_explained(out):
        recipe.begin(out, make_recipe(config))
        if manifest.is_complete(out):
            return out
        remove_stale(out)
        try:
            if executor is None:
                with executor_of(config.workers) as own:
                    _make(config, out, own, 2 * config.workers, progress)
            else:
                _make(config, out, executor, 1 << 30, progress)
        finally:
            remove_stale(out)
    return out


def _make(config: CreateConfig, out: Path, executor: Executor, at_once: int, progress: bool) -> None:
    comment = recipe.comment(out)
    if not (out / kept.NAME).exists():
        backgrounds, cutouts = _sources(config, executor, at_once, progress)
        groups = group_duplicates([b.rgb for b in backgrounds]), group_duplicates([_on_gray(c) for c in cutouts])
        kept.write(out, comment, backgrounds, cutouts, groups)
    sources = kept.KeptSources(out)
    if sources.comment != comment:
        raise ValueError(f"{out / kept.NAME} belongs to another recipe: delete {out} or give another folder")
    count = len(sources.backgrounds)
    missing = [i for i in range(count) if not (out / shards.shard_name(i)).exists()]
    if missing:
        _check_space(out, executor.submit(shards.bytes_per_shard, str(out)).result() * len(missing))
    per_shard = len(sources.cutouts) * config.placements * (2 if config.flip else 1)
    tasks = ((shards.make_shard, str(out), i) for i in range(count))
    facts = []
    with tqdm(total=count * per_shard, unit=" samples", desc="create", disable=not progress) as bar:
        for fact in run_all(executor, tasks, at_once):
            facts.append(fact)
            if not fact["written"]:
                bar.initial += fact["samples"]  # was there: counts as done, not as speed
            bar.update(fact["samples"])
    recipe.write_json(out / manifest.NAME, manifest.describe(config, sources, facts, out))


def _sources(
    config: CreateConfig, executor: Executor, at_once: int, progress: bool
) -> tuple[list[Background], list[Cutout]]:
    size = config.height_width
    backgrounds = [] if config.bg is None else folder_backgrounds(config.bg, size, config.upscale)
    cutouts = [] if config.fg is None else folder_cutouts(config.fg, config.fg_mask, longest_px=2 * max(size))
    tasks = [(room_background, i, size, config.seed) for i in range(config.rooms)]
    tasks += [(prop_cutout, i, config.seed) for i in range(config.props)]
    drawn = []
    with tqdm(total=len(tasks), unit=" drawn", desc="sources", disable=not progress or not tasks) as bar:
        for source in run_all(executor, tasks, at_once):
            drawn.append(source)
            bar.update()
    drawn.sort(key=lambda source: source.name)  # they come as they are done
    backgrounds += [source for source in drawn if isinstance(source, Background)]
    cutouts += [source for source in drawn if isinstance(source, Cutout)]
    return backgrounds, cutouts


def _on_gray(cutout: Cutout) -> np.ndarray:
    """The cut-out as a picture, so that cut-outs can be compared like pictures."""
    alpha = cutout.rgba[..., 3:].astype(np.float32) / 255.0
    return np.rint(cutout.rgba[..., :3] * alpha + _GRAY * (1.0 - alpha)).astype(np.uint8)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: the data set needs about {_size(needed)} more, but only {_size(free)} are free on that disk. "
            f"Give another folder, or ask for fewer --placements, a smaller --size or --encoding fast."
        )


@contextmanager
def _disk_errors_explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            what = "a file grew beyond the size allowed here" if error.errno == errno.EFBIG else "the disk is full"
            free = _size(shutil.disk_usage(folder).free)
            raise OSError(
                f"{folder}: {what} ({free} free). What is finished is kept, nothing is half-written: "
                f"make room, then run the same command again to go on."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS):
            raise PermissionError(f"{folder}: cannot write there ({error}); give another folder") from error
        raise


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
