"""A small data set written by hand, so that reading is tested without the code that creates."""

import hashlib
import json

import numpy as np
import pytest

from mdlib.loading import codec
from mdlib.loading.zip_writer import ShardWriter

HEAD = "sample,bg,fg,flip,x_px,y_px,scale,z_m,seed\n"


def write_dataset(folder, backgrounds=3, cutouts=4, copies=5, size=(24, 32), depth="metric", seed=0):
    """Write a data set of random smooth pictures; returns {sample id: dict of arrays} as encoded."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    height, width = size
    truth, shards = {}, []
    for b in range(backgrounds):
        name, rows = f"shard-{b:05d}.zip", [HEAD]
        with ShardWriter(folder / name, b"recipe") as writer:
            ramp = np.linspace(0, 80, width)[None, :, None] + np.linspace(0, 60, height)[:, None, None]
            bg = (ramp + generator.integers(0, 100, 3)).astype(np.uint8)
            bg_jpeg = codec.encode_jpeg(bg, 95)
            writer.add(f"bg/b{b:03d}.jpg", bg_jpeg)
            for f in range(cutouts):
                for k in range(copies):
                    sample = f"s{(b * cutouts + f) * copies + k:06d}"
                    mask = generator.integers(0, 256, size, dtype=np.uint8)
                    z_mm = generator.integers(0, 5000, size, dtype=np.uint16)
                    fg_jpeg = codec.encode_jpeg(bg // 2 + np.uint8((f * 20 + k) % 128), 95)
                    writer.add(f"fg_bg/{sample}.jpg", fg_jpeg)
                    writer.add(f"mask/{sample}.png", codec.encode_png(mask))
                    if depth == "metric":
                        writer.add(f"depth/{sample}.png", codec.encode_png(z_mm))
                    z_m = "2.5" if depth == "metric" else ""
                    rows.append(f"{sample},b{b:03d},f{f:03d},{k % 2},{-k},{k},0.5,{z_m},{k}\n")
                    truth[sample] = {
                        "bg": codec.decode(bg_jpeg),
                        "fg_bg": codec.decode(fg_jpeg),
                        "mask": mask,
                        "depth": z_mm,
                    }
            writer.add("placements.csv", "".join(rows).encode())
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        shards.append({"name": name, "samples": cutouts * copies, "bytes": len(data), "sha256": digest})
    metric = {"kind": "metric", "dtype": "uint16", "suffix": ".png", "near_m": 0.5}
    info = {
        "format": 1,
        "id": hashlib.sha256("".join(s["sha256"] for s in shards).encode()).hexdigest(),
        "size": list(size),
        "encoding": "exact",
        "depth": metric if depth == "metric" else {"kind": "none"},
        "backgrounds": [{"id": f"b{b:03d}", "name": f"room{b}", "group": b} for b in range(backgrounds)],
        "cutouts": [{"id": f"f{f:03d}", "name": f"thing{f}", "group": f} for f in range(cutouts)],
        "shards": shards,
    }
    (folder / "dataset.json").write_text(json.dumps(info))
    return truth


@pytest.fixture(scope="session")
def hand_made(tmp_path_factory):
    """(folder, truth by sample id) of 3 backgrounds x 4 cut-outs x 5 = 60 samples of 24 x 32 px."""
    folder = tmp_path_factory.mktemp("hand") / "data"
    return folder, write_dataset(folder)


@pytest.fixture(scope="session")
def make_dataset():
    return write_dataset
