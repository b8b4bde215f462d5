"""Intersections against closed forms and against signed distance functions, all in float64."""

import numpy as np
import pytest
import torch

from mdlib.rooms.raycasting.solids import (
    along,
    ball,
    box,
    capsule,
    cone,
    corners,
    intersect,
    leave_shell,
    moved,
    silhouette,
    turned,
)  # fmt: skip


def hit(solid, origin, directions):
    """Ray parameters (N,) of rays from one origin."""
    center = (solid.axes @ solid.center).tolist()
    rays = tuple(torch.tensor(directions[:, k], dtype=torch.float32) for k in range(3))
    t = intersect(solid.shape, solid.axes.tolist(), center, solid.size.tolist(), tuple(origin), rays)
    return t.double().numpy()


def distance(solid, points):
    """Signed distance (a lower bound of it for balls and cones) of points (N, 3), positive outside."""
    q = (points - solid.center) @ solid.axes.T
    a, b, c = solid.size
    side = np.hypot(q[:, 0], q[:, 2])
    if solid.shape == 0:
        return (np.abs(q) - solid.size).max(1)
    if solid.shape == 1:
        return (np.linalg.norm(q / solid.size, axis=1) - 1) * solid.size.min()
    if solid.shape == 2:
        slope = (c - a) / (2 * b)
        flank = (side - ((a + c) / 2 + slope * q[:, 1])) / np.hypot(1, slope)
        return np.maximum(flank, np.abs(q[:, 1]) - b)
    return np.linalg.norm(q - np.stack([0 * side, np.clip(q[:, 1], -b, b), 0 * side], 1), axis=1) - a


