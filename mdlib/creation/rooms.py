"""Rooms: furnished at random, photographed, with the exact depth of every pixel."""

from typing import NamedTuple

import numpy as np
import torch

from mdlib.creation.layout import plan_room
from mdlib.creation.photo import blurred, develop, meter
from mdlib.creation.props import Prop, render_prop
from mdlib.creation.render import render


class Room(NamedTuple):
    """rgb (H, W, 3) uint8; z (H, W) float32 metres along the optical axis at the pixel centres; floor (H, W) bool,
    True where a pixel's centre shows the floor plane itself; focal_px; camera_height_m; pitch_rad > 0 looks down."""

    rgb: np.ndarray
    z: np.ndarray
    floor: np.ndarray
    focal_px: float
    camera_height_m: float
    pitch_rad: float


def render_room(seed: int, size: tuple[int, int] = (224, 224)) -> Room:
    """Room number `seed` as a photograph of size (H, W) pixels; the same seed gives the same bytes.

    The horizontal field of view is 55 to 65 degrees, the camera 1.4 to 1.7 m above the floor, and the picture's
    centre is the optical axis. Raises ValueError for a size under 16 pixels.
    """
    height, width = size
    if min(height, width) < 16:
        raise ValueError(f"size is {tuple(size)}: a room needs at least 16 x 16 pixels; pass (height, width) in pixels.")
    plan = plan_room(seed, (height, width))
    frame = render(plan.stage, plan.camera)
    rng = np.random.default_rng([seed, 3])
    rgb = develop(frame.rgb, meter(frame.rgb, rng), rng)
    camera = plan.camera
    return Room(rgb, frame.z.numpy(), frame.floor.numpy(), camera.focal_px, camera.position[1], camera.pitch)


__all__ = ["Prop", "Room", "render_prop", "render_room", "blurred", "torch"]
