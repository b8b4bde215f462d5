"""Live samples beside stored ones: how large they are on the disk, and how fast a loader delivers them.

    python -m benchmarks.speed.live
    python -m benchmarks.speed.live --bg BG_DIR --fg FG_DIR --size 160

One recipe is made three times: without pictures of its samples, and with them, depth `exact` and `fast`. A
background, a cut-out and a row of the table take the same room in a set of any size, so what a large recipe
takes follows from a small one. Loading: batches of 64, shuffled, 2 threads, all ways in turns.
"""

import statistics
import tempfile
import zipfile
from itertools import count
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import BATCH, Stream
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.live import open_stored_or_live
from mdlib.loading.loader import make_loader

THREADS = 2
LARGE = {"backgrounds": 100, "cutouts": 100, "rows": 100 * 100 * 2 * 20}
PARTS = {
    "bg": "backgrounds",
    "z": "backgrounds",
    "floor": "backgrounds",
    "fg": "cutouts",
    "relief": "cutouts",
}


def open_loader(data: Path) -> Stream:
    """Batches of the data set, epoch after epoch."""
    loader = make_loader(open_stored_or_live(data), BATCH, shuffle=True, threads=THREADS)
    for epoch in count():
        loader.set_epoch(epoch)
        for batch in loader:
            yield len(batch["index"])


def bytes_each(recipe_only: Path) -> dict[str, float]:
    """Mean bytes of a background, a cut-out and a row of the table, each with all that is kept of it."""
    dataset = open_stored_or_live(recipe_only)
    totals = dict.fromkeys(LARGE, 0)
    with zipfile.ZipFile(recipe_only / "sources.zip") as sources:
        for member in sources.infolist():
            if (kind := member.filename.split("/")[0]) in PARTS:
                totals[PARTS[kind]] += member.compress_size
    totals["rows"] = sum(path.stat().st_size for path in recipe_only.glob("placements-*.zip"))
    counts = dataset.info["counts"] | {"rows": len(dataset)}
    return {name: total / counts[name] for name, total in totals.items()}


def main() -> None:
    """Make, measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--bg", type=Path, help="folder of backgrounds; without one, rooms are drawn")
    parser.add_argument("--fg", type=Path, help="folder of cut-outs; without one, props are drawn")
    parser.add_argument("--count", type=int, default=20, help="rooms to draw, and props")
    parser.add_argument("--placements", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    recipe = {
        "bg": options.bg, "rooms": 0 if options.bg else options.count,
        "fg": options.fg, "props": 0 if options.fg else options.count,
        "placements": options.placements, "size": options.size,
    }  # fmt: skip
    ways = {"live": {"recipe_only": True}, "exact": {"encoding": "exact"}, "fast": {"encoding": "fast"}}
    with tempfile.TemporaryDirectory() as temporary:
        root = options.data or Path(temporary)
        folders = {name: create(CreateConfig(out=root / name, **recipe, **way)) for name, way in ways.items()}
        each = bytes_each(folders["live"])
        contestants = harness.compete(
            {name: (open_loader, folder) for name, folder in folders.items()}, options.rounds, 40 * BATCH
        )
        mb = {name: sum(p.stat().st_size for p in f.iterdir()) / 1e6 for name, f in folders.items()}
    rates = {way.name: way.rates for way in contestants}
    head = ["way", "samples/s", "of stored, exact", "memory (MB)", "on the disk (MB)"]
    rows = [
        [way.name, f"{statistics.median(way.rates):,.0f}", f"{harness.ratio(way.rates, rates['exact']):.2f}",
         f"{way.memory_mb:,.0f}", f"{mb[way.name]:,.1f}"]
        for way in contestants
    ]  # fmt: skip
    large = {name: each[name] * LARGE[name] / 1e6 for name in LARGE}
    parts = ", ".join(f"{LARGE[name]:,} {name} {size:.1f} MB" for name, size in large.items())
    report = (
        f"{options.size} px, {THREADS} threads; {harness.machine()}\n\n{harness.table(head, rows)}\n\n"
        f"A recipe alone would take {sum(large.values()):.1f} MB: {parts}."
    )
    print(report)
    numbers = {"machine": harness.machine(), "rates": rates, "mb": mb, "bytes_each": each, "large_mb": large}
    harness.write_results(options.json, numbers, report)


if __name__ == "__main__":
    main()
