"""From backgrounds and cut-outs to a data set on the disk, by a recipe, through any interruption."""

import errno
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from mdlib.creation import recipe
from mdlib.creation.cluster import cluster_executor
from mdlib.creation.config import CreateConfig, make_recipe
from mdlib.creation.depth.floor import add_depth
from mdlib.creation.depth.photographs import estimate
from mdlib.creation.depth.teacher import locate
from mdlib.creation.items import Background, Cutout
from mdlib.creation.placing.hard_sets import prepare
from mdlib.creation.sources import stored
from mdlib.creation.sources.pictures import folder_backgrounds, folder_cutouts, prop_cutout, room_background
from mdlib.creation.workers import executor_of, give_back_memory, run_all
from mdlib.creation.writing import card, manifest, shard
from mdlib.creation.writing.manifest import readable
from mdlib.files import remove_stale, write_json
from mdlib.loading.format import DATASET_FILE, shard_name
from mdlib.loading.splits import group_duplicates

_DISK_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_GRAY = 128


def create(config: CreateConfig, progress: bool = True, executor: Executor | None = None) -> Path:
    """Make the data set that `config` describes, or finish it; returns its folder.

    The bytes depend on the recipe alone, not on the number of workers or on interruptions. Works on any
    `executor` whose workers see the folder; without one, on the Dask cluster `config.dask`, or on
    `config.workers` processes; several of them import the script that calls this, which must do so under
    `if __name__ == "__main__":`. Raises ValueError or FileNotFoundError for bad input, ValueError where the
    folder holds another recipe, OSError when the disk is full, RuntimeError when a worker died; what is
    finished is always kept.
    """
    config.check()
    out = Path(config.out)
    with _stops_explained(out):
        recipe.begin(out, make_recipe(config))
        remove_stale(out)
        try:
            if manifest.is_complete(out, config.recipe_only):
                pass
            elif executor is not None:
                _make(config, out, executor, 1 << 30, progress)
            elif config.dask is not None:
                with cluster_executor(config.dask, out, recipe.comment(out)) as own:
                    _make(config, out, own, 1 << 30, progress)
            else:
                with executor_of(config.workers) as own:
                    _make(config, out, own, 2 * config.workers, progress)
        finally:
            remove_stale(out)
        card.write_if_missing(out)  # when the workers are gone, with their memory
    return out


def _make(config: CreateConfig, out: Path, executor: Executor, at_once: int, progress: bool) -> None:
    comment = recipe.comment(out)
    teacher = str(locate(config.teacher).folder) if config.depth_from == "teacher" else None
    if not (out / stored.NAME).exists():
        _keep_sources(config, out, teacher, executor, at_once, progress)
        give_back_memory()
    sources = stored.KeptSources(out)
    if sources.comment != comment:
        raise ValueError(
            f"{out / stored.NAME} belongs to another recipe: delete {out} or give another folder"
        )
    count, folder = len(sources.backgrounds), str(out.absolute())
    names = [shard_name(i, config.recipe_only) for i in range(count)]
    missing = {name for name in names if not (out / name).exists()}
    if missing and not config.recipe_only:  # tables are small
        (size,) = run_all(executor, [(shard.bytes_per_shard, folder, teacher)], 1)
        check_space(out, size * len(missing))
    per_shard = len(sources.cutouts) * config.placements * (2 if config.flip else 1)
    tasks = ((shard.make_shard, folder, i, config.recipe_only, teacher) for i in range(count))
    facts = []
    total, done = count * per_shard, (count - len(missing)) * per_shard
    with tqdm(total=total, initial=done, unit=" samples", desc="create", disable=not progress) as bar:
        for fact in run_all(executor, tasks, at_once):
            facts.append(fact)
            bar.update(fact["samples"] if fact["name"] in missing else 0)
    write_json(out / DATASET_FILE, manifest.describe(config, sources, facts, out))
    (out / card.NAME).unlink(missing_ok=True)  # of the recipe alone, where that was made first


