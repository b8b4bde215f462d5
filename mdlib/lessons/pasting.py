"""Ways to paste a cut-out that look right at first and are wrong: what `composing.compose` avoids.

For teaching. Pictures are (H,W,3) uint8, cut-outs (h,w,4) uint8 with straight alpha, as everywhere.
"""

import numpy as np
import torch

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.composing.srgb import WHITE, to_linear, to_srgb
from mdlib.creation.items import Background, Cutout, Placements
from mdlib.creation.place_by_hand import Placer
from mdlib.rooms.generate import Prop, Room

WAYS = ("box", "hard", "stored", "linear")


def paste(bg_img: np.ndarray, rgba: np.ndarray, x: int, y: int, way: str) -> np.ndarray:
    """The picture with the cut-out at its own size, its top left at (x, y), inside the picture.

    way: "box" copies the whole rectangle; "hard" the pixels with alpha of a half or more; "stored" mixes
    stored values by alpha; "linear" mixes light by alpha, which is what a camera does. Raises ValueError for
    another way, or a cut-out that does not fit.
    """
    height, width = rgba.shape[:2]
    if way not in WAYS:
        raise ValueError(f"way is {way!r}; there are {', '.join(WAYS)}")
    if min(x, y) < 0 or y + height > bg_img.shape[0] or x + width > bg_img.shape[1]:
        raise ValueError(f"a cut-out of {width} x {height} pixels at ({x}, {y}) does not fit the picture")
    out = bg_img.copy()
    under = out[y : y + height, x : x + width]  # a view: what is written there is written into `out`
    colour, alpha = rgba[..., :3], rgba[..., 3:] / np.float32(255)
    if way == "box":
        under[:] = colour
    elif way == "hard":
        np.copyto(under, colour, where=alpha >= 0.5)
    elif way == "stored":
        under[:] = np.rint(alpha * colour + (1 - alpha) * under).astype(np.uint8)
    else:
        under[:] = _stored(alpha * _light(colour) + (1 - alpha) * _light(under))
    return out


def compose_one(bg_img: np.ndarray, rgba: np.ndarray, x: int, y: int) -> np.ndarray:
    """The picture with the cut-out as `compose` paints it, at its own size: linear, edges cleaned."""
    bg = torch.from_numpy(bg_img.copy()).permute(2, 0, 1)[None]
    placement = Placements.one(x, y, rgba.shape[0] / bg_img.shape[0], np.nan)
    made = compose(bg, [make_sprite(rgba)], placement)
    return made["fg_bg"][0].permute(1, 2, 0).numpy()


def stand(room: Room, prop: Prop, x: int, y: int) -> dict[str, np.ndarray]:
    """The prop standing in the room with its foot at pixel (x, y), as large as it is from there.

    Its size follows from the distance: height in pixels = focal length in pixels x metres / distance. Returns
    a scene as `viewing.scenes.scene` does: bg_img, fg_bg_img, mask, depth (closeness), and `z` in metres.
    """
    background = Background("room", room.rgb, room.z, room.floor, room.focal_px)
    placer = Placer(background, Cutout("prop", prop.rgba, prop.relief, prop.height_m))
    height, width = room.z.shape
    placed = placer.place(x / width, y / height)
    images = {name: getattr(placed, name) for name in ("fg_bg_img", "mask", "depth", "z")}
    return {"bg_img": room.rgb} | images


def photographed_before(rgba: np.ndarray, behind_rgb: tuple[int, int, int]) -> np.ndarray:
    """The cut-out as if cut from a photograph before a wall of the colour `behind_rgb`: same alpha, but its
    soft edge pixels hold some of the wall."""
    wall = np.broadcast_to(np.array(behind_rgb, np.uint8), rgba[..., :3].shape)
    return np.dstack([paste(wall, rgba, 0, 0, "linear"), rgba[..., 3]])


def seen_from_afar(img: np.ndarray, factor: int, linear: bool) -> np.ndarray:
    """The picture with each square of factor x factor pixels averaged, in light (as a camera further away
    would) or in stored values."""
    height, width = (side // factor for side in img.shape[:2])
    values = _light(img) if linear else img.astype(np.float32)
    values = values[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    values = values.mean((1, 3))
    return _stored(values) if linear else np.rint(values).astype(np.uint8)


def _light(stored: np.ndarray) -> np.ndarray:
    return to_linear(torch.from_numpy(np.ascontiguousarray(stored))).numpy()


def _stored(light: np.ndarray) -> np.ndarray:
    return to_srgb(torch.from_numpy(np.ascontiguousarray(light, np.float32)).clamp(0, WHITE)).numpy()
