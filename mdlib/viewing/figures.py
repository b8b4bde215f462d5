"""Pictures and tables for people: depth in colours, overlays, panels, grids.

Figures are made without pyplot, so no global state or backend is touched: save them with
`figure.savefig(path)`. They have a white ground and dark letters, which read well on any page.
Nearer is brighter in every depth picture.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from mdlib.colours import DEPTH_COLOURS, depth_colours, depth_norm, depth_range
from mdlib.loading.codec import NEAR_M

HEAT_COLOURS = "inferno"
HEAT_GAMMA = 0.7  # weak places stay visible
OUTLINE_RGB = (255, 140, 0)  # orange: seen on gray by everyone, colour-blind or not
CELL_INCHES = 2.3
INK = "#222222"
BLUE, ORANGE, GRAY = "#0060c0", "#e07000", "#b0b0b0"
COLOURS = (BLUE, ORANGE, "#008060", "#a02080", "#707070")  # of curves, told apart by everyone
ROUND_M = (0.5, 0.6, 0.8, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50)  # shown beside a colour bar
TICK_DISTANCE = 0.1  # of the bar's length


def overlay(fg_bg_img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The scene (H,W,3 uint8): what `mask` (H,W, 0 to 1) covers in colour, outlined, the rest pale gray."""
    _check_same_size(fg_bg_img, mask, "mask")
    mask = mask.astype(np.float64)
    gray = fg_bg_img.mean(axis=2, keepdims=True) * 0.45 + 255 * 0.5
    out = gray + (fg_bg_img - gray) * mask[..., None]
    out[_outline(mask >= 0.5)] = OUTLINE_RGB
    return _to_uint8(out)


def panel(
    bg_img: np.ndarray,
    fg_bg_img: np.ndarray,
    mask: np.ndarray,
    depth: np.ndarray | None,
    true_mask: np.ndarray | None = None,
    true_depth: np.ndarray | None = None,
    metric: bool = False,
) -> Figure:
    """The two pictures, what was found in them and, where it is known, the truth below.

    Pictures (H,W,3) uint8, masks (H,W) 0 to 1, depths (H,W) closeness or None. True and found depth share
    one scale of colours; metric: they are measured, so the scale tells metres. Raises ValueError where the
    sizes differ.
    """
    maps = {"mask": mask, "depth": depth, "true_mask": true_mask, "true_depth": true_depth}
    for name, array in {"fg_bg": fg_bg_img, **maps}.items():
        if array is not None:
            _check_same_size(bg_img, array, name)
    limits = depth_range(depth, true_depth)
    found = overlay(fg_bg_img, mask)
    rows = [[("background", bg_img), ("scene", fg_bg_img), ("found", found), ("mask", mask)]]
    if true_mask is not None:
        error = ("missed: blue, too much: orange", difference(mask, true_mask))
        rows.append([None, error, ("truth", overlay(fg_bg_img, true_mask)), ("true mask", true_mask)])
    with_depth = depth is not None or true_depth is not None
    if with_depth:
        rows[0].append(None if depth is None else ("depth", depth_colours(depth, limits)))
    if with_depth and true_mask is not None:
        rows[1].append(None if true_depth is None else ("true depth", depth_colours(true_depth, limits)))
    return pictures(rows, limits if with_depth else None, metric)


def attention(bg_img: np.ndarray, fg_bg_img: np.ndarray, cams: dict[str, np.ndarray]) -> Figure:
    """The two pictures, and on the scene where the features lie that made each output as it is.

    Pictures (H,W,3) uint8; cams: output -> Grad-CAM (H,W), 0 to 1, as `Predictor.grad_cam` gives it.
    """
    row = [("background", bg_img), ("scene", fg_bg_img)]
    row += [(f"looked at for {name}", heat(fg_bg_img, cam)) for name, cam in cams.items()]
    return pictures([row])


