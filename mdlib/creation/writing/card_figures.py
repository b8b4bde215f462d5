"""The pictures of a data card, as bytes of files: samples, and distributions of areas, places and depth.

Drawn without pyplot, so no global state or backend is touched; without time or version in the files, so the
same data gives the same bytes. Nearer is brighter in depth pictures.
"""

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mdlib.colours import depth_colours
from mdlib.creation.writing.statistics import AREA_STEPS
from mdlib.loading import codec

if TYPE_CHECKING:
    from mdlib.loading.dataset import SceneDataset

COLUMNS = 12  # samples shown
_CELL, _GAP, _LEFT, _DPI = 128, 4, 62, 100  # px, px, px, px per inch
_INK, _GRAY, _BLUE, _MAP_COLOURS = "#222222", "#888888", "#4c78a8", "Blues"
_BARS = 40  # of the histogram of areas, at most
_REST = 0.995  # share of a histogram that is shown; a few stragglers would squeeze all others


def sample_sheet(data: "SceneDataset") -> bytes:
    """A dozen samples from all over the set as JPEG: rows bg, fg_bg, mask and, where there is one, depth."""
    count = min(COLUMNS, len(data))
    # One from each twelfth of the set, at an uneven place: even steps would meet the same cut-out again.
    uneven = np.random.Generator(np.random.PCG64(0)).random(count)
    chosen = ((np.arange(count) + uneven) * len(data) / count).astype(np.int64)
    batch = data.batch(chosen)
    bg = data.backgrounds[batch["bg_index"]]
    rows = {
        "bg": list(bg.permute(0, 2, 3, 1).numpy()),
        "fg_bg": list(batch["fg_bg"].permute(0, 2, 3, 1).numpy()),
        "mask": [mask[0].numpy() for mask in batch["mask"]],
    }
    if "depth" in batch:
        rows["depth"] = list(depth_colours(codec.depth_to_closeness(batch["depth"])[:, 0].numpy()))
    return _labelled(rows, data.size)


def distributions(coverage: dict, depth: tuple[np.ndarray, np.ndarray] | None, metric: bool) -> bytes:
    """Histogram of areas, map of places and histogram of depth side by side, as PNG."""
    from matplotlib.figure import Figure

    count = 2 if depth is None or not depth[0].any() else 3
    figure = Figure(figsize=(4.1 * count, 3.5), dpi=_DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12)  # inches
    axes = figure.subplots(1, count)
    _draw_areas(axes[0], coverage["areas"])
    _draw_places(figure, axes[1], coverage)
    if count == 3:
        _draw_depth(axes[2], *depth, metric)
    for ax in axes:
        ax.tick_params(colors=_INK, labelsize=9)
        for text, size in ((ax.title, 11), (ax.xaxis.label, 10), (ax.yaxis.label, 10)):
            text.set(fontsize=size, color=_INK)
        for spine in ax.spines.values():
            spine.set_color(_GRAY)
    return _saved(figure, "png", metadata={"Software": None})


def _draw_areas(ax, areas: np.ndarray) -> None:
    shown = int(np.searchsorted(np.cumsum(areas), _REST * areas.sum())) + 1
    step = -(-shown // _BARS)
    shown = -(-shown // step) * step
    padded = np.pad(areas, (0, max(0, shown - len(areas))))[:shown]
    share = padded.reshape(-1, step).sum(1) / areas.sum()
    edges = np.arange(0, shown + 1, step) / AREA_STEPS
    ax.stairs(100 * share, 100 * edges, fill=True, color=_BLUE)
    ax.set(title="Area of the objects", xlabel="share of the picture covered (%)", ylabel="samples (%)")
    ax.set(xlim=(0, 100 * edges[-1]), ylim=(0, None))
    _open(ax)


def _draw_places(figure, ax, coverage: dict) -> None:
    height, width = coverage["size"]
    cell, places = coverage["cell"], 100 * coverage["map"]
    extent = (0, places.shape[1] * cell, places.shape[0] * cell, 0)
    img = ax.imshow(places, cmap=_MAP_COLOURS, vmin=0, extent=extent, interpolation="nearest")
    ax.locator_params(nbins=6)
    ax.set(xlim=(0, width), ylim=(height, 0), title="Where objects are", xlabel="x (px)", ylabel="y (px)")
    bar = figure.colorbar(img, ax=ax, shrink=0.9, pad=0.02)
    bar.set_label("samples that cover a place (%)", color=_INK, fontsize=10)
    bar.ax.tick_params(labelsize=9, colors=_INK)
    bar.outline.set_edgecolor(_GRAY)


def _draw_depth(ax, counts: np.ndarray, edges: np.ndarray, metric: bool) -> None:
    total = counts.sum()
    # Per unit of depth, as steps of closeness are metres wide far away and centimetres near the camera.
    unit = 0.1 if metric else 0.01
    ax.stairs(100 * counts / total / np.diff(edges) * unit, edges, fill=True, color=_BLUE)
    last = edges[int(np.searchsorted(np.cumsum(counts), _REST * total)) + 1] if metric else 1.0
    what = "distance z (m)" if metric else "closeness (1 = nearest)"
    ax.set(
        title="Depth of the scenes", xlabel=what, ylabel=f"pixels (% per {unit:g}{' m' if metric else ''})"
    )
    ax.set(xlim=(0, last), ylim=(0, None))
    _open(ax)


def _open(ax) -> None:
    """Only the axes that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)


def _labelled(rows: dict[str, list[np.ndarray]], size: tuple[int, int]) -> bytes:
    """Rows of pictures with their names at the left, pixel by pixel, as JPEG."""
    from matplotlib.figure import Figure

    height, width = (max(1, round(_CELL * side / max(size))) for side in size)
    columns = max(map(len, rows.values()))
    wide, high = columns * (width + _GAP) - _GAP, len(rows) * (height + _GAP) - _GAP
    sheet = Image.new("RGB", (wide, high), "#c4c4c4")  # white masks end at the border, too
    for r, imgs in enumerate(rows.values()):
        for c, img in enumerate(imgs):
            small = Image.fromarray(img).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            sheet.paste(small, (c * (width + _GAP), r * (height + _GAP)))
    full = (wide + _LEFT + _GAP, high + 2 * _GAP)
    figure = Figure(figsize=(full[0] / _DPI, full[1] / _DPI), dpi=_DPI)
    figure.figimage(np.asarray(sheet), _LEFT, _GAP)
    for r, name in enumerate(rows):
        middle = full[1] - _GAP - r * (height + _GAP) - height / 2
        figure.text(
            (_LEFT - 8) / full[0], middle / full[1], name, ha="right", va="center", color=_INK, fontsize=10
        )
    return _saved(figure, "jpg", pil_kwargs={"quality": 88})


def _saved(figure, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=_DPI, **options)
    return buffer.getvalue()
