"""Rooms and props drawn from a number: photographs with the exact depth of every pixel.

This is the way into the folder, which knows nothing of the rest of mdlib: `render_room`, `render_prop` and
`render_room_with_prop` take a seed and give arrays. The same seed gives the same bytes, whatever the number
of threads.

A room is a box with six surfaces, fifty to two hundred convex solids in it, lamps, windows and a camera. Its
seed is turned into a picture in these steps, each a module or two:

| step | module | what it decides |
| --- | --- | --- |
| plan | `layout.plan` | kind of room, size, surfaces, lamps, camera: a `LitRoom` and a `Camera` |
| ground and walls | `layout.floor_plan` | what stands where, and what is still free |
| furnishing | `layout.furnish` | furniture along walls and in the middle, rugs, pictures |
| windows | `layout.windows` | windows, doors, daylight and sun |
| things | `shapes.*` | the solids of a chair, a person, a curtain: functions of a random generator |
| colours | `materials.*` | what surfaces are made of, and how that looks at a point of them |
| ray casting | `raycasting.solids`, `rays` | which solid a ray meets first, and at which z |
| shading, light | `raycasting.shading`, `lighting` | texture, normal; lamps, shadows, sun, one bounce |
| picture | `raycasting.render`, `sensor` | linear light per pixel; then lens, exposure, noise, tone curve |

A prop is a person or a piece of furniture alone in a plain room (`prop`), cut out with its own light.

World coordinates are metres: x to the right, y up, z forward, the floor at y = 0. In what comes out, z is
the distance along the optical axis, not along the ray. Sizes are (H, W) in pixels; colours are 8-bit sRGB.
"""

from typing import NamedTuple

import numpy as np

from mdlib.rooms.layout.floor_plan import ground_of, overlap
from mdlib.rooms.layout.plan import Plan, plan_room
from mdlib.rooms.prop import Prop, build_prop, render_prop
from mdlib.rooms.raycasting.rays import SHELL
from mdlib.rooms.raycasting.render import Frame, render
from mdlib.rooms.raycasting.sensor import Shot, blurred, develop, meter
from mdlib.rooms.raycasting.solids import Solid, corners, moved

__all__ = ["Prop", "Room", "RoomWithProp", "render_prop", "render_room", "render_room_with_prop"]


class Room(NamedTuple):
    """rgb (H, W, 3) uint8; z (H, W) float32 metres along the optical axis at the pixel centres; floor (H, W)
    bool, True where a pixel's centre shows the floor plane itself; focal_px; camera_height_m; pitch_rad > 0
    looks down."""

    rgb: np.ndarray
    z: np.ndarray
    floor: np.ndarray
    focal_px: float
    camera_height_m: float
    pitch_rad: float


class RoomWithProp(NamedTuple):
    """An empty room and the same view with a prop in it: its photograph rgb (H, W, 3) uint8, mask (H, W)
    float32, the share of each pixel that the prop covers, and z (H, W) float32 metres."""

    room: Room
    rgb: np.ndarray
    mask: np.ndarray
    z: np.ndarray


def render_room(seed: int, size: tuple[int, int] = (224, 224)) -> Room:
    """Room number `seed` as a photograph of size (H, W) pixels; the same seed gives the same bytes.

    The horizontal field of view is 55 to 65 degrees, the camera 1.4 to 1.7 m above the floor, and the
    picture's centre is the optical axis. Raises ValueError for a size under 16 pixels.
    """
    plan = _planned(seed, size)
    return _photographed(seed, plan)[0]


def render_room_with_prop(room_seed: int, prop_seed: int, size: tuple[int, int] = (224, 224)) -> RoomWithProp:
    """Prop `prop_seed` ray-cast inside room `room_seed`: true occlusion, contact, shadow, reflection and
    bounce.

    `room` is what `render_room` gives. The second photograph has the same exposure and other sensor noise.
    """
    plan = _planned(room_seed, size)
    room, shot = _photographed(room_seed, plan)
    solids = _placed(build_prop(prop_seed), plan, np.random.default_rng([room_seed, prop_seed, 4]))
    first = SHELL + 1 + sum(len(group) for group in plan.room.groups)
    with_prop = plan.room._replace(groups=[*plan.room.groups, solids])
    frame = render(with_prop, plan.camera, chosen=range(first, first + len(solids)))
    rgb = develop(frame.rgb, shot, np.random.default_rng([room_seed, prop_seed, 5]))
    mask = blurred(frame.cover[None], shot.blur)[0].clamp(0, 1)
    return RoomWithProp(room, rgb, mask.numpy(), frame.z.numpy())


def _planned(seed: int, size: tuple[int, int]) -> Plan:
    height, width = size
    if min(height, width) < 16:
        raise ValueError(
            f"size is {tuple(size)}: a room needs at least 16 x 16 pixels; pass (height, width) in pixels."
        )
    return plan_room(seed, (int(height), int(width)))


def _photographed(seed: int, plan: Plan) -> tuple[Room, Shot]:
    frame: Frame = render(plan.room, plan.camera)
    rng = np.random.default_rng([seed, 3])
    shot = meter(frame.rgb, rng)
    rgb, camera = develop(frame.rgb, shot, rng), plan.camera
    z, floor = frame.z.numpy(), frame.floor.numpy()
    return Room(rgb, z, floor, camera.focal_px, camera.position[1], camera.pitch), shot


def _placed(solids: list[Solid], plan: Plan, rng: np.random.Generator) -> list[Solid]:
    """The prop on free ground in view of the camera, or, without any, on the best of the places tried."""
    camera, best, least = plan.camera, None, np.inf
    right, _, forward = camera.axes()
    reach = camera.size[1] / 2 / camera.focal_px  # half the picture's width at a depth of one metre
    for _ in range(80):
        z = rng.uniform(2.2, 5.5)
        way = forward * z + right * rng.uniform(-0.8, 0.8) * reach * z
        prop = moved(solids, 0.0, (camera.position[0] + way[0], 0.0, camera.position[2] + way[2]))
        x0, x1, z0, z1 = area = ground_of(prop)
        low, high = plan.room.low, plan.room.high
        outside = max(low[0] - x0, x1 - high[0], low[2] - z0, z1 - high[2]) + 0.03
        shown = camera.project(np.concatenate([corners(s) for s in prop]))
        beyond = np.nanmax(np.abs(shown[:, 0] / camera.size[1] - 0.5)) - 0.5
        below = np.nanmax(shown[:, 1]) / camera.size[0] - 1
        faults = 10 * max(0, outside) + sum(overlap(area, other, 0.03) for other in plan.taken)
        faults += max(0, beyond) + 2 * max(0, below) + 5 * (shown[:, 2].min() < 1)
        if faults < least:
            best, least = prop, faults
        if faults == 0:
            break
    return best
