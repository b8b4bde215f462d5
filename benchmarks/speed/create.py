"""How fast creation writes samples, beside the plain way and the limit that encoding sets.

    python -m benchmarks.speed.create --bg BG_DIR --fg FG_DIR --fg-mask MASK_DIR
    python -m benchmarks.speed.create                     # drawn rooms and props, with depth
    python -m benchmarks.speed.create --full --data DIR   # 400,000 samples at 224 px, killed twice on the way

Three measurements in one run, because the speed of shared machines drifts:
  create   the whole command: start of the workers, sources, near-duplicates, shards, checksums, card; and
           the part of it after each worker has finished its first shard
  encode   only the encoding of composed samples in memory, on as many processes: the limit
  plain    one process; per sample the files are opened with PIL, pasted, and saved through zipfile; no depth
Memory, with --full, is the sum of the PSS of all processes of the command.
"""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.harness import machine, table, write_results
from mdlib.creation.composing.sample import backdrops_of, composed
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.sources.stored import StoredSources
from mdlib.creation.workers import executor_of
from mdlib.creation.writing.shard import Composer
from mdlib.files import sha256_of
from mdlib.loading import codec
from mdlib.loading.format import DATASET_FILE

SECONDS = 5.0
Files = list[Path]
LOOK_S = 1.0  # between two looks at the memory
FULL = {"backgrounds": 100, "props": 100, "placements": 20, "size": 224, "encoding": "fast"}


@dataclass
class Config:
    """Measures creation in samples per second."""

    bg: Path | None = None
    """Folder of backgrounds; without one, rooms are drawn."""
    fg: Path | None = None
    """Folder of cut-outs; without one, props are drawn."""
    fg_mask: Path | None = None
    """Folder of their masks."""
    backgrounds: int | None = None
    """Use the first so many backgrounds; by default 40 (100 with --full)."""
    props: int | None = None
    """Draw so many objects where there is no folder of cut-outs; by default 40 (100)."""
    placements: int | None = None
    """By default 6 (20)."""
    size: int | None = None
    """By default 160 (224)."""
    encoding: str | None = None
    """By default exact (fast)."""
    workers: int = 2
    full: bool = False
    """Instead, make a whole data set of rooms and props with the command of every day, and kill all of its
    processes on the way."""
    kills: int = 2
    """How often, with --full."""
    data: Path | None = None
    """Folder for the data set of --full, which is kept; by default one that is removed afterwards."""
    json: Path | None = None
    """Write all numbers here, the table beside it as .md."""

    def __post_init__(self):
        usual = {"backgrounds": 40, "props": 40, "placements": 6, "size": 160, "encoding": "exact"}
        for name, value in (FULL if self.full else usual).items():
            if getattr(self, name) is None:
                setattr(self, name, value)


def main(config: Config) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        if config.full:
            found, report = make_full(config, config.data or Path(folder) / "set"), full_report
        else:
            found, report = compare(config, Path(folder)), comparison_report
    found["machine"] = machine()
    print(report(found))
    write_results(config.json, found, report(found))


def compare(config: Config, folder: Path) -> dict:
    """Create, encode and plain, one after the other."""
    out = folder / "set"
    made = CreateConfig(
        out=out, bg=_first(config, folder), rooms=0 if config.bg else config.backgrounds,
        fg=config.fg, fg_mask=config.fg_mask, props=0 if config.fg else config.props,
        placements=config.placements, size=config.size, workers=config.workers, encoding=config.encoding,
    )  # fmt: skip
    start = time.time()
    create(made)
    seconds = time.time() - start
    shards = json.loads((out / DATASET_FILE).read_text())["shards"]
    samples = sum(shard["samples"] for shard in shards)
    size = sum(shard["bytes"] for shard in shards) / samples
    steady, begin = _steady(out, shards, config.workers)
    with executor_of(config.workers) as executor:
        limit = _encode_only(executor, config.workers, out)
    plain = _plain(config, out, folder)
    return {
        "samples": samples, "seconds": seconds, "start_up_s": begin - start, "bytes_per_sample": size,
        "steady": steady, "whole": samples / seconds, "encode": limit, "plain": plain, "size": config.size,
        "encoding": config.encoding, "workers": config.workers,
    }  # fmt: skip


