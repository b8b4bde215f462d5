"""What the network makes of a few validation samples, as one picture.

Drawn with PIL, not with matplotlib: training waits for it.
"""

from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mdlib.colours import depth_colours, depth_range
from mdlib.modeling.networks.base import MaskDepth

CELL_PX = 160  # shorter side of a picture on the sheet
GAP_PX, LINE_PX, FONT_PX = 6, 26, 14
PAPER, INK = (255, 255, 255), (34, 34, 34)
BAR_PX = (120, 10)


class Shown(NamedTuple):
    """Samples on the CPU: `truth` has bg, fg_bg, mask, depth; `found` is what the network says to them."""

    truth: dict[str, Tensor]
    found: MaskDepth


def take(batch: dict[str, Tensor], found: MaskDepth, count: int) -> Shown:
    """The first `count` samples of a float batch, copied to the CPU."""
    first = [None if x is None else x[:count].detach().float().cpu() for x in found]
    return Shown({name: x[:count].float().cpu() for name, x in batch.items()}, MaskDepth(*first))


def draw_sheet(shown: Shown, title: str) -> Image.Image:
    """A row per sample: background, scene, true mask, predicted mask, true depth, predicted depth.

    All depths share the colours of what is truly there, so that sheets of one run can be compared. A network
    without depth has no columns for it.
    """
    truth, (mask_logits, depth) = shown
    columns = {"background": _pictures(truth["bg"]), "scene": _pictures(truth["fg_bg"])}
    columns |= {"true mask": _pictures(truth["mask"]), "predicted mask": _pictures(mask_logits.sigmoid())}
    if depth is not None:
        true_depth, found_depth = _in_cells(truth["depth"], "nearest"), _in_cells(depth, "nearest")
        limits = depth_range(true_depth if np.isfinite(true_depth).any() else found_depth)
        columns["true depth"] = [depth_colours(one[..., 0], limits) for one in true_depth]
        columns["predicted depth"] = [depth_colours(one[..., 0], limits) for one in found_depth]
    return _draw(columns, title, legend=depth is not None)


def _pictures(values: Tensor) -> list[np.ndarray]:
    """Pictures or masks (B,C,H,W), 0 to 1, as (h,w,3) uint8 each."""
    return list((_in_cells(values.expand(-1, 3, -1, -1), "area") * 255).round().astype(np.uint8))


def _in_cells(values: Tensor, mode: str) -> np.ndarray:
    """(B,C,H,W) in the size of the sheet's cells, as (B,h,w,C)."""
    sides = values.shape[-2:]
    size = [round(side * CELL_PX / min(sides)) for side in sides]
    return F.interpolate(values, size, mode=mode).permute(0, 2, 3, 1).numpy()


def _draw(columns: dict[str, list[np.ndarray]], title: str, legend: bool) -> Image.Image:
    rows = len(columns["scene"])
    cell = columns["scene"][0].shape[1::-1]  # width, height
    size = GAP_PX + len(columns) * (cell[0] + GAP_PX), 2 * LINE_PX + rows * (cell[1] + GAP_PX)
    sheet = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_PX)
    draw.text((GAP_PX, LINE_PX // 2), title, INK, font, anchor="lm")
    for i, (caption, pictures) in enumerate(columns.items()):
        left = GAP_PX + i * (cell[0] + GAP_PX)
        draw.text((left + cell[0] // 2, LINE_PX + LINE_PX // 2), caption, INK, font, anchor="mm")
        for row, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (left, 2 * LINE_PX + row * (cell[1] + GAP_PX)))
    if legend:
        _draw_legend(sheet, draw, font)
    return sheet


def _draw_legend(sheet: Image.Image, draw: ImageDraw.ImageDraw, font) -> None:
    """The colours from far to near, in the upper right corner."""
    right = sheet.width - GAP_PX
    draw.text((right, LINE_PX // 2), "near", INK, font, anchor="rm")
    right -= round(draw.textlength("near", font)) + GAP_PX + BAR_PX[0]
    ramp = np.tile(np.linspace(0, 1, BAR_PX[0]), (BAR_PX[1], 1))
    sheet.paste(Image.fromarray(depth_colours(ramp, (0.0, 1.0))), (right, (LINE_PX - BAR_PX[1]) // 2))
    draw.text((right - GAP_PX, LINE_PX // 2), "far", INK, font, anchor="rm")
