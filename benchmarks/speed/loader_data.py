"""The data that the loader benchmarks read: composed pictures in three encodings of our own format.

Rooms and objects are ray-cast (mdlib.creation); each object is pasted over a room at a random place and size.
The same pictures are stored as `fast` (PNG mask, JPEG depth), `exact8` (8-bit PNG depth) and `exact16`
(16-bit PNG depth, metric).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mdlib.loading import codec
from mdlib.loading.dataset import SceneDataset, open_dataset
from mdlib.loading.zip_writer import ShardWriter
from mdlib.rooms.generate import Prop, Room, render_prop, render_room

SIZE = 224
ROOMS, PROPS = 20, 40
DEPTHS = {
    "fast": {"kind": "relative", "dtype": "uint8", "suffix": ".jpg", "near_m": codec.NEAR_M},
    "exact8": {"kind": "relative", "dtype": "uint8", "suffix": ".png", "near_m": codec.NEAR_M},
    "exact16": {"kind": "metric", "dtype": "uint16", "suffix": ".png", "near_m": codec.NEAR_M},
}
KINDS = ("fg_bg", "mask", "depth")


def suffixes(encoding: str) -> dict[str, str]:
    """File name ending of each kind of picture."""
    return {"fg_bg": ".jpg", "mask": ".png", "depth": DEPTHS[encoding]["suffix"]}


def build(root: Path, samples: int) -> None:
    """Write `root`/fast, exact8 and exact16 with `samples` samples each, unless they are there."""
    if (root / "exact16/dataset.json").exists():
        return
    for encoding in DEPTHS:
        shutil.rmtree(root / encoding, ignore_errors=True)
        (root / encoding).mkdir(parents=True)
    shares = [len(part) for part in np.array_split(np.arange(samples), ROOMS)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        props = list(pool.map(partial(render_prop, size_px=SIZE), range(PROPS)))
        list(pool.map(partial(_write_shards, root, props), range(ROOMS), shares))
    for encoding, depth in DEPTHS.items():
        _write_info(root / encoding, encoding, depth, shares)


def _write_shards(root: Path, props: list[Prop], number: int, samples: int) -> None:
    """The samples of one room, in all encodings."""
    rng = np.random.default_rng([number, samples])
    room = render_room(number, (SIZE, SIZE))
    rows = ["sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"]
    with ExitStack() as stack:
        shards = {
            encoding: stack.enter_context(ShardWriter(root / encoding / f"shard-{number:05d}.zip"))
            for encoding in DEPTHS
        }
        for shard in shards.values():
            shard.add(f"bg/b{number:03d}.jpg", codec.encode_jpeg(room.rgb))
        for k in range(samples):
            name, fg = f"s{number:03d}{k:06d}", int(rng.integers(len(props)))
            encoded = _encode(*_compose(room, props[fg], rng))
            for encoding, shard in shards.items():
                for kind, suffix in suffixes(encoding).items():
                    shard.add(f"{kind}/{name}{suffix}", encoded[kind if kind != "depth" else encoding])
            rows.append(f"{name},b{number:03d},f{fg:03d},0,0,0,0.5,,{k}")
        for shard in shards.values():
            shard.add("placements.csv", ("\n".join(rows) + "\n").encode())


def _compose(room: Room, prop: Prop, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture (H,W,3), mask (H,W) uint8, z (H,W) metres, with the object at a random place and size."""
    height = int(rng.uniform(0.25, 0.75) * SIZE)
    size = max(8, height * prop.rgba.shape[1] // prop.rgba.shape[0]), height
    cut = np.asarray(Image.fromarray(prop.rgba).resize(size, Image.Resampling.BOX))
    relief = np.asarray(Image.fromarray(np.nan_to_num(prop.relief)).resize(size, Image.Resampling.NEAREST))
    layer, behind = np.zeros((SIZE, SIZE, 4), np.uint8), np.zeros((SIZE, SIZE), np.float32)
    x, y = rng.integers(-size[0] // 4, SIZE - size[0] // 2), rng.integers(0, SIZE - height // 2)
    part = (slice(y, y + height), slice(max(x, 0), x + size[0]))
    inside = layer[part].shape
    layer[part] = cut[: inside[0], max(-x, 0) :][:, : inside[1]]
    behind[part] = relief[: inside[0], max(-x, 0) :][:, : inside[1]]
    alpha = layer[..., 3:].astype(np.float32) / 255
    picture = np.rint(room.rgb * (1 - alpha) + layer[..., :3] * alpha).astype(np.uint8)
    contact_z = np.nanmin(room.z[min(y + height, SIZE) - 1])
    z = np.where(layer[..., 3] > 127, contact_z + behind, room.z)
    return picture, np.ascontiguousarray(layer[..., 3]), z


def _encode(picture: np.ndarray, mask: np.ndarray, z: np.ndarray) -> dict[str, bytes]:
    closeness = codec.z_to_closeness(torch.from_numpy(z)).nan_to_num(0).mul(255).round().byte().numpy()
    return {
        "fg_bg": codec.encode_jpeg(picture),
        "mask": codec.encode_png(mask),
        "fast": codec.encode_jpeg(closeness),
        "exact8": codec.encode_png(closeness),
        "exact16": codec.encode_png(codec.z_to_mm(z)),
    }


def _write_info(folder: Path, encoding: str, depth: dict, shares: list[int]) -> None:
    shards = []
    for number, samples in enumerate(shares):
        path = folder / f"shard-{number:05d}.zip"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        shards.append({"name": path.name, "samples": samples, "bytes": size, "sha256": digest})
    info = {
        "format": 1,
        "id": hashlib.sha256("".join(s["sha256"] for s in shards).encode()).hexdigest(),
        "size": [SIZE, SIZE],
        "encoding": encoding,
        "depth": depth,
        "backgrounds": [{"id": f"b{i:03d}", "name": f"room {i}", "group": i} for i in range(ROOMS)],
        "cutouts": [{"id": f"f{i:03d}", "name": f"object {i}", "group": i} for i in range(PROPS)],
        "shards": shards,
    }
    (folder / "dataset.json").write_text(json.dumps(info))


def encoded_sample(dataset: SceneDataset, row: int) -> dict[str, bytes]:
    """The encoded pictures of sample number `row` in the table of a data set."""
    store = dataset._store
    return {kind: store.archive.read(int(members[row])) for kind, members in store.members.items()}


def encoded_samples(data: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Name and encoded pictures of every sample of the data set in the folder `data`."""
    dataset = open_dataset(data)
    return ((dataset.sample_name(row), encoded_sample(dataset, row)) for row in range(len(dataset)))


def describe(root: Path) -> str:
    """One line per encoding: mean bytes of each kind of picture."""
    lines = []
    for encoding in DEPTHS:
        dataset = open_dataset(root / encoding)
        samples = [encoded_sample(dataset, row) for row in range(0, len(dataset), 20)]
        sizes = {kind: np.mean([len(sample[kind]) for sample in samples]) / 1e3 for kind in KINDS}
        kinds = ", ".join(f"{kind} {size:.1f} kB" for kind, size in sizes.items())
        lines.append(f"{encoding}: {len(dataset):,} samples of {SIZE} x {SIZE} px, {kinds}")
    return "\n".join(lines)