def comparison_report(found: dict) -> str:
    """A table of the ways, and about the data set."""
    steady = found["steady"]
    rows = [
        ["create, once the workers are up", f"{steady:,.0f}", ""],
        ["create, with their start", f"{found['whole']:,.0f}", ""],
        ["encode", f"{found['encode']:,.0f}", f"{steady / found['encode']:.2f}"],
        ["plain", f"{found['plain']:,.0f}", f"{steady / found['plain']:.1f}"],
    ]
    about = f"{found['size']} px, {found['encoding']}, {found['workers']} workers; {found['machine']}"
    return (
        f"{about}\n\n{table(['way', 'samples/s', 'create is so many times as fast'], rows)}\n\n"
        f"{found['samples']:,} samples of {found['bytes_per_sample'] / 1000:.1f} kB in "
        f"{found['seconds']:.1f} s, of which the start took {found['start_up_s']:.1f} s."
    )


def _steady(out: Path, shards: list[dict], workers: int) -> tuple[float, float]:
    """Samples per second from the time when each worker has finished a shard, and that time."""
    done = sorted((os.stat(out / shard["name"]).st_mtime, shard["samples"]) for shard in shards)
    begin, end = done[workers - 1][0], done[-1][0]
    return sum(samples for _, samples in done[workers:]) / (end - begin), begin


def _first(config: Config, folder: Path) -> Path | None:
    """A folder with the first backgrounds only."""
    if config.bg is None:
        return None
    (folder / "bg").mkdir()
    for path in sorted(config.bg.iterdir())[: config.backgrounds]:
        (folder / "bg" / path.name).symlink_to(path.resolve())
    return folder / "bg"


def _encode_only(executor: Executor, workers: int, folder: Path) -> float:
    """Samples encoded per second by all workers together."""
    [future.result() for future in [executor.submit(_encode, str(folder), 0.1) for _ in range(workers)]]
    return sum(
        future.result() for future in [executor.submit(_encode, str(folder), SECONDS) for _ in range(workers)]
    )


def _encode(folder: str, seconds: float) -> float:
    composer = Composer(Path(folder))
    placements = composer.placements(0)
    some = placements[np.unique(np.linspace(0, len(placements) - 1, 64).astype(int))]
    scene = backdrops_of(composer.sources.background(0), composer.recipe)
    batch, _ = composed(composer.recipe, composer.sprites, scene.expand(len(some)), some)
    imgs = {"fg_bg": batch["fg_bg"].permute(0, 2, 3, 1).numpy(), "mask": batch["mask"][:, 0].numpy()}
    if "depth" in batch:
        imgs["depth"] = batch["depth"][:, 0].numpy()
    png = {"mask", "depth"} if composer.recipe["encoding"] == "exact" else {"mask"}
    quality = composer.recipe["jpeg_quality"]
    rounds, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for k in range(len(some)):
            for kind, pictures in imgs.items():
                codec.encode_png(pictures[k]) if kind in png else codec.encode_jpeg(pictures[k], quality)
        rounds += 1
    return rounds * len(some) / (time.perf_counter() - start)


def _plain(config: Config, data: Path, folder: Path) -> float:
    """The loop that one writes first: nothing cached, nothing shared."""
    backgrounds, cutouts, masks = _plain_files(config, data, folder)
    rng, done, start, size = random.Random(0), 0, time.perf_counter(), config.size
    with zipfile.ZipFile(folder / "plain.zip", "w") as archive:
        while time.perf_counter() - start < SECONDS:
            bg = Image.open(rng.choice(backgrounds)).convert("RGB")
            number = rng.randrange(len(cutouts))
            fg = Image.open(cutouts[number])
            if masks is not None:
                fg = fg.convert("RGB")
                fg.putalpha(Image.open(masks[number]).convert("L").resize(fg.size))
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


