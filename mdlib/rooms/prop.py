"""Props: single things with transparency and relief, seen by the camera of the rooms."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from mdlib.rooms.materials.texture import Material, linear
from mdlib.rooms.raycasting.lighting import Lamp, LitRoom
from mdlib.rooms.raycasting.rays import Camera
from mdlib.rooms.raycasting.render import render
from mdlib.rooms.raycasting.sensor import blurred, quantized, tone
from mdlib.rooms.raycasting.solids import Solid, moved, silhouette
from mdlib.rooms.shapes import furniture, objects, people, seating

_SALT = 7001  # keeps the props' random numbers apart from the rooms'

# What may be built, and how often. People are what such pictures are mostly taken for.
KINDS: tuple[tuple[Callable[[np.random.Generator], list[Solid]], int], ...] = (
    (people.person, 14), (seating.chair, 5), (seating.office_chair, 3), (seating.stool, 2),
    (seating.sofa, 3), (lambda rng: seating.sofa(rng, 1), 2), (furniture.table, 3),
    (lambda rng: furniture.table(rng, low=True), 2), (furniture.desk, 2), (furniture.shelf, 2),
    (furniture.cabinet, 2), (objects.plant, 5), (objects.floor_lamp, 3), (objects.bin_, 2),
    (objects.boxes, 3), (objects.suitcase, 2), (objects.bag, 1), (objects.toy_ball, 1),
)  # fmt: skip


class Prop(NamedTuple):
    """A cut-out: rgba (h, w, 4) uint8, straight alpha, cropped to its alpha; relief (h, w) float32 metres.

    z = z_contact + relief, where z_contact is the depth of the lowest visible point; nan where alpha is 0.
    `height_m` is how many metres the picture's h rows span at depth z_contact: with focal length f (pixels)
    the prop is f * height_m / z_contact pixels high.
    """

    rgba: np.ndarray
    relief: np.ndarray
    height_m: float


def build_prop(seed: int) -> list[Solid]:
    """The solids of prop `seed`, standing on y = 0 around the origin, turned at random."""
    rng = np.random.default_rng([_SALT, seed])
    weights = np.array([weight for _, weight in KINDS], float)
    kind = KINDS[int(rng.choice(len(KINDS), p=weights / weights.sum()))][0]
    # Any angle, but the front more often than the back, as things are mostly photographed.
    turn = rng.normal(0, 0.8) if rng.random() < 0.65 else rng.uniform(0, 2 * np.pi)
    return moved(kind(rng), float(turn))


def _studio(rng: np.random.Generator, solids: list[Solid]) -> LitRoom:
    """A plain room with a window to one side and a ceiling lamp; only its light and reflections are seen."""
    gray = float(rng.uniform(150, 235))
    wall = Material("plaster", (linear(gray, gray * 0.985, gray * 0.96),))
    floor = Material("plain", (linear(*(gray * rng.uniform(0.55, 0.85) * np.array((1.0, 0.93, 0.84)))),))
    side = float(rng.choice([-1.0, 1.0]))
    day, warm = rng.uniform(3, 8), rng.uniform(3, 9)
    window_z, lamp_x, lamp_z = rng.uniform(0.5, 4.5), rng.uniform(-1.5, 1.5), rng.uniform(0.5, 4)
    blue, yellow = (0.92 * day, 0.97 * day, day), (warm, 0.92 * warm, 0.8 * warm)
    lamps = [
        Lamp((3.4 * side, 1.6, float(window_z)), (0, 0, 1.0), (0, 0.8, 0), (-side, 0, 0), blue),
        Lamp((float(lamp_x), 2.65, float(lamp_z)), (0.35, 0, 0), (0, 0, 0.35), (0, -1, 0), yellow),
    ]
    return LitRoom((-3.5, 0, -1), (3.5, 2.7, 7.5), (wall, wall, floor, wall, wall, wall), [], [solids], lamps)


def render_prop(seed: int, size_px: int = 256) -> Prop:
    """Prop number `seed`, its longer side about `size_px` pixels; the same seed gives the same bytes.

    It is seen from 1.4 to 1.7 m above the floor and 2.6 to 4.6 m away, like the things in `render_room`.
    """
    if size_px < 16:
        raise ValueError(f"size_px is {size_px}: a prop needs at least 16 pixels; pass 64 or more.")
    rng = np.random.default_rng([_SALT, seed, 1])
    place = (float(rng.uniform(-0.8, 0.8)), 0.0, float(rng.uniform(2.6, 4.6)))
    solids = moved(build_prop(seed), 0.0, place)
    room = _studio(rng, solids)
    height, pitch = float(rng.uniform(1.4, 1.7)), float(rng.uniform(0.0, 0.2))
    camera = Camera((0.0, height, 0.0), 0.0, pitch, 100.0, (0.0, 0.0), (1, 1))
    camera = _framed(camera, solids, size_px)
    frame = render(room, camera, samples=2, chosen=range(1, len(solids) + 1), alone=True)

    sigma = float(rng.uniform(0.4, 0.6))
    soft = blurred(torch.cat([frame.rgb, frame.cover[None]]), sigma)
    alpha = soft[3]
    color = soft[:3] / alpha.clamp_min(1e-4)
    # Metered by the light that falls on it, so dark clothes stay dark and white sofas white.
    gain = float(rng.uniform(0.5, 0.9)) / frame.incident
    tint = torch.from_numpy(np.exp(rng.normal(0, 0.025, 3)).astype(np.float32))[:, None, None]
    color = color * (tint * gain)
    rgb = quantized(tone(color), float(rng.uniform(0.3, 1.0)), rng)
    opacity = (alpha * 255 + 0.5).clamp(0, 255).to(torch.uint8).numpy()
    rgba = np.concatenate([rgb * (opacity > 0)[..., None], opacity[..., None]], 2)

    rows, columns = np.flatnonzero(opacity.any(1)), np.flatnonzero(opacity.any(0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    z = _spread(frame.near.numpy(), opacity > 0)
    lowest = np.flatnonzero(frame.inside.any(1).numpy())[-1]
    z_contact = float(frame.z[lowest][frame.inside[lowest]].min())
    relief = np.where(opacity > 0, z - z_contact, np.nan).astype(np.float32)
    height_m = (rows[-1] + 1 - rows[0]) * z_contact / camera.focal_px
    return Prop(np.ascontiguousarray(rgba[box]), np.ascontiguousarray(relief[box]), float(height_m))


def _framed(camera: Camera, solids: list[Solid], size_px: int) -> Camera:
    """The camera with focal length and picture cut to the solids, the longer side `size_px`."""
    margin = 4  # pixels, for what the lens blurs outwards
    shown = camera.project(np.concatenate([silhouette(s) for s in solids]))[:, :2]
    corner, extent = shown.min(0), np.ptp(shown, axis=0)
    zoom = size_px / float(extent.max())
    center = (np.asarray(camera.center_px) - corner) * zoom + margin
    width, height = (int(np.ceil(side * zoom)) + 2 * margin for side in extent)
    focal_px = camera.focal_px * zoom
    return camera._replace(focal_px=focal_px, center_px=tuple(center.tolist()), size=(height, width))


def _spread(z: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """z with its gaps (inf) inside `wanted` filled from the nearest neighbour: a lens blurs outwards."""
    while (np.isinf(z) & wanted).any():
        wide = np.pad(z, 1, constant_values=np.inf)
        around = [wide[y : y + z.shape[0], x : x + z.shape[1]] for y in range(3) for x in range(3)]
        z = np.where(np.isinf(z), np.minimum.reduce(around), z)
    return z
