"""The camera, and which solid a ray meets first."""

import numpy as np
import pytest
import torch

from mdlib.rooms.raycasting.rays import SHELL, Camera, RayCaster
from mdlib.rooms.raycasting.solids import ball, box, capsule, cone, intersect, leave_shell

LOW, HIGH = (-3.0, 0.0, 0.0), (3.0, 2.6, 7.0)
CAMERA = Camera((0.3, 1.5, 0.4), 0.15, 0.12, 100.0, (60.0, 50.0), (100, 120))
GROUPS = [
    [box((-1, 0.5, 4), (1, 1, 0.6), None, yaw=0.4), ball((-1, 1.2, 4), 0.2, None)],
    [capsule((1, 0, 5), (1, 1.6, 5), 0.2, None)]
    + [cone((k / 9, 0, 5), (k / 9, 1, 4), 0.03, None) for k in range(20)],
]


def test_z_of_the_walls_is_exact():
    """Against float64 plane equations, written independently of the ray-caster's own."""
    z, ids = RayCaster(LOW, HIGH, []).first_hits(CAMERA, [(0.0, 0.0)])
    right, down, forward = CAMERA.axes()
    y, x = np.mgrid[0:100, 0:120] + 0.5
    d = forward + (x[..., None] - 60) / 100 * right + (y[..., None] - 50) / 100 * down
    with np.errstate(divide="ignore"):
        to = np.maximum((np.array(LOW) - CAMERA.position) / d, (np.array(HIGH) - CAMERA.position) / d)
    np.testing.assert_allclose(z[0].numpy(), to.min(-1), atol=1e-4)
    assert (ids == SHELL).all()


def test_z_is_depth_along_the_optical_axis():
    """A wall at right angles to the axis has one z everywhere, not one distance."""
    camera = CAMERA._replace(yaw=0.0, pitch=0.0)
    z, ids = RayCaster(LOW, HIGH, [[box((0.3, 1.5, 3.5), (20, 20, 0.2), None)]]).first_hits(
        camera, [(0.0, 0.0)]
    )
    z, ids = z[0, 30:60], ids[0, 30:60]  # the rows between floor and ceiling
    assert (ids == 1).all()
    np.testing.assert_allclose(z.numpy(), 3.0, atol=1e-5)


def test_projection_inverts_the_rays():
    right, down, forward = CAMERA.axes()
    d = forward + (20.5 - 60) / 100 * right + (70.5 - 50) / 100 * down
    ray = [c[70, 20].item() for c in CAMERA.rays()]
    np.testing.assert_allclose(ray, d, atol=1e-6)
    shown = CAMERA.project((np.array(CAMERA.position) + 2.5 * d)[None])
    assert shown[0] == pytest.approx([20.5, 70.5, 2.5])


def test_free_rays_agree_with_every_solid_tried_alone():
    """Bounding boxes, leaves and batches only save time."""
    caster = RayCaster(LOW, HIGH, GROUPS)
    rng = np.random.default_rng(1)
    o = tuple(
        torch.tensor(rng.uniform(a + 0.1, b - 0.1, 6000), dtype=torch.float32)
        for a, b in zip(LOW, HIGH, strict=True)
    )
    d = tuple(torch.tensor(rng.normal(0, 1, 6000), dtype=torch.float32) for _ in range(3))
    best, number = leave_shell(caster.low, caster.high, o, d), torch.zeros(6000, dtype=torch.int32)
    for k, s in enumerate(caster.solids, 1):
        hit = intersect(s.shape, s.axes.tolist(), (s.axes @ s.center).tolist(), s.size.tolist(), o, d)
        number = torch.where(hit < best, k, number)
        best = torch.minimum(hit, best)
    t, ids = caster.nearest(o, d)
    torch.testing.assert_close(t, best, atol=1e-3, rtol=1e-3)
    assert (ids == number).float().mean() > 0.999
    assert (number > 0).sum() > 200
    shadow = caster.blocked(o, d, 0.9 * best + 0.0)
    assert not shadow.any()
    shadow = caster.blocked(o, d, best * 1.01 + 0.01)
    assert (shadow == (number > 0)).float().mean() > 0.99


def test_camera_rays_agree_with_free_rays():
    caster = RayCaster(LOW, HIGH, GROUPS)
    z, ids = caster.first_hits(CAMERA, [(0.25, -0.25)])
    d = tuple(c.flatten() for c in CAMERA.rays(0.25, -0.25))
    o = tuple(torch.full_like(d[0], c) for c in CAMERA.position)
    t, other = caster.nearest(o, d)
    torch.testing.assert_close(z.flatten(), t, atol=1e-3, rtol=0)
    assert (ids.flatten() == other).float().mean() > 0.999
    assert (ids > 0).float().mean() > 0.02


def test_trim_is_seen_but_throws_no_shadow():
    board = box((0.0, 1.3, 6.98), (1, 1, 0.02), None)
    caster = RayCaster(LOW, HIGH, [], [board])
    _, ids = caster.first_hits(CAMERA._replace(yaw=0.0, pitch=0.0), [(0.0, 0.0)])
    assert (ids == 1).any()
    o = tuple(torch.tensor([c]) for c in (0.0, 1.3, 3.0))
    assert not caster.blocked(o, tuple(torch.tensor([c]) for c in (0.0, 0.0, 1.0)), 5.0).any()
