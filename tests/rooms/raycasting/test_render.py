"""Light, edges and exact depth of small hand-made rooms."""

import numpy as np
import torch

from mdlib.rooms.materials.texture import Material
from mdlib.rooms.raycasting.lighting import FRONT, Decal, Lamp, LitRoom
from mdlib.rooms.raycasting.rays import Camera
from mdlib.rooms.raycasting.render import OFFSETS, render
from mdlib.rooms.raycasting.solids import ball, box, cone

GRAY = Material("plaster", ((0.5, 0.5, 0.5),))


GRAY = Material("plaster", ((0.5, 0.5, 0.5),))
CAMERA = Camera((0.0, 1.5, 0.3), 0.0, 0.1, 56.0, (32.0, 32.0), (64, 64))


CAMERA = Camera((0.0, 1.5, 0.3), 0.0, 0.1, 56.0, (32.0, 32.0), (64, 64))
LAMP = Lamp((0.0, 2.55, 3.0), (0.2, 0, 0), (0, 0, 0.2), (0, -1, 0), (8.0, 8.0, 8.0))


def room(groups=(), decals=(), lamps=(LAMP,), sun=None):
    return LitRoom((-2, 0, 0), (2, 2.6, 6), (GRAY,) * 6, list(decals), list(groups), list(lamps), sun)


def rays(camera):
    right, down, forward = camera.axes()
    y, x = np.mgrid[0 : camera.size[0], 0 : camera.size[1]] + 0.5
    a, b = (
        (x[..., None] - camera.center_px[0]) / camera.focal_px,
        (y[..., None] - camera.center_px[1]) / camera.focal_px,
    )
    return forward + a * right + b * down


def test_depth_of_a_sphere_and_a_cylinder_is_exact():
    sphere, post = ball((-0.5, 1.0, 3.0), 0.4, GRAY), cone((0.7, 0, 4.0), (0.7, 3, 4.0), 0.25, GRAY)
    frame = render(room([[sphere], [post]]), CAMERA, chosen=range(1, 3))
    d = rays(CAMERA)
    o = np.array(CAMERA.position)
    a, b = (d * d).sum(-1), (d * (o - sphere.center)).sum(-1)
    root = b * b - a * (((o - sphere.center) ** 2).sum() - 0.16)
    z = np.where(root > 0, (-b - np.sqrt(root.clip(0))) / a, np.inf)
    flat = o - (0.7, 0, 4.0)
    a, b = d[..., 0] ** 2 + d[..., 2] ** 2, d[..., 0] * flat[0] + d[..., 2] * flat[2]
    root = b * b - a * (flat[0] ** 2 + flat[2] ** 2 - 0.0625)
    to_post = (-b - np.sqrt(root.clip(0))) / a
    height = o[1] + to_post * d[..., 1]
    z = np.minimum(z, np.where((root > 0) & (height > 0) & (height < 2.6), to_post, np.inf))
    inside = frame.inside.numpy()
    assert (inside == np.isfinite(z)).mean() > 0.999 and inside.sum() > 300
    both = inside & np.isfinite(z)
    np.testing.assert_allclose(frame.z.numpy()[both], z[both], atol=1e-3)


def test_floor_pixels_satisfy_the_floor_equation():
    frame = render(room([[box((0, 0.4, 3), (1, 0.8, 1), GRAY)]]), CAMERA)
    drop = -rays(CAMERA)[..., 1] * frame.z.numpy()
    floor = frame.floor.numpy()
    np.testing.assert_allclose(drop[floor], 1.5, atol=1e-3)
    assert (drop[~floor] < 1.5 - 1e-3).all() and 0.1 < floor.mean() < 0.5


def test_a_window_has_the_depth_of_its_pane():
    view = Material("outside", ((0.3, 0.5, 0.9),) * 5, glow=5.0)
    plain = render(room(), CAMERA)
    frame = render(room(decals=[Decal(FRONT, (-1, 1), (0.8, 2.0), view)]), CAMERA)
    assert torch.equal(frame.z, plain.z)
    bright = frame.rgb[2] > plain.rgb[2].max() + 0.5
    assert 50 < bright.sum() < 1500
    d = rays(CAMERA)[bright.numpy()]
    np.testing.assert_allclose(frame.z.numpy()[bright.numpy()], (6 - 0.3) / d[:, 2], atol=1e-3)


def test_cover_is_the_share_of_the_pixel():
    """An upright edge that cuts pixels at a known place: the mean over five rays is within one ray of it."""
    camera = CAMERA._replace(pitch=0.0)
    frame = render(room([[box((0.5, 1.5, 3.3), (1.03, 5, 0.01), GRAY)]]), camera, chosen=range(1, 2))
    edge = 32 + 56 * (0.5 - 0.515) / 2.995
    expected = np.clip(np.arange(64) + 1 - edge, 0, 1)[None]
    right = 32 + 56 * 1.015 / 2.995
    expected = np.minimum(expected, np.clip(right - np.arange(64), 0, 1)[None])
    cover = frame.cover.numpy()[20:44]  # the rows between floor and ceiling
    assert np.abs(cover - expected).max() <= 1 / len(OFFSETS)
    assert len(np.unique(cover)) > 2


def test_a_cut_out_draws_only_its_own_solids():
    frame = render(room([[ball((0, 1, 3), 0.5, GRAY)]]), CAMERA, chosen=range(1, 2), alone=True)
    assert (frame.rgb[:, frame.cover == 0] == 0).all()
    assert (frame.rgb[:, frame.cover == 1] > 0).all()
    assert (
        torch.isfinite(frame.near[frame.cover > 0]).all() and torch.isinf(frame.near[frame.cover == 0]).all()
    )
