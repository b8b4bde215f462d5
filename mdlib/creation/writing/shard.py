"""One shard: all samples of one background, composed, encoded and summed up.

`make_shard` needs nothing but the folder and a number, so that any process on any machine that shares the
folder can run it, and always writes the same bytes.
"""

import json
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mdlib.creation import recipe
from mdlib.creation.composing.sample import Backdrops, backdrops_of, composed, stored_depth
from mdlib.creation.composing.sprite import Sprite, make_sprite
from mdlib.creation.depth import relative
from mdlib.creation.depth.teacher import load
from mdlib.creation.items import Background, Cutout, Placements
from mdlib.creation.placing.candidates import TALLEST_M, Rules
from mdlib.creation.placing.hard_sets import Fits, rules_of
from mdlib.creation.placing.outline import Ground, Outline
from mdlib.creation.placing.placements import place_all, with_others
from mdlib.creation.sources import stored
from mdlib.creation.workers import give_back_memory, stop_if_asked
from mdlib.creation.writing.statistics import Statistics
from mdlib.files import sha256_of
from mdlib.loading import codec
from mdlib.loading.archive import Archive
from mdlib.loading.format import (
    DEPTH_SUFFIX,
    PLACEMENTS_FILE,
    STATISTICS_FILE,
    first_objects,
    id_digits,
    read_objects,
    shard_name,
)
from mdlib.loading.zip_writer import ShardWriter

_BATCH = 16  # samples composed at a time; what they take stays in the processor's cache
_MEASURED_EVERY = 16  # samples of which one is decoded again, for the stated error of `fast` depth
_MEMBER_OVERHEAD = 76 + 2 * 20  # bytes of the two headers of a ZIP member, and its name twice


def make_shard(folder: str, number: int, recipe_only: bool = False, teacher: str | None = None) -> dict:
    """Write the shard of background `number` unless it is there already, and tell what it is.

    With `recipe_only` the shard holds the table of placements, but no pictures. `teacher` is the folder of
    the teacher, for a recipe in which it looks at every picture. Returns name, samples, bytes, sha256 and
    statistics. Raises ValueError for a shard of that name that is damaged or of another recipe.
    """
    path = Path(folder) / shard_name(number, recipe_only)
    comment = recipe.comment(Path(folder))
    if not path.exists():
        stop_if_asked()
        composer = _composer(folder, comment, teacher)
        with ShardWriter(path, comment) as shard:
            for name, data in composer.members(number, recipe_only):
                shard.add(name, data, deflate=recipe_only)
    return facts_of(path, comment)


