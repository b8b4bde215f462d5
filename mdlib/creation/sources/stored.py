"""The sources of a data set, kept beside its shards in `sources.zip`.

Every worker, on every machine that shares the folder, reads its backgrounds and cut-outs from there: they are
decoded or drawn once, and stay at hand for composing further samples. Lossless; depth in whole millimetres.
"""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from mdlib.creation.items import Background, Cutout
from mdlib.files import sha256_of
from mdlib.loading import codec
from mdlib.loading.archive import Archive
from mdlib.loading.zip_writer import ShardWriter

NAME = "sources.zip"
_RELIEF_ZERO = 32768  # stored value of a relief of 0 mm; 0 stands for "outside"


def write(
    folder: Path,
    comment: bytes,
    backgrounds: list[Background],
    cutouts: list[Cutout],
    groups: tuple[list[int], list[int]],
    teacher: dict | None = None,
) -> None:
    """Write `sources.zip`; `groups` are the near-duplicate groups of backgrounds and of cut-outs, `teacher`
    what there is to tell of it."""
    table: dict = {"teacher": teacher, "backgrounds": [], "cutouts": []}
    with ShardWriter(folder / NAME, comment) as archive:
        for i, (background, group) in enumerate(zip(backgrounds, groups[0], strict=True)):
            entry = {"name": background.name, "group": group, "focal_px": background.focal_px}
            table["backgrounds"].append(entry | {"teacher_scale": background.teacher_scale})
            archive.add(f"bg/{i}.png", codec.encode_png(background.rgb, level=6))
            if background.z is not None:
                archive.add(f"z/{i}.png", codec.encode_png(codec.z_to_mm(background.z), level=6))
            if background.floor is not None:
                floor = background.floor.astype(np.uint8) * 255
                archive.add(f"floor/{i}.png", codec.encode_png(floor, level=6))
        for i, (cutout, group) in enumerate(zip(cutouts, groups[1], strict=True)):
            table["cutouts"].append({"name": cutout.name, "group": group, "height_m": cutout.height_m})
            archive.add(f"fg/{i}.png", codec.encode_png(cutout.rgba, level=6))
            if cutout.relief is not None:
                archive.add(f"relief/{i}.png", codec.encode_png(_relief_to_stored(cutout.relief), level=6))
        archive.add("sources.json", json.dumps(table, indent=1).encode())


def described(folder: Path) -> dict:
    """Name, length and checksum of `sources.zip`, for `dataset.json`."""
    path = folder / NAME
    return {"name": NAME, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


class StoredSources:
    """What `write` wrote, read piece by piece."""

    def __init__(self, folder: Path):
        self._archive = Archive(folder / NAME)
        self._members = set(self._archive.names())
        table = json.loads(self._read("sources.json"))
        self.backgrounds: list[dict] = table["backgrounds"]
        self.cutouts: list[dict] = table["cutouts"]
        self.teacher: dict | None = table["teacher"]

    @property
    def comment(self) -> bytes:
        """The comment of the archive, which names the recipe."""
        return self._archive.comment()

    def background(self, i: int) -> Background:
        """Background number `i`."""
        z, floor = self._optional(f"z/{i}.png"), self._optional(f"floor/{i}.png")
        entry = self.backgrounds[i]
        return Background(
            entry["name"],
            codec.decode(self._read(f"bg/{i}.png")),
            None if z is None else np.where(z > 0, z / np.float32(1000), np.float32(np.nan)),
            None if floor is None else floor > 0,
            entry["focal_px"],
            entry["teacher_scale"],
        )

    def cutout(self, i: int) -> Cutout:
        """Cut-out number `i`."""
        with Image.open(io.BytesIO(self._read(f"fg/{i}.png"))) as img:
            rgba = np.array(img)
        relief = self._optional(f"relief/{i}.png")
        if relief is not None:
            metres = (relief.astype(np.float32) - _RELIEF_ZERO) / np.float32(1000)
            relief = np.where(relief > 0, metres, np.float32(np.nan))
        return Cutout(self.cutouts[i]["name"], rgba, relief, self.cutouts[i]["height_m"])

    def _read(self, name: str) -> bytes:
        return self._archive.read(self._archive.find(name), verify=True)

    def _optional(self, name: str) -> np.ndarray | None:
        return codec.decode(self._read(name)) if name in self._members else None


def _relief_to_stored(relief: np.ndarray) -> np.ndarray:
    mm = np.clip(np.rint(np.nan_to_num(relief) * 1000.0) + _RELIEF_ZERO, 1, 65535)
    return np.where(np.isnan(relief), 0, mm).astype(np.uint16)
