"""What can be made of two pictures of a place once mask and depth are known: pictures, and points in space.

bg_img, fg_bg_img (H,W,3) uint8; mask (H,W) 0 to 1; depth (H,W) closeness. Everything is mixed in linear
light. Where the object covers the place, the empty picture tells what is behind it.
"""

import io
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mdlib.creation.composing.srgb import WHITE, to_linear, to_srgb
from mdlib.creation.sources.pictures import kept_part
from mdlib.loading.codec import NEAR_M

LEAST_ALPHA = 0.05  # below this hardly anything is seen of an object's own colour
LAYERS = 8  # of the place, from far to near, each blurred alike
WIDEST_BLUR = 0.04  # radius over the longer side, at strength 1
FARTHEST_SHIFT = 0.06  # over the longer side, at strength 1
LOOKS = 2
FRAMES, FRAME_MS = 12, 90
FARTHEST_M = 15.0
EDGE_RATIO = 1.12  # from pixel to pixel; a larger step in distance is an edge, which lies on no surface
GROUND = 245  # of 255: where nothing is seen


def cut_out(bg_img: np.ndarray, fg_bg_img: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The object alone, (H,W,4) uint8 with alpha, its soft edges free of the old background."""
    colour, alpha = _object(bg_img, fg_bg_img, mask)
    own = _stored(torch.where(alpha >= LEAST_ALPHA, colour / alpha.clamp(min=LEAST_ALPHA), 0.0))
    return np.dstack([own, np.rint(mask * 255).astype(np.uint8)])


def replace_background(
    bg_img: np.ndarray, fg_bg_img: np.ndarray, mask: np.ndarray, new_img: np.ndarray
) -> np.ndarray:
    """The object in front of `new_img` (any size; cropped around its centre), (H,W,3) uint8."""
    h, w = mask.shape
    box = kept_part(new_img.shape[1], new_img.shape[0], (h, w))
    place = Image.fromarray(new_img).resize((w, h), Image.Resampling.LANCZOS, box=box)
    colour, alpha = _object(bg_img, fg_bg_img, mask)
    return _stored(colour + (1 - alpha) * _light(np.asarray(place)))


def colour_pop(fg_bg_img: np.ndarray, mask: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """The object in colour, all else in gray (strength 0 leaves it as it is), (H,W,3) uint8."""
    light, alpha = _light(fg_bg_img), torch.from_numpy(mask)[None].float()
    gray = (light * light.new_tensor((0.2126, 0.7152, 0.0722)).view(3, 1, 1)).sum(0, keepdim=True)
    return _stored(torch.lerp(light, gray, strength * (1 - alpha)))


def portrait_blur(
    bg_img: np.ndarray,
    fg_bg_img: np.ndarray,
    mask: np.ndarray,
    depth: np.ndarray,
    strength: float = 0.5,
    focus: float | None = None,
) -> np.ndarray:
    """The scene through a lens wide open, in focus at closeness `focus` (None: the object), (H,W,3) uint8.

    A thin lens draws a point as a disc whose radius grows with |1/z - 1/z_focus|, which is the difference in
    closeness. The place is blurred in layers from far to near, each over those behind it, and the object on
    top of it; so nothing sharp bleeds into what is blurred. Strength 0 to 1.
    """
    closeness, alpha = torch.from_numpy(depth)[None].float(), torch.from_numpy(mask)[None].float()
    of_object = _median(closeness, alpha)
    focus = of_object if focus is None else focus
    place, behind = _place(bg_img, fg_bg_img, mask, depth)
    low, high = float(behind.min()), float(max(behind.max(), of_object))
    widest = strength * WIDEST_BLUR * max(mask.shape) / max(high - low, 0.05)
    centres = torch.linspace(low, float(behind.max()), LAYERS)
    step = max(float(centres[1] - centres[0]), 1e-6)
    out, covered = torch.zeros_like(place), torch.zeros_like(behind)
    for centre in centres.tolist():
        share = (1 - (behind - centre).abs() / step).clamp(min=0)  # every pixel is shared by two layers
        layer = _disc_blur(torch.cat([place * share, share]), widest * abs(centre - focus))
        out, covered = layer[:3] + (1 - layer[3:]) * out, layer[3:] + (1 - layer[3:]) * covered
    colour, own = _object(bg_img, fg_bg_img, mask)
    layer = _disc_blur(torch.cat([colour, own]), widest * abs(of_object - focus))
    return _stored(layer[:3] + (1 - layer[3:]) * out / covered.clamp(min=1e-3))


def parallax(
    bg_img: np.ndarray, fg_bg_img: np.ndarray, mask: np.ndarray, depth: np.ndarray, strength: float = 0.5
) -> list[np.ndarray]:
    """Pictures (H,W,3) uint8 of a camera that moves on a small ellipse; near things move more than far ones.

    The object moves in front of the place, whose hidden part comes from the empty picture. Strength 0 to 1.
    """
    place, behind = _place(bg_img, fg_bg_img, mask, depth)
    colour, alpha = _object(bg_img, fg_bg_img, mask)
    closeness = torch.from_numpy(depth)[None].float()
    own = _spread(closeness, (alpha > 0.5).float())  # also just outside of it, where it will be seen
    # What lies in the middle of the scene stands still, so that the picture seems to turn around it.
    still = float(closeness.median())
    span = max(float(closeness.max() - closeness.min()), 0.05)
    reach = strength * FARTHEST_SHIFT * max(mask.shape) / span
    angle = torch.arange(FRAMES) * (2 * np.pi / FRAMES)
    way = reach * torch.stack([angle.sin(), 0.4 * angle.cos()], 1)  # (T,2): x, y in px per closeness
    moved_place = _warped(place, behind - still, way)
    moved = _warped(torch.cat([colour, alpha]), own - still, way, zero=True)
    frames = moved[:, :3] + (1 - moved[:, 3:]) * moved_place
    return [_stored(frame) for frame in frames]


def write_gif(frames: list[np.ndarray], frame_ms: int = FRAME_MS) -> bytes:
    """The bytes of an endless animation of pictures (H,W,3) uint8, in 255 colours taken from the first."""
    first = Image.fromarray(frames[0]).quantize(255, dither=Image.Dither.NONE)
    small = [Image.fromarray(frame).quantize(palette=first, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    small[0].save(buffer, "GIF", save_all=True, append_images=small[1:], duration=frame_ms, loop=0)
    return buffer.getvalue()


class Points(NamedTuple):
    """xyz (N,3) float32: right, up and ahead of the camera, in metres for metric depth; rgb (N,3) uint8."""

    xyz: np.ndarray
    rgb: np.ndarray


def point_cloud(img: np.ndarray, depth: np.ndarray, fov_deg: float = 60.0) -> Points:
    """The pixels of a picture (H,W,3) uint8 as points, from their closeness (H,W) and the horizontal view.

    Unknown pixels, those farther than 15 m and those on the edges of things, where depth is a mixture, are
    left out. Relative depth gives the shape up to an unknown scale.
    """
    h, w = depth.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        z = NEAR_M / depth.astype(np.float64)
    focal = w / 2 / math.tan(math.radians(fov_deg) / 2)
    padded = np.pad(z, 1, mode="edge")
    around = np.stack([padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]])
    with np.errstate(invalid="ignore"):
        keep = (
            np.isfinite(z)
            & (z < FARTHEST_M)
            & (np.fmax.reduce(around) / np.fmin.reduce(around) < EDGE_RATIO**2)
        )
    rows, columns = np.nonzero(keep)
    z = z[keep]
    x, y = (columns + 0.5 - w / 2) * z / focal, -(rows + 0.5 - h / 2) * z / focal
    return Points(np.stack([x, y, z], 1).astype(np.float32), img[keep])


def ply_bytes(points: Points) -> bytes:
    """The content of a PLY file with the points."""
    fields = "".join(f"property float {axis}\n" for axis in "xyz")
    fields += "".join(f"property uchar {colour}\n" for colour in ("red", "green", "blue"))
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points.xyz)}\n{fields}end_header\n"
    rows = np.empty(len(points.xyz), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rows["xyz"], rows["rgb"] = points
    return head.encode() + rows.tobytes()


def view_points(
    points: Points, size: tuple[int, int], turn_deg: float = 0.0, lift_deg: float = 0.0, fov_deg: float = 60.0
) -> np.ndarray:
    """The points as a picture (H,W,3) uint8 of `size`, the camera having gone around their middle.

    turn_deg to the right, lift_deg up; nearer points hide farther ones.
    """
    h, w = size
    if not len(points.xyz):
        return np.full((h, w, 3), GROUND, np.uint8)
    xyz = points.xyz.astype(np.float64)
    middle = np.array([0.0, 0.0, float(np.median(xyz[:, 2]))])
    xyz = (xyz - middle) @ _rotation(turn_deg, lift_deg).T + middle
    focal = w / 2 / math.tan(math.radians(fov_deg) / 2)
    ahead = xyz[:, 2] > 0.05
    order = np.flatnonzero(ahead)[np.argsort(-xyz[ahead, 2])]  # the nearest is drawn last
    z = xyz[order, 2]
    column = np.floor(xyz[order, 0] * focal / z + w / 2).astype(np.int64)
    row = np.floor(h / 2 - xyz[order, 1] * focal / z).astype(np.int64)
    rgb = points.rgb[order]
    seen = np.full((h, w, 3), GROUND, np.uint8)
    # Each point covers four pixels, so that a surface seen from the side stays closed.
    spots = [(row + dy, column + dx) for dy in (0, 1) for dx in (0, 1)]
    rows, columns = (np.stack(part, 1).reshape(-1) for part in zip(*spots, strict=True))
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    seen[rows[inside], columns[inside]] = np.repeat(rgb, 4, 0)[inside]
    return seen


def _light(img: np.ndarray) -> Tensor:
    """(H,W,3) uint8 to linear light (3,H,W), 0 to 1."""
    return to_linear(torch.from_numpy(np.array(img)).permute(2, 0, 1)) / WHITE


def _stored(light: Tensor) -> np.ndarray:
    return to_srgb((light * WHITE).clamp(0, WHITE).contiguous()).permute(1, 2, 0).numpy()


def _object(bg_img: np.ndarray, fg_bg_img: np.ndarray, mask: np.ndarray) -> tuple[Tensor, Tensor]:
    """The object's light times its alpha (3,H,W), and alpha (1,H,W): what is left without the background."""
    alpha = torch.from_numpy(np.array(mask))[None].float()
    colour = _light(fg_bg_img) - (1 - alpha) * _light(bg_img)
    return torch.minimum(colour.clamp(min=0), alpha), alpha


def _place(
    bg_img: np.ndarray, fg_bg_img: np.ndarray, mask: np.ndarray, depth: np.ndarray
) -> tuple[Tensor, Tensor]:
    """The place without the object: light (3,H,W), and closeness (1,H,W), carried on behind the object."""
    alpha = torch.from_numpy(np.array(mask))[None].float()
    hidden = F.max_pool2d(alpha, 5, 1, 2)  # an edge of the object that the mask has missed, too
    scene, empty = _light(fg_bg_img), _light(bg_img)
    # Behind the object the empty picture, in the light around the object, so that its shadow has no pale rim.
    ratio = _spread((scene + 0.02) / (empty + 0.02), (hidden < 0.1).float())
    place = torch.lerp(scene, (empty * ratio).clamp(max=1), hidden)
    closeness = torch.from_numpy(np.nan_to_num(depth))[None].float()
    return place, _spread(closeness, (hidden < 0.1).float())


def _spread(values: Tensor, known: Tensor) -> Tensor:
    """(1,H,W) values, the unknown filled with averages of ever larger squares, the smallest that is known."""
    if not known.any():
        return values
    steps = [(values * known, known)]
    while max(steps[-1][0].shape[1:]) > 1:
        steps.append(tuple(F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in steps[-1]))
    filled = steps[-1][0] / steps[-1][1].clamp(min=1e-9)
    for weighted, weight in steps[-2::-1]:
        rough = F.interpolate(filled[None], weighted.shape[1:], mode="bilinear")[0]
        sure = weight.clamp(max=1)
        filled = weighted / weight.clamp(min=1e-9) * sure + rough * (1 - sure)
    return torch.where(known > 0, values, filled)


def _median(values: Tensor, weight: Tensor) -> float:
    """The middle of the values inside; of all values where nothing is inside."""
    inside = values[weight > 0.5]
    return float((inside if len(inside) else values).median())


def _disc_blur(x: Tensor, radius: float) -> Tensor:
    """(C,H,W) averaged over discs, edges repeated; a radius of less than half a pixel changes nothing."""
    if radius < 0.5:
        return x
    reach = int(np.ceil(radius))
    line = torch.arange(-reach, reach + 1.0)
    disc = (radius + 0.5 - (line[:, None].square() + line.square()).sqrt()).clamp(0, 1)
    padded = F.pad(x[None], [reach] * 4, mode="replicate")[0]
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(disc / disc.sum(), s=size)
    return torch.fft.irfft2(spectrum, s=size)[:, 2 * reach :, 2 * reach :].clamp(min=0)


def _warped(picture: Tensor, closeness: Tensor, way: Tensor, zero: bool = False) -> Tensor:
    """(C,H,W) seen from T places: (T,C,H,W). A point at closeness c is seen moved by way * c pixels.

    Which point is seen at a pixel is found in two steps, the second from where the first one looked.
    """
    height, width = picture.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    at = torch.stack([x, y], -1).expand(len(way), height, width, 2)
    size = torch.tensor([width, height])

    def look(values: Tensor, where: Tensor, padding: str) -> Tensor:
        grid = 2 * where / size - 1
        values = values.expand(len(way), -1, -1, -1)
        return F.grid_sample(values, grid, padding_mode=padding, align_corners=False)

    where = at
    for _ in range(LOOKS):
        where = at - way[:, None, None] * look(closeness, where, "border").movedim(1, -1)
    return look(picture, where, "zeros" if zero else "border")


def _rotation(turn_deg: float, lift_deg: float) -> np.ndarray:
    a, b = math.radians(turn_deg), math.radians(lift_deg)
    turn = np.array([[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]])
    lift = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    return lift @ turn
