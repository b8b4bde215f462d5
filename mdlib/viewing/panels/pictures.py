"""The pictures of a panel, for a browser (HTML) and for a page without one (a figure)."""

import base64
import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from mdlib.colours import depth_colours
from mdlib.loading.codec import encode_jpeg, encode_png
from mdlib.viewing.figures import INK

SHOWN_PX = 480  # longer side of what is sent to the browser
CHECKER_PX = 12
COLUMNS = 5


class PanelPicture(NamedTuple):
    """A picture with its caption.

    name: a word by which a page finds it; img: (H,W,3) uint8 in colour, (H,W) float 0 to 1 in gray, or
    (H,W,4) uint8 with alpha; depth: it has the colours of depth, so that near and far are told below it;
    encoded: the kind and bytes of a file that browsers get instead, such as ("gif", ...); wide: it has more
    to read than others.
    """

    name: str
    caption: str
    img: np.ndarray
    depth: bool = False
    encoded: tuple[str, bytes] | None = None
    wide: bool = False


def to_html(pictures: Sequence[PanelPicture]) -> str:
    """The pictures side by side, as many as fit, each with its caption."""
    figures = []
    for picture in pictures:
        legend = _depth_legend() if picture.depth else ""
        wide = ' class="mdlib-wide"' if picture.wide else ""
        alt = html.escape(picture.caption, quote=True)
        figures.append(
            f"<figure{wide}><figcaption>{html.escape(picture.caption)}</figcaption>"
            f'<img class="mdlib-{picture.name}" alt="{alt}" src="{data_url(picture)}">{legend}</figure>'
        )
    # Two and four fill a narrow page in pairs, other numbers in threes; a wide page takes up to six in a row.
    wide = any(picture.wide for picture in pictures)
    least_px = 470 if wide else 225 if len(pictures) in (2, 4) else 176
    style = f"--least: {least_px}px; max-width: {(734 if wide else 354) * len(pictures)}px"
    return f'<div class="mdlib-gallery" style="{style}">{"".join(figures)}</div>'


def data_url(picture: PanelPicture) -> str:
    """The picture as the address that an <img> shows: masks lossless, photographs as JPEG."""
    if picture.encoded is not None:
        return _url(*picture.encoded)
    img = shrunk(picture.img)
    if img.ndim == 2:
        return _url("png", encode_png(np.rint(img * 255).astype(np.uint8)))
    return _url("jpeg", encode_jpeg(np.ascontiguousarray(_on_checker(img)), 92))


def file_link(name: str, kind: str, data: bytes) -> str:
    """A link that saves a file under `name`; kind: its type, such as image/png."""
    address = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return f'<a class="mdlib-download" download="{name}" href="{address}">{name}</a>'


def shrunk(img: np.ndarray) -> np.ndarray:
    """The picture as it is, or averaged over whole squares of pixels where it is larger than SHOWN_PX."""
    factor = -(-max(img.shape[:2]) // SHOWN_PX)
    if factor <= 1:
        return img
    if img.ndim == 3:
        return np.asarray(Image.fromarray(img).reduce(factor))
    h, w = (side // factor * factor for side in img.shape)
    return img[:h, :w].reshape(h // factor, factor, w // factor, factor).mean((1, 3))


def still(title: str, note: str, pictures: Sequence[PanelPicture]) -> Figure:
    """The pictures as a figure, with a title above and a note below it; wide ones one above another."""
    count, wide = max(1, len(pictures)), any(picture.wide for picture in pictures)
    columns = 1 if wide else 3 if count == 6 else min(COLUMNS, count)
    rows = -(-count // columns)
    shapes = [picture.img.shape[:2] for picture in pictures] or [(1, 2)]
    if wide:
        width, heights = 8.2, [8 * h / w for h, w in shapes]
        height = sum(heights) + 0.35 * rows + 0.8
    else:
        width, heights = max(7.5, 2.5 * columns), [1] * rows
        lines = note.count("\n") + 1 if note else 0
        height = (2.5 * shapes[0][0] / shapes[0][1] + 0.3) * rows + 0.4 + 0.2 * lines
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white", layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold", color=INK, x=0.01, ha="left")
    figure.supxlabel(note, fontsize=9, color=INK, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).flatten()
    for ax in axes:
        ax.set_axis_off()
    for ax, picture in zip(axes, pictures, strict=False):
        img = picture.img if picture.wide else shrunk(picture.img)
        ax.imshow(img if img.ndim == 2 else _on_checker(img), cmap="gray", vmin=0, vmax=1)
        caption = picture.caption + (" (bright = near)" if picture.depth else "")
        ax.set_title(caption, fontsize=9, color=INK)
    return figure


def _on_checker(img: np.ndarray) -> np.ndarray:
    """A picture with alpha on the pale squares that mean "nothing here"; any other as it is."""
    if img.shape[2] == 3:
        return img
    y, x = np.indices(img.shape[:2]) // CHECKER_PX
    ground = np.where((x + y) % 2, 255.0, 222.0)[..., None]
    alpha = img[..., 3:] / 255.0
    return np.rint(img[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def _depth_legend() -> str:
    ramp = depth_colours(np.linspace(0, 1, 9, dtype=np.float32)[None], (0.0, 1.0))[0]
    colours = ",".join(f"rgb({r},{g},{b})" for r, g, b in ramp)
    bar = f'<i style="background:linear-gradient(to right,{colours})"></i>'
    return f'<div class="mdlib-legend"><span>far</span>{bar}<span>near</span></div>'


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
