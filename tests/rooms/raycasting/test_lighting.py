"""Light of lamps and the sun, with shadows, against closed forms."""

import numpy as np
import pytest
import torch

from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.lighting import BACK, Decal, Lamp, Lighting, LitRoom, Sun, smoothed
from mdlib.rooms.raycasting.rays import Camera, RayCaster
from mdlib.rooms.raycasting.solids import box

GRAY = Material("plaster", ((0.5, 0.5, 0.5),))


CAMERA = Camera((0.0, 1.5, 0.3), 0.0, 0.1, 56.0, (32.0, 32.0), (64, 64))
LAMP = Lamp((0.0, 2.55, 3.0), (0.2, 0, 0), (0, 0, 0.2), (0, -1, 0), (8.0, 8.0, 8.0))


def room(groups=(), decals=(), lamps=(LAMP,), sun=None):
    return LitRoom((-2, 0, 0), (2, 2.6, 6), (GRAY,) * 6, list(decals), list(groups), list(lamps), sun)


def test_things_throw_shadows_on_the_floor():
    """Under a board below the lamp it is darker than without the board; far away little changes."""
    board = box((0, 1.2, 3.0), (0.8, 0.02, 0.8), GRAY)
    floor = tuple(torch.tensor(c) for c in ([0.0, 1.8], [0.0, 0.0], [3.0, 5.8]))
    up = tuple(torch.tensor([c, c]) for c in (0.0, 1.0, 0.0))
    light = []
    for groups in ([], [[board]]):
        s = room(groups)
        lighting = Lighting(s, RayCaster(s.low, s.high, s.groups))
        light.append(lighting.arriving(floor, up, torch.tensor([0, 0]), 32)[0])
    assert light[1][0] < 0.4 * light[0][0]
    assert light[1][1] > 0.85 * light[0][1]


def test_light_of_a_small_lamp_follows_the_inverse_square():
    """Directly below, unshadowed: radiance times area over pi times distance squared."""
    s = room()
    lighting = Lighting(s, RayCaster(s.low, s.high, s.groups))
    p, n = (
        tuple(torch.tensor([c]) for c in (0.0, 0.0, 3.0)),
        tuple(torch.tensor([c]) for c in (0.0, 1.0, 0.0)),
    )
    direct = lighting._from_lamp(LAMP, p, n, torch.tensor([0]), 64, 0.0)
    assert direct.item() == pytest.approx(0.16 / np.pi / 2.55**2, rel=0.02)


def test_the_sun_shines_through_the_pane_only():
    view = Material("outside", ((0.3, 0.5, 0.9),) * 5, glow=5.0)
    sun = Sun((0.0, 0.6, -0.8), (5.0, 5.0, 5.0))
    s = room(decals=[Decal(BACK, (-0.5, 0.5), (1.0, 2.0), view)], sun=sun)
    lighting = Lighting(s, RayCaster(s.low, s.high, s.groups))
    p = tuple(torch.tensor(c) for c in ([0.0, 0.0, 1.5], [0.0, 0.0, 0.0], [2.0, 4.5, 2.0]))
    up = tuple(torch.tensor([c] * 3) for c in (0.0, 1.0, 0.0))
    amount = lighting._from_sun(p, up, torch.tensor([0, 0, 0]))
    assert amount.tolist() == pytest.approx([0.6, 0, 0], abs=0.02)


def test_smoothing_stops_at_edges():
    fields = torch.zeros(1, 16, 16)
    fields[:, :, 8:] = 1.0
    flat, z = torch.zeros(3, 16, 16), torch.ones(16, 16)
    flat[1] = 1.0
    paint = torch.zeros(16, 16)
    paint[:, 8:] = 1
    assert torch.equal(smoothed(fields, paint, flat, z), fields)
    assert 0.1 < smoothed(fields, 0 * paint, flat, z)[0, 8, 8] < 0.9