SOLIDS = {
    "box": box((0.2, 0.9, 4.0), (0.7, 1.1, 0.3), None, yaw=0.5, tilt=0.3),
    "thin box": box((-0.3, 1.2, 3.0), (1.4, 0.02, 0.9), None),
    "sphere": ball((0.3, 1.1, 3.5), 0.4, None),
    "leaf": ball((0.0, 1.4, 3.2), (0.2, 0.006, 0.3), None, yaw=1.0, tilt=0.7),
    "cylinder": cone((-0.3, 0.4, 3.0), (0.4, 1.5, 4.0), 0.25, None),
    "pot": cone((0.1, 0.8, 3.0), (0.1, 1.5, 3.0), 0.2, None, 0.45),
    "pointed": cone((0.0, 0.8, 3.0), (0.3, 1.5, 3.2), 0.4, None, 0.0),
    "capsule": capsule((-0.4, 1.0, 2.5), (0.5, 1.3, 4.0), 0.2, None),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_the_hit_is_the_first_point_on_the_surface(name):
    solid, rng = SOLIDS[name], np.random.default_rng(3)
    origin = np.array([0.1, 1.55, 0.0])
    aim = solid.center + rng.normal(0, 0.35, (1500, 3))
    directions = (aim - origin) / (aim - origin)[:, 2:]
    t = hit(solid, origin, directions)
    met = np.isfinite(t)
    assert 80 < met.sum() < 1500
    on_it = origin + t[met, None] * directions[met]
    assert np.abs(distance(solid, on_it)).max() < 1e-3
    before = np.linspace(0, 1, 400)[:-2, None, None] * (on_it - origin) + origin
    assert distance(solid, before.reshape(-1, 3)).min() > -1e-4
    past = origin + np.linspace(0.1, 8, 800)[:, None, None] * directions[~met]
    assert distance(solid, past.reshape(-1, 3)).min() > -2e-4


def test_sphere_in_closed_form():
    directions = np.array([[0.0, 0.0, 1.0], [0.05, 0.02, 1.0], [0.3, 0.0, 1.0]])
    t = hit(ball((0, 0, 4.0), 0.5, None), (0, 0, 0), directions)
    assert t[0] == pytest.approx(3.5, abs=1e-5)
    d = directions[1]
    b, c = d @ (0, 0, 4.0), 16 - 0.25
    assert t[1] == pytest.approx((b - np.sqrt(b * b - d @ d * c)) / (d @ d), abs=1e-5)
    assert np.isinf(t[2])


def test_upright_cylinder_in_closed_form():
    d = np.array([[0.04, 0.1, 1.0]])
    t = hit(cone((0, -1, 5.0), (0, 3, 5.0), 0.6, None), (0, 0, 0), d)
    a, b, c = 0.04**2 + 1, 5.0, 25 - 0.36
    assert t[0] == pytest.approx((b - np.sqrt(b * b - a * c)) / a, abs=1e-5)


def test_what_lies_behind_the_origin_is_not_met():
    for solid in SOLIDS.values():
        assert np.isinf(hit(solid, (0.1, 1.5, 9.0), np.array([[0.0, -0.03, 1.0], [0.1, 0.0, 1.0]]))).all()


def test_the_shell_is_left_through_the_right_wall():
    d = tuple(torch.tensor(c) for c in ([0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.5, 0.25]))
    t = leave_shell((-2, 0, 0), (2, 2.5, 6), (0.5, 1.5, 1.0), d)
    assert t.tolist() == pytest.approx([5.0, 1.5, 1.5])


def test_many_solids_at_once_agree_with_one_by_one():
    """One batch of solids, parameters (P, 1), gives the rows that single calls give."""
    solids = [cone((x, 0.5, 3.0 + x), (x, 1.5 + x, 3.0), 0.2 + 0.1 * x, None, 0.3) for x in (0.0, 0.4, 0.8)]
    rng = np.random.default_rng(0)
    directions = np.concatenate([rng.normal(0, 0.2, (200, 2)), np.ones((200, 1))], 1)

    def column(values):
        return torch.tensor(np.array(values), dtype=torch.float32)[:, None]

    axes = [[column([s.axes[i, k] for s in solids]) for k in range(3)] for i in range(3)]
    centers = [s.axes @ s.center for s in solids]
    center = tuple(column([c[k] for c in centers]) for k in range(3))
    size = tuple(column([s.size[k] for s in solids]) for k in range(3))
    rays = tuple(torch.tensor(directions[:, k], dtype=torch.float32) for k in range(3))
    together = intersect(solids[0].shape, axes, center, size, (0.0, 1.0, 0.0), rays).numpy()
    single = np.stack([hit(s, (0.0, 1.0, 0.0), directions) for s in solids])
    assert np.isfinite(single).any(1).all()
    both = np.isfinite(single) & np.isfinite(together)
    assert (np.isfinite(single) != np.isfinite(together)).mean() < 0.002  # rays that just graze
    np.testing.assert_allclose(together[both], single[both], atol=1e-3)


def test_moved_solids_turn_and_shift_rigidly():
    solid = box((1.0, 0.5, 0.0), (0.4, 1.0, 0.2), None)
    (there,) = moved([solid], np.pi / 2, (0.0, 0.0, 3.0))
    np.testing.assert_allclose(there.center, [0.0, 0.5, 2.0], atol=1e-12)  # x turns towards -z
    np.testing.assert_allclose(there.axes @ there.axes.T, np.eye(3), atol=1e-12)
    assert np.ptp(corners(there), axis=0) == pytest.approx([0.2, 1.0, 0.4])


def test_turned_leans_back_away_from_the_viewer():
    up = turned(tilt=0.3)[1]
    assert up == pytest.approx([0, np.cos(0.3), np.sin(0.3)])


@pytest.mark.parametrize("name", SOLIDS)
def test_the_outline_spans_the_solid(name):
    """No point lies outside, and along its own axes it reaches as far as the bounding box."""
    solid = SOLIDS[name]
    points = silhouette(solid)
    assert distance(solid, points).max() < 1e-9
    own, box_own = ((x - solid.center) @ solid.axes.T for x in (points, corners(solid)))
    np.testing.assert_allclose(np.abs(own).max(0), box_own.max(0), rtol=1e-9)


def test_along_is_the_point_on_the_ray():
    assert along((1.0, 2.0, 3.0), 2.0, (0.5, 0.0, -1.0)) == (2.0, 2.0, 1.0)
