"""One shard: all samples of one background, composed, encoded and summed up.

`make_shard` needs nothing but the folder and a number, so that any process on any machine that shares the
folder can run it, and always writes the same bytes.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mdlib.creation import kept, recipe, relative
from mdlib.creation.compose import Sprite, compose, make_sprite
from mdlib.creation.placing import Ground, Outline, Placements, Rules, place_all
from mdlib.creation.sources import Background
from mdlib.creation.statistics import Statistics
from mdlib.creation.teacher import load
from mdlib.creation.workers import stop_if_asked
from mdlib.loading import codec
from mdlib.loading.archive import Archive
from mdlib.loading.shards import ShardWriter

_BATCH = 32
STATISTICS = "statistics.json"
SUFFIX = {"exact": ".png", "fast": ".jpg"}  # of depth
_MEMBER_OVERHEAD = 76 + 2 * 20  # bytes of the two headers of a ZIP member, and its name twice


def shard_name(number: int) -> str:
    """File name of the shard of background `number`."""
    return f"shard-{number:05d}.zip"


def make_shard(folder: str, number: int, teacher: str | None = None) -> dict:
    """Write the shard of background `number` unless it is there already, and tell what it is.

    `teacher` is the folder of the teacher, for a recipe in which it looks at every picture. Returns name,
    samples, bytes, sha256 and statistics. Raises ValueError for a shard of that name that is
    damaged or of another recipe.
    """
    path = Path(folder) / shard_name(number)
    comment = recipe.comment(Path(folder))
    if not path.exists():
        stop_if_asked()
        workshop = _workshop(folder, comment, teacher)
        with ShardWriter(path, comment) as shard:
            for name, data in workshop.members(number):
                shard.add(name, data)
    return _facts(path, comment)


def bytes_per_shard(folder: str, teacher: str | None = None, samples: int = 48) -> int:
    """About how large a shard gets, from a few of its samples."""
    workshop = _workshop(folder, recipe.comment(Path(folder)), teacher)
    numbers = np.linspace(0, len(workshop.sources.backgrounds) - 1, 3).astype(int)
    sizes = []
    for number in np.unique(numbers).tolist():
        placements = workshop.placements(number)
        rows = np.unique(np.linspace(0, len(placements) - 1, samples // len(numbers)).astype(int))
        encoded = list(workshop.samples(workshop.sources.background(number), placements[rows], Statistics()))
        sizes.append(sum(len(data) + _MEMBER_OVERHEAD for _, data in encoded) / len(rows) * len(placements))
    return int(np.mean(sizes)) + 200_000


@lru_cache(maxsize=1)
def _workshop(folder: str, comment: bytes, teacher: str | None) -> "Workshop":
    """The workshop of this process; another recipe (another comment) gets another one."""
    return Workshop(Path(folder), teacher)


class Workshop:
    """The sources of a data set in memory, ready to compose any of its samples."""

    def __init__(self, folder: Path, teacher: str | None = None):
        self.recipe = recipe.read(folder)
        self.teacher_folder = teacher
        self.sources = kept.KeptSources(folder)
        cutouts = [self.sources.cutout(i) for i in range(len(self.sources.cutouts))]
        self.outlines = [Outline(cutout) for cutout in cutouts]
        self.sprites: list[Sprite] = [make_sprite(cutout.rgba, cutout.relief) for cutout in cutouts]
        self.rules = Rules(scale=tuple(self.recipe["scale"]), min_inside=self.recipe["min_inside"])
        self.flips = [False, True] if self.recipe["flip"] else [False]
        per_pair = len(self.flips) * self.recipe["placements"]
        self.digits = id_digits(len(self.sources.backgrounds), len(cutouts), per_pair)

    def placements(self, number: int) -> Placements:
        """All placements on background `number`."""
        ground, count = Ground(self.sources.background(number)), self.recipe["placements"]
        return place_all(self.recipe["seed"], number, ground, self.outlines, self.flips, count, self.rules)

    def members(self, number: int) -> Iterator[tuple[str, bytes]]:
        """Names and bytes of all members of the shard of background `number`, in order."""
        background = self.sources.background(number)
        placements = self.placements(number)
        statistics = Statistics()
        statistics.add_picture("bg", background.rgb)
        name = f"bg/{number:0{self.digits[1]}d}.jpg"
        yield name, codec.encode_jpeg(background.rgb, self.recipe["jpeg_quality"])
        yield from self.samples(background, placements, statistics)
        yield "placements.csv", placements.to_csv(*self.digits)
        yield STATISTICS, json.dumps(statistics.state(), indent=1).encode()

    def samples(
        self, background: Background, placements: Placements, statistics: Statistics
    ) -> Iterator[tuple[str, bytes]]:
        """Names and bytes of the members of the samples that `placements` describe, all on `background`."""
        quality, encoding = self.recipe["jpeg_quality"], self.recipe["encoding"]
        bg = torch.from_numpy(background.rgb.copy()).permute(2, 0, 1)[None]
        z = None if background.z is None else torch.from_numpy(background.z.copy())[None, None]
        floor = None if background.floor is None else torch.from_numpy(background.floor.copy())[None, None]
        for start in range(0, len(placements), _BATCH):
            stop_if_asked()
            part = placements[slice(start, start + _BATCH)]
            if background.teacher_scale is not None:
                part = relative.standing(part, background.z, self.outlines)
            n = len(part)
            batch = compose(
                bg.expand(n, -1, -1, -1),
                self.sprites,
                part,
                None if z is None else z.expand(n, -1, -1, -1),
                None if floor is None else floor.expand(n, -1, -1, -1),
                self.recipe["feather_px"],
            )
            fg_bg = batch["fg_bg"].permute(0, 2, 3, 1).numpy()  # (B, H, W, 3)
            mask = batch["mask"][:, 0].numpy()
            depth = self.stored_depth(batch["z"][:, 0], fg_bg, background)
            if depth is not None:
                statistics.add_depth(depth)
            for k, sample in enumerate(part.sample.tolist()):
                name = f"{sample:0{self.digits[0]}d}"
                statistics.add_picture("fg_bg", fg_bg[k])
                statistics.add_picture("mask", mask[k])
                yield f"fg_bg/{name}.jpg", codec.encode_jpeg(fg_bg[k], quality)
                yield f"mask/{name}.png", codec.encode_png(mask[k])
                if depth is not None:
                    encode = codec.encode_png if encoding == "exact" else codec.encode_jpeg
                    data = encode(depth[k])
                    if encoding == "fast":
                        statistics.add_depth_error(depth[k], codec.decode(data))
                    yield f"depth/{name}{SUFFIX[encoding]}", data

    def stored_depth(self, z: torch.Tensor, fg_bg: np.ndarray, background: Background) -> np.ndarray | None:
        """Depth as it gets encoded, uint16 millimetres or uint8 closeness (B,H,W); None without depth.

        z (B,H,W) as `compose` gives it, fg_bg (B,H,W,3) uint8.
        """
        if self.recipe["depth"] == "none":
            return None
        facts, scale = self.sources.teacher, background.teacher_scale
        if facts is not None and facts["on"] == "composite":
            values = load(self.teacher_folder, facts["sha256"])(fg_bg)
            if scale is not None:
                values = relative.distance_of(relative.inverse(values, facts["output"]), scale)
            z = torch.from_numpy(values)
        exact = self.recipe["encoding"] == "exact"
        if scale is None and exact:
            return codec.z_to_mm(z.numpy())
        closeness = codec.z_to_closeness(z) if scale is None else relative.closeness_of(z)
        if closeness.isnan().any():
            raise ValueError(
                f"background {background.name} has pixels of unknown depth, which encoding 'fast' cannot "
                f"store: use --encoding exact"
            )
        return (closeness * 255.0).round().to(torch.uint8).numpy()


def id_digits(backgrounds: int, cutouts: int, per_pair: int) -> tuple[int, int, int]:
    """How many digits the ids of samples, backgrounds and cut-outs have."""
    counts = ((backgrounds * cutouts * per_pair, 6), (backgrounds, 4), (cutouts, 4))
    return tuple(max(least, len(str(count - 1))) for count, least in counts)


def _facts(path: Path, comment: bytes) -> dict:
    """What a finished shard is."""
    try:
        archive = Archive(path)
        found = archive.comment()
        table = json.loads(archive.read(archive.find(STATISTICS), verify=True)) if found == comment else None
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run the same command again") from None
    if table is None:
        raise ValueError(f"{path} belongs to another recipe: delete it, or give another folder")
    samples = sum(name.startswith("mask/") for name in archive.names())
    return {
        "name": path.name,
        "samples": samples,
        "bytes": path.stat().st_size,
        "sha256": recipe.file_sha256(path),
        "statistics": table,
    }