def heat(img: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """A gray version of the picture (H,W,3 uint8), coloured where `strength` (H,W, 0 to 1) is high."""
    _check_same_size(img, strength, "strength")
    gray = img.mean(axis=2, keepdims=True) * 0.6 + 255 * 0.2
    strength = strength.astype(np.float64)
    colour = colormaps[HEAT_COLOURS](0.4 + 0.6 * strength)[..., :3] * 255  # without the colours near black
    return _to_uint8(gray + (colour - gray) * strength[..., None] ** HEAT_GAMMA)


def sample_grid(samples: Sequence[dict[str, np.ndarray | None]], metric: bool = False) -> Figure:
    """One row per sample: background, scene, true mask, true depth (one scale of colours for all).

    A sample is a dict with `bg_img` and `fg_bg_img` (H,W,3 uint8), `mask` (H,W) and `depth` (H,W closeness
    or None), as `viewing.scenes.scene` gives it; metric as in `panel`. Raises ValueError for none at all.
    """
    if not samples:
        raise ValueError("sample_grid got no samples; give at least one")
    with_depth = any(sample["depth"] is not None for sample in samples)
    limits = depth_range(*(sample["depth"] for sample in samples))
    rows = []
    for i, sample in enumerate(samples):
        titles = ("background", "scene", "mask", "depth") if i == 0 else ("",) * 4
        row = [(titles[0], sample["bg_img"]), (titles[1], sample["fg_bg_img"]), (titles[2], sample["mask"])]
        if with_depth:
            depth = sample["depth"]
            row.append(None if depth is None else (titles[3], depth_colours(depth, limits)))
        rows.append(row)
    return pictures(rows, limits if with_depth else None, metric)


def pictures(
    rows: Sequence[Sequence[tuple[str, np.ndarray] | None]],
    limits: tuple[float, float] | None = None,
    metric: bool = False,
) -> Figure:
    """Rows of (title, picture) or None: pictures are (H,W,3 uint8) or gray (H,W, 0 to 1), None stays empty.

    `limits` of closeness add the colour bar of depth pictures (see `depth_range`), which tells metres where
    depth is `metric`, else "near" and "far". Raises ValueError for nothing at all.
    """
    shapes = [cell[1].shape for row in rows for cell in row if cell is not None]
    if not shapes:
        raise ValueError("pictures got nothing to show; give at least one (title, picture)")
    aspect = shapes[0][0] / shapes[0][1]
    columns = max(len(row) for row in rows)
    width = CELL_INCHES * columns + (0.9 if limits else 0)
    height = (CELL_INCHES * aspect + 0.3) * len(rows)
    figure = blank(width, height)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, row_axes in zip(rows, axes, strict=True):
        for cell, ax in zip([*row, *[None] * (columns - len(row))], row_axes, strict=True):
            _draw_cell(ax, cell)
    if limits:
        _colour_bar(figure, axes[:, -1], limits, metric)
    return figure


def blank(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height), dpi=110, facecolor="white", layout="constrained")


def label(ax: Axes, x: str, y: str) -> None:
    """Name the two axes, and leave out the lines above and on the right."""
    ax.set_xlabel(x, color=INK)
    ax.set_ylabel(y, color=INK)
    ax.spines[["top", "right"]].set_visible(False)


class Table(str):
    """A Markdown table that a notebook shows as a table."""

    def _repr_markdown_(self) -> str:
        return str(self)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Rows under a head; the first column to the left, numbers to the right, floats with three figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *([_cell(value) for value in row] for row in rows)]
    return Table("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _draw_cell(ax: Axes, cell: tuple[str, np.ndarray] | None) -> None:
    ax.set_axis_off()
    if cell is None:
        return
    title, img = cell
    ax.imshow(img, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=11 if len(title) < 20 else 9, color=INK)


def _colour_bar(figure: Figure, axes: np.ndarray, limits: tuple[float, float], metric: bool) -> None:
    scale = ScalarMappable(depth_norm(limits), DEPTH_COLOURS)
    bar = figure.colorbar(scale, ax=list(axes), fraction=0.06, pad=0.04, aspect=14)
    ticks = metre_ticks(limits) if metric else dict(zip(limits, ("far", "near"), strict=True))
    bar.set_ticks(list(ticks), labels=list(ticks.values()), fontsize=11, color=INK)
    bar.minorticks_off()
    bar.outline.set_visible(False)


def metre_ticks(limits: tuple[float, float]) -> dict[float, str]:
    """Closeness -> round distance such as "2 m", for a colour bar from `limits[0]` to `limits[1]`."""
    norm, ticks = depth_norm(limits), {}
    place = -1.0  # on the bar, 0 to 1
    for z_m in sorted(ROUND_M, reverse=True):
        closeness = NEAR_M / z_m
        if limits[0] <= closeness <= limits[1] and norm(closeness) - place >= TICK_DISTANCE:
            place = float(norm(closeness))
            ticks[closeness] = f"{z_m:g} m"
    return ticks


def difference(mask: np.ndarray, true_mask: np.ndarray) -> np.ndarray:
    """What is missing in blue, what is too much in orange, on white."""
    extra = np.clip(mask - true_mask, 0, 1)[..., None]
    missing = np.clip(true_mask - mask, 0, 1)[..., None]
    orange, blue = np.array(OUTLINE_RGB), np.array((0, 90, 200))
    return _to_uint8(255 - extra * (255 - orange) - missing * (255 - blue))


def _outline(inside: np.ndarray) -> np.ndarray:
    """Pixels just outside of `inside` (H,W bool), about 1/150 of the picture thick."""
    grown = inside
    for _ in range(max(1, round(max(inside.shape) / 150))):
        padded = np.pad(grown, 1)
        grown = (
            padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        )
    return grown & ~inside


def _check_same_size(img: np.ndarray, array: np.ndarray, name: str) -> None:
    if array.shape[:2] != img.shape[:2]:
        raise ValueError(f"{name} has the size {array.shape[:2]}, but the picture {img.shape[:2]}")


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