def bytes_per_shard(folder: str, teacher: str | None = None, samples: int = 48) -> int:
    """About how large a shard gets, from a few of its samples."""
    composer = _composer(folder, recipe.comment(Path(folder)), teacher)
    numbers = np.linspace(0, len(composer.sources.backgrounds) - 1, 3).astype(int)
    sizes = []
    for number in np.unique(numbers).tolist():
        placements = composer.placements(number)
        names = np.unique(placements.sample)
        some = names[np.unique(np.linspace(0, len(names) - 1, samples // len(numbers)).astype(int))]
        part = placements[np.isin(placements.sample, some)]
        encoded = list(composer.samples(composer.sources.background(number), part, Statistics()))
        sizes.append(sum(len(data) + _MEMBER_OVERHEAD for _, data in encoded) / len(some) * len(names))
    return int(np.mean(sizes)) + 200_000


@lru_cache(maxsize=1)
def _composer(folder: str, comment: bytes, teacher: str | None) -> "Composer":
    """The composer of this process; another recipe (another comment) gets another one."""
    composer = Composer(Path(folder), teacher)
    give_back_memory()
    return composer


class Composer:
    """The sources of a data set in memory, ready to compose any of its samples."""

    def __init__(self, folder: Path, teacher: str | None = None):
        self.recipe = recipe.read(folder)
        self.teacher_folder = teacher
        self.sources = stored.StoredSources(folder)
        self.asks_of_composites = (self.sources.teacher or {}).get("on") == "composite"
        cutouts = [self.sources.cutout(i) for i in range(len(self.sources.cutouts))]
        self.outlines = [Outline(cutout) for cutout in cutouts]
        rules = Rules(scale=tuple(self.recipe["scale"]), min_inside=self.recipe["min_inside"])
        self.rules = rules_of(self.recipe["preset"], rules, tuple(self.recipe["size"]))
        self.sprites: list[Sprite] = [make_sprite(c.rgba, c.relief, self._tallest_px(c)) for c in cutouts]
        self.flips = [False, True] if self.recipe["flip"] else [False]
        per_pair = len(self.flips) * self.recipe["placements"]
        self.digits = id_digits(len(self.sources.backgrounds), len(cutouts), per_pair)

    def _tallest_px(self, cutout: Cutout) -> int | None:
        """The greatest height that the cut-out gets in a picture; None where there is no telling."""
        if self.recipe["preset"] != "standard":
            return None
        free = math.ceil(self.rules.scale[1] * self.recipe["size"][0])
        focals = [entry["focal_px"] for entry in self.sources.backgrounds if entry["focal_px"] is not None]
        nearest_px = max(focals, default=0.0) * (cutout.height_m or TALLEST_M) / self.rules.z_m[0]
        return max(free if len(focals) < len(self.sources.backgrounds) else 0, math.ceil(nearest_px))

    def placements(self, number: int) -> Placements:
        """All placements on background `number`."""
        background, made = self.sources.background(number), self.recipe
        suits = None
        if made["preset"] != "standard":
            suits = Fits(made["preset"], background, self.sprites, self.outlines, made["feather_px"])
        ground, count = Ground(background), made["placements"]
        main = place_all(made["seed"], number, ground, self.outlines, self.flips, count, self.rules, suits)
        return with_others(main, made["objects"], ground, self.outlines, self.flips, self.rules)

    def members(self, number: int, recipe_only: bool = False) -> Iterator[tuple[str, bytes]]:
        """Names and bytes of all members of the shard of background `number`, in order."""
        background = self.sources.background(number)
        placements = self.placements(number)
        statistics = Statistics()
        statistics.add_picture("bg", background.rgb)
        if recipe_only:
            backdrops_of(background, self.recipe)  # refuses what cannot be composed
        else:
            name = f"bg/{number:0{self.digits[1]}d}.jpg"
            yield name, codec.encode_jpeg(background.rgb, self.recipe["jpeg_quality"])
            yield from self.samples(background, placements, statistics)
        yield PLACEMENTS_FILE, placements.to_csv(*self.digits)
        yield STATISTICS_FILE, json.dumps(statistics.state()).encode()

    def samples(
        self, background: Background, placements: Placements, statistics: Statistics
    ) -> Iterator[tuple[str, bytes]]:
        """Names and bytes of the members of the samples that `placements` describe, all on `background`."""
        quality, encoding = self.recipe["jpeg_quality"], self.recipe["encoding"]
        backdrops, boxes = backdrops_of(background, self.recipe), []
        # What changes only where the object is: counted there, and for the rest once.
        local = {"fg_bg": background.rgb, "mask": np.zeros(background.rgb.shape[:2], np.uint8)}
        if backdrops.depth is not None and not self.asks_of_composites:
            local["depth"] = backdrops.depth[0, 0].numpy()
        samples, firsts = np.unique(placements.sample, return_index=True)
        firsts = np.append(firsts, len(placements))
        for start in range(0, len(samples), _BATCH):
            stop_if_asked()
            numbers = samples[start : start + _BATCH]
            rows = slice(firsts[start], firsts[start + len(numbers)])
            batch, box = self.composed(backdrops.expand(len(numbers)), placements[rows])
            boxes.append(box.numpy())
            imgs = {"fg_bg": batch["fg_bg"].permute(0, 2, 3, 1).numpy(), "mask": batch["mask"][:, 0].numpy()}
            if "depth" in batch:
                imgs["depth"] = batch["depth"][:, 0].numpy()
            for kind in local:
                statistics.add_inside(kind, imgs[kind], boxes[-1])
            if self.asks_of_composites:
                imgs["depth"] = self._asked(imgs["fg_bg"], background)
                statistics.add_depth(imgs["depth"])
            statistics.add_masks(imgs["mask"])
            for k, sample in enumerate(numbers.tolist()):
                name = f"{sample:0{self.digits[0]}d}"
                yield f"fg_bg/{name}.jpg", codec.encode_jpeg(imgs["fg_bg"][k], quality)
                yield f"mask/{name}.png", codec.encode_png(imgs["mask"][k])
                if "depth" in imgs:
                    encode = codec.encode_png if encoding == "exact" else codec.encode_jpeg
                    data = encode(imgs["depth"][k])
                    if encoding == "fast" and (start + k) % _MEASURED_EVERY == 0:
                        statistics.add_depth_error(imgs["depth"][k], codec.decode(data))
                    yield f"depth/{name}{DEPTH_SUFFIX[encoding]}", data
        for kind, picture in local.items():
            statistics.add_outside(kind, picture, np.concatenate(boxes))

    def composed(
        self, backdrops: Backdrops, placements: Placements, sprites: Sequence[Sprite] | None = None
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Samples on the backgrounds of `backdrops`; as `sample.composed`; `sprites` may lie elsewhere."""
        if backdrops.relative:
            placements = relative.standing(placements, backdrops.z, self.outlines)
        return composed(self.recipe, sprites or self.sprites, backdrops, placements)

    def _asked(self, fg_bg: np.ndarray, background: Background) -> np.ndarray:
        """Depth as it gets encoded (B,H,W), from what the teacher says of finished pictures (B,H,W,3)."""
        facts, scale = self.sources.teacher, background.teacher_scale
        values = load(self.teacher_folder, facts["sha256"])(fg_bg)
        if scale is not None:
            values = relative.distance_of(relative.inverse(values, facts["output"]), scale)
        return stored_depth(torch.from_numpy(values), self.recipe["encoding"], scale is not None).numpy()


def facts_of(path: Path, comment: bytes) -> dict:
    """What a finished shard is: name, samples, bytes, sha256 and statistics.

    Raises ValueError where it is damaged or of another recipe, whose comment is not `comment`.
    """
    try:
        archive = Archive(path)
        ours = archive.comment() == comment
        table = json.loads(archive.read(archive.find(STATISTICS_FILE), verify=True)) if ours else None
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run the same command again") from None
    if not ours:
        raise ValueError(f"{path} belongs to another recipe: delete it, or give another folder")
    return {
        "name": path.name,
        "samples": len(first_objects(read_objects(archive, 0))["sample"]),
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
        "statistics": table,
    }
