"""A scene as points in space."""

import numpy as np

from mdlib.viewing.points import GROUND, point_cloud, view_points, write_ply


def wall(h: int = 40, w: int = 60, z_m: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    img = np.random.default_rng(0).integers(0, 200, (h, w, 3), dtype=np.uint8)
    return img, np.full((h, w), 0.5 / z_m, np.float32)


def test_a_wall_is_flat_and_as_wide_as_it_is_seen():
    points = point_cloud(*wall(), fov_deg=90)
    assert len(points.xyz) == 40 * 60
    np.testing.assert_allclose(points.xyz[:, 2], 2.0, atol=1e-6)
    # A view of 90 degrees is 4 m wide at a distance of 2 m; the first pixel's centre is half a pixel inside.
    np.testing.assert_allclose(points.xyz[0], [-2 * 59 / 60, 2 * 39 / 60, 2], atol=1e-6)


def test_unknown_far_and_edge_pixels_are_left_out():
    img, depth = wall()
    depth[0, 0], depth[0, 5], depth[20:, :] = np.nan, 0.0, 0.5 / 4
    kept = point_cloud(img, depth)
    rows = 40 - 2  # of the edge, a row on each side
    assert 60 * rows - 6 <= len(kept.xyz) <= 60 * rows - 2
    assert np.isfinite(kept.xyz).all()


def test_seen_from_the_front_it_is_the_picture():
    img, depth = wall()
    points = point_cloud(img, depth)
    seen = view_points(points, (40, 60))
    assert (seen == img).all(2).mean() > 0.2  # each point also covers its neighbours
    assert (seen == GROUND).all(2).mean() < 0.02
    turned = view_points(points, (40, 60), turn_deg=40)
    assert (turned == GROUND).all(2).mean() > 0.1  # narrower, so the ground shows beside it
    assert (view_points(point_cloud(img, depth * np.nan), (8, 9)) == GROUND).all()


def test_near_points_hide_far_ones():
    img, depth = wall()
    img[:], img[10:30, 20:40] = 50, 150
    depth[10:30, 20:40] = 0.5
    assert view_points(point_cloud(img, depth), (40, 60))[20, 30].tolist() == [150] * 3


def test_ply(tmp_path):
    points = point_cloud(*wall(4, 5))
    data = write_ply(tmp_path / "deep/points.ply", points).read_bytes()
    head, _, body = data.partition(b"end_header\n")
    assert b"element vertex 20\n" in head and head.startswith(b"ply\nformat binary_little_endian 1.0\n")
    assert len(body) == 20 * (12 + 3)
    np.testing.assert_array_equal(np.frombuffer(body[:12], "<f4"), points.xyz[0])
    assert tuple(body[12:15]) == tuple(points.rgb[0])
