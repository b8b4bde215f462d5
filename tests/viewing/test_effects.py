"""Effects: what must stay stays, what is far is blurred and moves less; a scene as points in space."""

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from mdlib.viewing import effects
from mdlib.viewing.effects import GROUND, ply_bytes, point_cloud, view_points


@pytest.fixture
def room() -> dict[str, np.ndarray]:
    """Noise as a place that gets farther to the right, and a plain red square in front of it."""
    rng = np.random.default_rng(0)
    bg = rng.integers(60, 200, (60, 80, 3), dtype=np.uint8)
    mask = np.zeros((60, 80), np.float32)
    mask[20:45, 30:50] = 1
    fg_bg = bg.copy()
    fg_bg[mask > 0] = (220, 30, 20)
    depth = np.linspace(0.4, 0.1, 80, dtype=np.float32)[None].repeat(60, 0)
    depth[mask > 0] = 0.5
    return {"bg_img": bg, "fg_bg_img": fg_bg, "mask": mask, "depth": depth}


def three(room: dict) -> tuple[np.ndarray, ...]:
    return room["bg_img"], room["fg_bg_img"], room["mask"]


def test_cut_out_is_the_object_alone(room):
    rgba = effects.cut_out(*three(room))
    assert rgba.shape == (60, 80, 4)
    assert (rgba[30, 40] == (220, 30, 20, 255)).all()
    assert (rgba[..., 3] == room["mask"] * 255).all()


def test_soft_edges_lose_the_old_background():
    bg, red = np.full((16, 16, 3), 255, np.uint8), np.array([255, 0, 0])
    mask = np.full((16, 16), 0.5, np.float32)
    light = 0.5 + 0.5 * np.array([1, 0, 0])  # half of each, in linear light
    stored = np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))
    mixed = np.broadcast_to(stored, (16, 16, 3)).astype(np.uint8)
    # Rounded when it was stored; near black, the eye's scale makes 17 levels of it.
    np.testing.assert_allclose(effects.cut_out(bg, mixed, mask)[8, 8, :3], red, atol=17)


def test_new_background(room):
    other = np.full((90, 300, 3), (0, 90, 0), np.uint8)
    out = effects.replace_background(*three(room), other)
    assert (out[30, 40] == (220, 30, 20)).all()
    assert (out[5, 5] == (0, 90, 0)).all()


def test_colour_pop(room):
    out = effects.colour_pop(room["fg_bg_img"], room["mask"])
    assert (out[30, 40] == (220, 30, 20)).all()
    assert (np.ptp(out[:15].astype(int), axis=2) <= 1).all()
    unchanged = effects.colour_pop(room["fg_bg_img"], room["mask"], 0.0)
    np.testing.assert_allclose(unchanged.astype(int), room["fg_bg_img"], atol=1)


def test_portrait_blur_keeps_the_object_and_blurs_more_the_farther(room):
    out = effects.portrait_blur(*three(room), room["depth"], 1.0).astype(float)
    assert (np.abs(out[22:43, 32:48] - (220, 30, 20)) <= 1).all()
    left, right = out[:18, 2:20].std(), out[:18, 60:78].std()
    assert right < left < room["fg_bg_img"][:18, 2:20].std()
    beside = out[25:40, 52:58]  # nothing of the red square has bled into the blurred place
    assert (beside[..., 0] - beside[..., 1]).mean() < 15


def test_portrait_blur_with_another_focus_blurs_the_object(room):
    out = effects.portrait_blur(*three(room), room["depth"], 1.0, focus=0.1).astype(float)
    assert np.abs(out[32, 29:31] - (220, 30, 20)).mean() > 5
    still = effects.portrait_blur(*three(room), room["depth"], 0.0).astype(int)
    assert np.abs(still - room["fg_bg_img"])[:15].max() <= 2


def test_parallax_moves_near_things_more():
    bg = np.full((40, 120, 3), 90, np.uint8)
    bg[:, 100:102] = 255  # a far line, and a near object
    mask = np.zeros((40, 120), np.float32)
    mask[10:30, 30:40] = 1
    fg_bg = np.where(mask[..., None] > 0, np.array([200, 20, 20]), bg).astype(np.uint8)
    depth = np.where(mask > 0, 0.6, 0.2).astype(np.float32)
    frames = effects.parallax(bg, fg_bg, mask, depth, 1.0)
    centres = []
    for frame in frames:
        weight = np.clip(frame[20, 10:70, 0].astype(float) - 100, 0, None)
        centres.append((weight * np.arange(60)).sum() / weight.sum())
        np.testing.assert_array_equal(frame[20, 80:].argmax(), frames[0][20, 80:].argmax())
    assert 10 < np.ptp(centres) < 16  # twice 6 % of 120 px
    assert len(frames) == effects.FRAMES


def test_gif_is_an_animation(room):
    data = effects.write_gif(effects.parallax(*three(room), room["depth"], 0.5))
    with Image.open(io.BytesIO(data)) as img:
        assert img.info["loop"] == 0
        assert sum(1 for _ in ImageSequence.Iterator(img)) > effects.FRAMES // 2  # equal ones are one
        assert img.size == (80, 60)


def test_nothing_found_is_no_error(room):
    room["mask"] = np.zeros_like(room["mask"])
    assert effects.portrait_blur(*three(room), room["depth"]).shape == (60, 80, 3)
    assert len(effects.parallax(*three(room), room["depth"])) == effects.FRAMES
    assert effects.cut_out(*three(room))[..., 3].max() == 0


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


def test_ply():
    points = point_cloud(*wall(4, 5))
    head, _, body = ply_bytes(points).partition(b"end_header\n")
    assert b"element vertex 20\n" in head and head.startswith(b"ply\nformat binary_little_endian 1.0\n")
    assert len(body) == 20 * (12 + 3)
    np.testing.assert_array_equal(np.frombuffer(body[:12], "<f4"), points.xyz[0])
    assert tuple(body[12:15]) == tuple(points.rgb[0])
