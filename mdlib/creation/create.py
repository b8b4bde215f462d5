"""From backgrounds and cut-outs to a data set on the disk, by a recipe, through any interruption."""

from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np

from mdlib.creation import recipe
from mdlib.creation.config import CreateConfig, make_recipe
from mdlib.creation.depth import relative
from mdlib.creation.depth.floor import add_depth
from mdlib.creation.depth.photographs import estimate
from mdlib.creation.depth.teacher import locate
from mdlib.creation.items import Background, Cutout
from mdlib.creation.placing.hard_sets import prepare
from mdlib.creation.resumable import Crew, make_by_recipe
from mdlib.creation.sources import stored
from mdlib.creation.sources.pictures import folder_backgrounds, folder_cutouts, prop_cutout, room_background
from mdlib.creation.workers import give_back_memory, run_all
from mdlib.creation.writing import manifest, shard
from mdlib.files import need_space
from mdlib.loading.codec import NEAR_M
from mdlib.loading.format import DEPTH_SUFFIX, id_digits, shard_name
from mdlib.loading.splits import group_duplicates

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
    return make_by_recipe(
        out,
        make_recipe(config),
        partial(_make, config, out),
        workers=config.workers,
        executor=executor,
        dask=config.dask,
        recipe_only=config.recipe_only,
        progress=progress,
    )


def _make(config: CreateConfig, out: Path, crew: Crew) -> dict:
    """Write the sources and the shards; returns the content of `dataset.json`."""
    teacher = str(locate(config.teacher).folder) if config.depth_from == "teacher" else None
    if not (out / stored.NAME).exists():
        _keep_sources(config, out, teacher, crew)
        give_back_memory()
    sources = stored.StoredSources(out)
    if sources.comment != recipe.comment(out):
        raise ValueError(
            f"{out / stored.NAME} belongs to another recipe: delete {out} or give another folder"
        )
    count, folder = len(sources.backgrounds), str(out.absolute())
    names = [shard_name(i, config.recipe_only) for i in range(count)]
    missing = sum(not (out / name).exists() for name in names)
    if missing and not config.recipe_only:  # tables are small
        (size,) = run_all(crew.executor, [(shard.bytes_per_shard, folder, teacher)], 1)
        need_space(out, size * missing, "the data set", "ask for fewer --placements, a smaller --size")
    per_pair = config.placements * (2 if config.flip else 1)
    samples = [len(sources.cutouts) * per_pair] * count
    tasks = ((shard.make_shard, folder, i, config.recipe_only, teacher) for i in range(count))
    facts = crew.shards("create", out, names, samples, tasks)
    made = {
        "recipe_only": config.recipe_only,
        "size": list(config.height_width),
        "encoding": config.encoding,
        "depth": _depth(config, sources.teacher),
        "counts": {"placements": config.placements, "flips": 2 if config.flip else 1},
        "sources": stored.described(out),
    }
    digits = id_digits(count, len(sources.cutouts), per_pair)
    return manifest.describe(out, facts, sources.backgrounds, sources.cutouts, digits, made)


def _depth(config: CreateConfig, teacher: dict | None) -> dict:
    """Kind, unit and direction of the stored depth, and where it is from."""
    if config.depth_from == "none":
        return {"kind": "none"}
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
        depth["near_m"] = NEAR_M
    else:
        depth["percentiles"] = {f"{rank:g}": at for rank, at in zip(relative.RANK, relative.AT, strict=True)}
    if teacher is not None:
        depth["teacher"] = {key: value for key, value in teacher.items() if key != "kind"}
    return depth


def _keep_sources(config: CreateConfig, out: Path, teacher: str | None, crew: Crew) -> None:
    """Read or draw backgrounds and cut-outs, and write them to `sources.zip`."""
    backgrounds, cutouts = _sources(config, crew)
    facts = None
    if teacher is not None:
        asked = recipe.read(out)["teacher"]
        backgrounds, cutouts, facts = estimate(config, asked, teacher, backgrounds, cutouts, crew.all)
    # Drawn rooms are all different, and thousands of pictures take half an hour to compare.
    bg_groups = list(range(config.rooms)) or group_duplicates([b.rgb for b in backgrounds])
    groups = bg_groups, group_duplicates([_on_gray(cutout) for cutout in cutouts])
    cutouts = prepare(config.preset, cutouts, backgrounds)
    stored.write(out, recipe.comment(out), backgrounds, cutouts, groups, facts)


def _sources(config: CreateConfig, crew: Crew) -> tuple[list[Background], list[Cutout]]:
    size, fov = config.height_width, config.fov
    backgrounds = [] if config.bg is None else folder_backgrounds(config.bg, size, config.upscale, fov)
    if config.bg_depth is not None:
        backgrounds = add_depth(backgrounds, config.bg, config.bg_depth, config.seed, config.depth_unit)
    cutouts = (
        []
        if config.fg is None
        else folder_cutouts(config.fg, config.fg_mask, 2 * max(size), config.mask_class)
    )
    tasks = [(room_background, i, size, config.seed) for i in range(config.rooms)]
    tasks += [(prop_cutout, i, config.seed) for i in range(config.props)]
    drawn = crew.all("sources", tasks)
    drawn.sort(key=lambda source: (len(source.name), source.name))  # they come as they are done
    backgrounds += [source for source in drawn if isinstance(source, Background)]
    cutouts += [source for source in drawn if isinstance(source, Cutout)]
    return backgrounds, cutouts


def _on_gray(cutout: Cutout) -> np.ndarray:
    """The cut-out as a picture, so that cut-outs can be compared like pictures."""
    alpha = cutout.rgba[..., 3:].astype(np.float32) / 255.0
    return np.rint(cutout.rgba[..., :3] * alpha + _GRAY * (1.0 - alpha)).astype(np.uint8)
