"""Draws assets/gallery.jpg: rooms with their depth, props, and props ray-cast inside rooms.

    python -m benchmarks.release.gallery [--out assets/gallery.jpg]

Everything is made by the generator of mdlib from the numbers below; nearer is brighter in the depth rows.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mdlib.loading.codec import z_to_closeness
from mdlib.rooms.generate import render_prop, render_room, render_room_with_prop
from mdlib.viewing.figures import INK, depth_colours, depth_range

ROOMS = (2, 8, 17, 27, 28, 32)
PROPS = (1, 0, 12, 10, 13, 17, 20, 24, 34, 28, 35, 14, 11, 21, 41, 38, 44, 8)
PAIRS = ((7, 1007), (8, 1008), (12, 1012), (13, 1013), (9, 1009), (2, 1002))  # room, prop
CELL, GAP, LABEL, MARGIN = 196, 4, 26, 8  # pixels
QUALITY = 86


def main() -> None:
    """Draw the picture and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("assets/gallery.jpg"))
    out = parser.parse_args().out
    size = (CELL, CELL)
    rooms = [render_room(number, size) for number in ROOMS]
    pairs = [render_room_with_prop(room, prop, size) for room, prop in PAIRS]
    per_row = len(PROPS) // 2
    props = [_on_paper(render_prop(number).rgba, per_row) for number in PROPS]
    sections = [
        ("rooms, and the true depth of every pixel", [[room.rgb for room in rooms], _depths(rooms)]),
        ("props, with soft edges", [props[:per_row], props[per_row:]]),
        (
            "an empty room, with a prop ray-cast inside (true contact, shadow, occlusion), and the depth",
            [[pair.room.rgb for pair in pairs], [pair.rgb for pair in pairs], _depths(pairs)],
        ),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    _sheet(sections).save(out, quality=QUALITY, optimize=True)
    print(out)


def _depths(scenes: list) -> list[np.ndarray]:
    closeness = [z_to_closeness(torch.from_numpy(scene.z)).numpy() for scene in scenes]
    return [depth_colours(depth, depth_range(depth)) for depth in closeness]


def _on_paper(rgba: np.ndarray, per_row: int) -> np.ndarray:
    """A prop on light gray, in a square cell of which `per_row` fill the width."""
    side = (len(ROOMS) * (CELL + GAP)) // per_row - GAP
    paper = Image.new("RGBA", (side, side), "#ececea")
    prop = Image.fromarray(rgba)
    prop.thumbnail((side - 12, side - 12), Image.Resampling.LANCZOS)
    paper.alpha_composite(prop, ((side - prop.width) // 2, side - 6 - prop.height))
    return np.asarray(paper.convert("RGB"))


def _sheet(sections: list[tuple[str, list[list[np.ndarray]]]]) -> Image.Image:
    """The sections below one another, each with its title."""
    width = len(ROOMS) * (CELL + GAP) - GAP + 2 * MARGIN
    height = MARGIN + sum(LABEL + sum(row[0].shape[0] + GAP for row in rows) + MARGIN for _, rows in sections)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 14)  # comes with matplotlib
    y = MARGIN
    for title, rows in sections:
        draw.text((MARGIN, y + 2), title, fill=INK, font=font)
        y += LABEL
        for row in rows:
            for column, img in enumerate(row):
                sheet.paste(Image.fromarray(img), (MARGIN + column * (img.shape[1] + GAP), y))
            y += row[0].shape[0] + GAP
        y += MARGIN
    return sheet


if __name__ == "__main__":
    main()