def _plain_files(config: Config, data: Path, folder: Path) -> tuple[Files, Files, Files | None]:
    """The files to open: those given, or what was drawn, saved as files."""
    sources = StoredSources(data)
    backgrounds = sorted((folder / "bg").iterdir()) if config.bg else []
    cutouts = sorted(config.fg.iterdir()) if config.fg else []
    for i in range(0 if backgrounds else len(sources.backgrounds)):
        backgrounds.append(folder / f"bg{i}.jpg")
        Image.fromarray(sources.background(i).rgb).save(backgrounds[-1], quality=95)
    for i in range(0 if cutouts else len(sources.cutouts)):
        cutouts.append(folder / f"fg{i}.png")
        Image.fromarray(sources.cutout(i).rgba).save(cutouts[-1])
    return backgrounds, cutouts, sorted(config.fg_mask.iterdir()) if config.fg_mask else None


def make_full(config: Config, out: Path) -> dict:
    """The whole data set of the command, all of whose processes are killed (SIGKILL) on the way."""
    words = [sys.executable, "-m", "mdlib", "create", str(out), f"--rooms={config.backgrounds}"]
    passed = "props", "placements", "size", "encoding", "workers"
    words += [f"--{name}={getattr(config, name)}" for name in passed]
    stops = [config.backgrounds * (k + 1) // (config.kills + 1) for k in range(config.kills)]
    start, peak = time.perf_counter(), 0.0
    for stop in [*stops, None]:
        process = subprocess.Popen(words, start_new_session=True)
        while process.poll() is None and (stop is None or _finished(out) < stop):
            peak = max(peak, _pss_mb(process.pid))
            time.sleep(LOOK_S)
        if stop is not None:
            if process.poll() is not None:
                sys.exit(f"the command ended with {process.returncode} before it was to be killed")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"killed after {time.perf_counter() - start:.0f} s, {_finished(out)} shards finished")
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"the command ended with {process.returncode}")
    shards = json.loads((out / DATASET_FILE).read_text())["shards"]
    _check_shards(out, shards)
    return {
        "samples": sum(shard["samples"] for shard in shards), "seconds": seconds, "kills": config.kills,
        "bytes": sum(path.stat().st_size for path in out.iterdir()), "peak_mb": peak,
        "size": config.size, "encoding": config.encoding, "workers": config.workers,
    }  # fmt: skip


def full_report(found: dict) -> str:
    """Time, size and memory."""
    samples, seconds, size = found["samples"], found["seconds"], found["bytes"]
    return (
        f"{found['size']} px, {found['encoding']}, {found['workers']} workers; {found['machine']}\n\n"
        f"{samples:,} samples, all processes killed {found['kills']} times: {seconds / 60:.1f} minutes "
        f"({samples / seconds:,.0f} samples/s), {size / 1e9:.2f} GB ({size / samples / 1000:.1f} kB each), "
        f"peak memory {found['peak_mb']:,.0f} MB; every shard is whole."
    )


def _finished(out: Path) -> int:
    return len(list(out.glob("shard-*.zip")))


def _pss_mb(pid: int) -> float:
    """PSS of the process and all its descendants."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:  # one of them has just ended
        pass
    return total / 1e6


def _check_shards(out: Path, shards: list[dict]) -> None:
    """Every shard has its checksum, and `zipfile` reads one of them to the end."""
    for shard in shards:
        if sha256_of(out / shard["name"]) != shard["sha256"]:
            sys.exit(f"{shard['name']} is damaged")
    with zipfile.ZipFile(out / shards[0]["name"]) as archive:
        assert archive.testzip() is None


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, description=__doc__))