def _keep_sources(
    config: CreateConfig, out: Path, teacher: str | None, executor: Executor, at_once: int, progress: bool
) -> None:
    """Read or draw backgrounds and cut-outs, and write them to `sources.zip`."""
    backgrounds, cutouts = _sources(config, executor, at_once, progress)
    facts = None
    if teacher is not None:
        asked = recipe.read(out)["teacher"]
        run = partial(_run, executor, at_once, progress)
        backgrounds, cutouts, facts = estimate(config, asked, teacher, backgrounds, cutouts, run)
    # Drawn rooms are all different, and thousands of pictures take half an hour to compare.
    bg_groups = list(range(config.rooms)) or group_duplicates([b.rgb for b in backgrounds])
    groups = bg_groups, group_duplicates([_on_gray(cutout) for cutout in cutouts])
    cutouts = prepare(config.preset, cutouts, backgrounds)
    stored.write(out, recipe.comment(out), backgrounds, cutouts, groups, facts)


def _sources(
    config: CreateConfig, executor: Executor, at_once: int, progress: bool
) -> tuple[list[Background], list[Cutout]]:
    size, fov = config.height_width, config.fov
    backgrounds = [] if config.bg is None else folder_backgrounds(config.bg, size, config.upscale, fov)
    if config.bg_depth is not None:
        backgrounds = add_depth(backgrounds, config.bg, config.bg_depth, config.seed)
    cutouts = [] if config.fg is None else folder_cutouts(config.fg, config.fg_mask, longest_px=2 * max(size))
    tasks = [(room_background, i, size, config.seed) for i in range(config.rooms)]
    tasks += [(prop_cutout, i, config.seed) for i in range(config.props)]
    drawn = _run(executor, at_once, progress, "sources", tasks)
    drawn.sort(key=lambda source: (len(source.name), source.name))  # they come as they are done
    backgrounds += [source for source in drawn if isinstance(source, Background)]
    cutouts += [source for source in drawn if isinstance(source, Cutout)]
    return backgrounds, cutouts


def _run(executor: Executor, at_once: int, progress: bool, what: str, tasks: Iterable[tuple]) -> list:
    """The results of all tasks, in the order in which they are done, with a bar that tells `what` is done."""
    tasks, results = list(tasks), []
    with tqdm(total=len(tasks), desc=what, disable=not progress or not tasks) as bar:
        for result in run_all(executor, tasks, at_once):
            results.append(result)
            bar.update()
    return results


def _on_gray(cutout: Cutout) -> np.ndarray:
    """The cut-out as a picture, so that cut-outs can be compared like pictures."""
    alpha = cutout.rgba[..., 3:].astype(np.float32) / 255.0
    return np.rint(cutout.rgba[..., :3] * alpha + _GRAY * (1.0 - alpha)).astype(np.uint8)


def check_space(folder: Path, needed: int) -> None:
    """Raise OSError where fewer than `needed` bytes are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: the data set needs about {readable(needed)} more, but only {readable(free)} are free "
            f"on that disk. Make room, give another folder, or ask for fewer --placements, a smaller --size."
        )


@contextmanager
def _stops_explained(folder: Path) -> Iterator[None]:
    """Turn a full disk and an interrupt into sentences that say what is left to do."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped; {manifest.progress(folder)}. Run the same command again to go on."
        ) from None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS):
            raise PermissionError(f"{folder}: cannot be written to ({error}); give another folder") from error
        if error.errno not in _DISK_FULL:
            raise
        what = "the disk is full" if error.errno != errno.EFBIG else "a file reached the size allowed here"
        raise OSError(
            f"{folder}: {what}, with {readable(shutil.disk_usage(folder).free)} free; "
            f"{manifest.progress(folder)}, and nothing is half-written. "
            f"Make room there, then run the same command again to go on."
        ) from error
