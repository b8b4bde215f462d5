"""What placing knows of backgrounds and cut-outs."""

import numpy as np
import pytest

from mdlib.creation.items import Background
from mdlib.creation.placing.outline import Ground

FOCAL_PX, CAMERA_M = 90.0, 1.5


def room(h=96, w=96, wall_m=8.0):
    """A level camera before a flat floor and a wall: z = focal * height / (row - horizon), in closed form."""
    down = np.arange(h) + 0.5 - h / 2
    with np.errstate(divide="ignore"):
        z = np.where(down > 0, FOCAL_PX * CAMERA_M / np.maximum(down, 1e-9), np.inf)
    floor = np.broadcast_to((z < wall_m)[:, None], (h, w)).copy()
    z = np.broadcast_to(np.minimum(z, wall_m)[:, None], (h, w)).astype(np.float32).copy()
    return Background("room", np.zeros((h, w, 3), np.uint8), z, floor, FOCAL_PX)


def test_a_room_without_floor_is_refused():
    background = room()
    with pytest.raises(ValueError, match="room has depth but shows no floor"):
        Ground(Background("room", background.rgb, background.z, np.zeros_like(background.floor), FOCAL_PX))
