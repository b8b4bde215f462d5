"""How fast creation writes samples, beside the plain way and the limit that encoding sets.

    python benchmarks/create.py --bg BG_DIR --fg FG_DIR
    python benchmarks/create.py            # drawn rooms and props, with depth

Three measurements in one run, because the speed of shared machines drifts:
  create   the whole command: start of the workers, sources, near-duplicates, shards, checksums
  encode   only the encoding of composed samples in memory, on as many processes: the limit
  plain    one process; per sample both files are opened with PIL, pasted, and saved through zipfile
"""

import io
import os
import random
import tempfile
import time
import zipfile
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mdlib.creation.create import CreateConfig, create
from mdlib.creation.kept import KeptSources
from mdlib.creation.shards import Workshop
from mdlib.creation.workers import executor_of
from mdlib.loading import codec

SECONDS = 4.0


@dataclass
class Config:
    """Measures creation in samples per second."""

    bg: Path | None = None
    """Folder of backgrounds; without one, rooms are drawn."""
    fg: Path | None = None
    """Folder of cut-outs; without one, props are drawn."""
    backgrounds: int = 8
    """Use the first so many backgrounds."""
    props: int = 40
    """Draw so many objects where there is no folder of cut-outs."""
    placements: int = 6
    size: int = 160
    workers: int = 2
    encoding: str = "exact"


def main(config: Config) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        made = CreateConfig(
            out=out, bg=_first(config, Path(folder)), rooms=0 if config.bg else config.backgrounds,
            fg=config.fg, props=0 if config.fg else config.props, placements=config.placements,
            size=config.size, workers=config.workers, encoding=config.encoding,
        )  # fmt: skip
        start = time.perf_counter()
        create(made)
        seconds = time.perf_counter() - start
        written = list(out.glob("shard-*.zip"))
        samples = sum(_count(path) for path in written)
        size = sum(path.stat().st_size for path in written) / samples
        with executor_of(config.workers) as executor:
            limit = _encode_only(executor, config.workers, out)
        plain = _plain(out, Path(folder), config.size)
    ours = samples / seconds
    print(f"{config.size} px, {config.encoding}, {config.workers} workers, {os.cpu_count()} cores")
    each = f"{samples:,} samples in {seconds:.1f} s, {size / 1000:.1f} kB each"
    print(f"create   {ours:8.0f} samples/s   ({each})")
    print(f"encode   {limit:8.0f} samples/s   create reaches {ours / limit:.2f} of it")
    print(f"plain    {plain:8.0f} samples/s   create is {ours / plain:.1f} times as fast")


def _first(config: Config, folder: Path) -> Path | None:
    """A folder with the first backgrounds only."""
    if config.bg is None:
        return None
    (folder / "bg").mkdir()
    for path in sorted(config.bg.iterdir())[: config.backgrounds]:
        (folder / "bg" / path.name).symlink_to(path.resolve())
    return folder / "bg"


def _count(path: Path) -> int:
    with zipfile.ZipFile(path) as shard:
        return sum(name.startswith("mask/") for name in shard.namelist())


def _encode_only(executor: Executor, workers: int, folder: Path) -> float:
    """Samples encoded per second by all workers together."""
    [future.result() for future in [executor.submit(_encode, str(folder), 0.1) for _ in range(workers)]]
    return sum(
        future.result() for future in [executor.submit(_encode, str(folder), SECONDS) for _ in range(workers)]
    )


def _encode(folder: str, seconds: float) -> float:
    workshop = Workshop(Path(folder))
    members = [
        (name, codec.decode(data)) for name, data in _some_members(workshop) if name[:2] in ("fg", "ma", "de")
    ]
    quality = workshop.recipe["jpeg_quality"]
    rounds, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for name, img in members:
            codec.encode_png(img) if name.endswith("png") else codec.encode_jpeg(img, quality)
        rounds += 1
    return rounds * sum(name.startswith("mask") for name, _ in members) / (time.perf_counter() - start)


def _some_members(workshop: Workshop) -> list[tuple[str, bytes]]:
    from mdlib.creation.statistics import Statistics

    placements = workshop.placements(0)
    some = placements[np.unique(np.linspace(0, len(placements) - 1, 64).astype(int))]
    return list(workshop.samples(workshop.sources.background(0), some, Statistics()))


def _plain(data: Path, folder: Path, size: int) -> float:
    """The loop that one writes first: nothing cached, nothing shared; no depth."""
    sources = KeptSources(data)
    for i in range(len(sources.backgrounds)):
        Image.fromarray(sources.background(i).rgb).save(folder / f"bg{i}.jpg", quality=95)
    for i in range(len(sources.cutouts)):
        Image.fromarray(sources.cutout(i).rgba).save(folder / f"fg{i}.png")
    rng, done, start = random.Random(0), 0, time.perf_counter()
    with zipfile.ZipFile(folder / "plain.zip", "w") as archive:
        while time.perf_counter() - start < SECONDS:
            bg = Image.open(folder / f"bg{rng.randrange(len(sources.backgrounds))}.jpg").convert("RGB")
            fg = Image.open(folder / f"fg{rng.randrange(len(sources.cutouts))}.png")
            height = int(rng.uniform(0.25, 0.9) * size)
            fg = fg.resize((max(1, fg.width * height // fg.height), height), Image.Resampling.BILINEAR)
            place = rng.randrange(-fg.width // 2, size), rng.randrange(-fg.height // 2, size)
            bg = bg.resize((size, size))
            bg.paste(fg, place, fg)
            mask = Image.new("L", (size, size))
            mask.paste(fg.getchannel("A"), place)
            for name, img, options in (
                (f"fg_bg/{done:06d}.jpg", bg, {"format": "JPEG", "quality": 90}),
                (f"mask/{done:06d}.png", mask, {"format": "PNG"}),
            ):
                buffer = io.BytesIO()
                img.save(buffer, **options)
                archive.writestr(name, buffer.getvalue())
            done += 1
    return done / (time.perf_counter() - start)


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, description=__doc__))
