"""Rooms: metric depth that a camera in the room would measure, and pictures that repeat to the byte."""

import numpy as np
import pytest
import torch

from mdlib.rooms.generate import render_room, render_room_with_prop

SIZE = (96, 96)


SIZE = (96, 96)
SEEDS = range(5)


@pytest.fixture(scope="module")
def rooms():
    return [render_room(seed, SIZE) for seed in SEEDS]


def test_shapes_and_types(rooms):
    for room in rooms:
        assert room.rgb.shape == (96, 96, 3) and room.rgb.dtype == np.uint8
        assert room.z.shape == SIZE and room.z.dtype == np.float32
        assert room.floor.shape == SIZE and room.floor.dtype == bool


def test_every_pixel_has_a_depth_inside_the_room(rooms):
    for room in rooms:
        assert np.isfinite(room.z).all() and room.z.min() > 0.2 and room.z.max() < 16


def test_cameras_are_as_promised(rooms):
    for room in rooms:
        view = np.degrees(2 * np.arctan(96 / 2 / room.focal_px))
        assert 55 <= view <= 65 and 1.4 <= room.camera_height_m <= 1.7 and 0 <= room.pitch_rad < 0.3


def test_floor_pixels_lie_on_the_floor_plane(rooms):
    """z (sin pitch + v cos pitch) is the camera's height on the floor, and less everywhere above it."""
    v = (np.arange(96) + 0.5 - 48)[:, None]
    for room in rooms:
        drop = room.z * (np.sin(room.pitch_rad) + v / room.focal_px * np.cos(room.pitch_rad))
        assert np.abs(drop[room.floor] - room.camera_height_m).max() < 1e-3
        assert (drop[~room.floor] < room.camera_height_m + 1e-3).all()
        assert room.floor.mean() > 0.05


def test_same_seed_same_bytes_whatever_the_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = render_room(3, (160, 200))
        torch.set_num_threads(3)
        three = render_room(3, (160, 200))
    finally:
        torch.set_num_threads(before)
    assert one.rgb.tobytes() == three.rgb.tobytes() and one.z.tobytes() == three.z.tobytes()
    assert one.rgb.shape == (160, 200, 3)


def test_seeds_differ(rooms):
    assert len({room.rgb.tobytes() for room in rooms}) == len(rooms)


def test_pictures_are_well_exposed(rooms):
    """Neither black nor blown out, and with contrast."""
    for room in rooms:
        assert 50 < np.median(room.rgb) < 230 and room.rgb.std() > 20


def test_a_prop_inside_a_room():
    both = render_room_with_prop(1, 5, SIZE)
    room = render_room(1, SIZE)
    assert both.room.rgb.tobytes() == room.rgb.tobytes() and (both.room.z == room.z).all()
    assert (
        both.mask.dtype == np.float32
        and both.mask.min() >= 0
        and both.mask.max() == pytest.approx(1, abs=1e-3)
    )
    assert (both.z <= room.z).all()  # a thing can only come nearer
    clear, inside = both.mask == 0, both.mask > 0.99
    assert (both.z[clear] == room.z[clear]).all()
    assert (both.z[inside] < room.z[inside]).mean() > 0.99
    change = np.abs(both.rgb.astype(int) - room.rgb).max(2)
    assert change[inside].mean() > 4 * np.median(change[clear])


def test_a_prop_inside_a_room_stands_on_its_floor():
    """Where the prop's lowest visible pixel is, the floor is just below and just behind."""
    both = render_room_with_prop(3, 3, SIZE)
    room, own = both.room, both.z < both.room.z
    row = np.flatnonzero(own.any(1))[-1]
    v = (row + 0.5 - 48) / room.focal_px
    drop = both.z[row][own[row]] * (np.sin(room.pitch_rad) + v * np.cos(room.pitch_rad))
    pixel = both.z[row][own[row]].min() / room.focal_px
    assert 0 <= room.camera_height_m - drop.max() < 2 * pixel


def test_a_size_too_small_is_refused():
    with pytest.raises(ValueError, match="at least 16 x 16"):
        render_room(0, (8, 224))
