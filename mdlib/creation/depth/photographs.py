"""Photographs with the depth that a teacher gives them: one run per background and per cut-out."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from PIL import Image

from mdlib.creation.config import CreateConfig
from mdlib.creation.depth import relative
from mdlib.creation.depth.floor import FLOOR, with_floor
from mdlib.creation.depth.teacher import BATCH, ask, locate, probe, settle
from mdlib.creation.items import Background, Cutout, to_whole_mm
from mdlib.creation.sources.pictures import child_seed, folder_pictures, read_each

_GRAY = 128
_CANVAS_PX, _OBJECT_PX = 384, 320  # a cut-out is shown on a gray square, with its longer side that long
_NEAREST_M = 0.05
_RELIEF_M = 0.3
_EDGE = 5  # the upper and the lower fifth of a picture are compared

Run = Callable[[str, Iterable[tuple]], Iterable]  # what is done, tasks -> their results in any order


def estimate(
    config: CreateConfig,
    teacher: dict,
    folder: str,
    backgrounds: list[Background],
    cutouts: list[Cutout],
    run: Run,
) -> tuple[list[Background], list[Cutout], dict]:
    """Backgrounds with z and floor, cut-outs with relief, and what there is to tell of the `teacher`.

    `teacher` is its part of the recipe, `folder` where it lies. Metres are used as they are, with the floor
    found in them; anything else becomes relative depth. Warns where the teacher seems inverted. With
    teacher_on "composite", cut-outs stay as they are: each finished picture is shown to the teacher instead.
    """
    at = (folder, teacher["sha256"])
    correlation = next(iter(run("teacher, trial", [(probe, *at)])))
    values, metric = _ask_all(run, "teacher, backgrounds", at, [b.rgb for b in backgrounds])
    output, doubt = settle(teacher["name"], metric, correlation)
    if metric:
        z = [to_whole_mm(np.maximum(v, _NEAREST_M)) for v in values]
        nearer = [1.0 / v for v in z]
        backgrounds = _standing(config, [replace(b, z=v) for b, v in zip(backgrounds, z, strict=True)])
    else:
        nearer = [relative.inverse(v, output) for v in values]
        backgrounds = [_scaled(b, v) for b, v in zip(backgrounds, nearer, strict=True)]
    floors = [_floor_over_ceiling(v) for v in nearer]
    for warning in (doubt, _top_down(teacher["name"], floors)):
        if warning:
            warnings.warn(warning, stacklevel=2)
    if config.teacher_on == "bg":
        shown = [_on_canvas(cutout) for cutout in cutouts]
        values, _ = _ask_all(run, "teacher, cut-outs", at, [canvas for canvas, _ in shown])
        parts = zip(cutouts, values, shown, strict=True)
        cutouts = [_with_relief(cutout, v, box, output) for cutout, v, (_, box) in parts]
    facts = {
        **teacher,
        "kind": "metric" if metric else "relative",
        "output": output,
        "rank_correlation": round(correlation, 3),
        "floor_nearer_than_ceiling": round(float(np.mean(np.array(floors) > 0)), 3),
    }
    return backgrounds, cutouts, facts


def guess(name: str, img: np.ndarray) -> np.ndarray:
    """The closeness (H,W) float32 that the teacher `name` sees in a picture (H,W,3 uint8), relative, scaled.

    Errors are those of `teacher.locate`.
    """
    source = locate(name)
    checksum = source.sha256()
    answer = ask(str(source.folder), checksum, [img])
    output, _ = settle(source.name, answer.metric, probe(str(source.folder), checksum))
    nearer = relative.inverse(answer.values[0], "distance" if output == "metres" else output)
    return 2.0 - relative.distance_of(nearer, relative.scale_of(nearer))


def _ask_all(run: Run, what: str, at: tuple, pictures: list[np.ndarray]) -> tuple[list[np.ndarray], bool]:
    starts = range(0, len(pictures), BATCH)
    answers = sorted(
        run(what, ((ask, *at, pictures[i : i + BATCH], i) for i in starts)), key=lambda a: a.first
    )
    return [value for answer in answers for value in answer.values], answers[0].metric


def _standing(config: CreateConfig, backgrounds: list[Background]) -> list[Background]:
    paths = folder_pictures(config.bg, "backgrounds")
    numbers = {path: i for i, path in enumerate(paths)}

    def stand(path):
        return with_floor(backgrounds[numbers[path]], child_seed(config.seed, FLOOR, numbers[path]))

    return read_each(paths, stand)


def _scaled(background: Background, nearer: np.ndarray) -> Background:
    """With relative depth. Nothing of it may hide an object, and no size follows from it."""
    scale = relative.scale_of(nearer)
    z = relative.distance_of(nearer, scale)
    return replace(background, z=z, floor=np.ones(z.shape, bool), focal_px=None, teacher_scale=scale)


def _floor_over_ceiling(nearer: np.ndarray) -> float:
    """How much nearer the lower end of a picture is than the upper one."""
    rows = max(1, len(nearer) // _EDGE)
    return float(np.median(nearer[-rows:]) - np.median(nearer[:rows]))


def _top_down(name: str, floors: list[float]) -> str | None:
    if np.median(floors) > 0:
        return None
    return (
        f"teacher {name}: in {sum(f <= 0 for f in floors)} of {len(floors)} backgrounds the top of the "
        f"picture comes out as near as its bottom, or nearer. Floors are mostly nearer than ceilings: the "
        f"teacher may be inverted or unfit for these pictures, so look at the depth before using it."
    )


def _on_canvas(cutout: Cutout) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The cut-out on neutral gray, all of one size, and its box (left, top, right, bottom) there."""
    height, width = cutout.rgba.shape[:2]
    scale = _OBJECT_PX / max(height, width)
    wide, tall = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (_CANVAS_PX - wide) // 2, (_CANVAS_PX - tall) // 2
    small = Image.fromarray(cutout.rgba).resize((wide, tall), Image.Resampling.HAMMING)
    canvas = Image.new("RGB", (_CANVAS_PX, _CANVAS_PX), (_GRAY,) * 3)
    canvas.paste(small, (left, top), small)
    return np.asarray(canvas), (left, top, left + wide, top + tall)


def _with_relief(cutout: Cutout, values: np.ndarray, box: tuple[int, int, int, int], output: str) -> Cutout:
    solid = cutout.rgba[..., 3] >= 128
    metric = output == "metres"
    values = values if metric else relative.inverse(values, output)
    size = solid.shape[::-1]
    own = np.asarray(
        Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR, box=box)
    )
    if metric:
        behind = np.clip(own - relative.at_foot(own, solid), -_RELIEF_M, _RELIEF_M)
        return replace(cutout, relief=np.where(solid, to_whole_mm(behind), np.float32(np.nan)))
    return replace(cutout, relief=relative.relief_of(values, own, solid))
