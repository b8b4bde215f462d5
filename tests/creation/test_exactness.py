"""What samples promise, against closed forms: depth, edges, feet, colours, and how places are spread."""

import hashlib
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.items import Background, Cutout, Placements, to_whole_mm
from mdlib.creation.placing.candidates import Rules, place
from mdlib.creation.placing.counted_random import row_seeds
from mdlib.creation.placing.outline import Ground, Outline
from mdlib.creation.placing.placements import place_all
from mdlib.rooms.generate import render_room
from mdlib.rooms.raycasting.rays import Camera
from mdlib.rooms.raycasting.render import render

FOCAL_PX, HEIGHT_M, PITCH, WALL_M = 100.0, 1.55, 0.12, 7.0  # of the camera; metres to a wall, level


def rows(*placed, height):
    """Placements from (sample, fg, flip, x, y, height in pixels, z)."""
    sample, fg, flip, x, y, h, z = (np.array(column) for column in zip(*placed, strict=True))
    zero = np.zeros(len(sample), np.int64)
    return Placements(sample, zero, fg, flip.astype(bool), x, y, h / height, z.astype(float), zero)


def flat_room(size=(112, 112)):
    """z (H,W) float64 of a floor and an upright wall before a camera that looks down; and the floor."""
    down = (np.arange(size[0]) + 0.5 - size[0] / 2) / FOCAL_PX
    sin, cos = np.sin(PITCH), np.cos(PITCH)
    with np.errstate(divide="ignore"):
        to_floor = np.where(sin + down * cos > 0, HEIGHT_M / np.maximum(sin + down * cos, 1e-9), np.inf)
    to_wall = WALL_M / (cos - down * sin)
    z = np.broadcast_to(np.minimum(to_floor, to_wall)[:, None], size)
    return z, np.broadcast_to((to_floor < to_wall)[:, None], size)


def background(size=(112, 112)):
    z, floor = flat_room(size)
    return Background("flat", np.full((*size, 3), 90, np.uint8), to_whole_mm(z), floor.copy(), FOCAL_PX)


def lump(seed, h, w, height_m=None):
    """An object of random shape that stands on its box's lower edge."""
    rng = np.random.default_rng(seed)
    alpha = np.zeros((h, w), np.uint8)
    for _ in range(5):
        top, left = rng.integers(0, h), rng.integers(0, w)
        alpha[top : top + rng.integers(1, h), left : left + rng.integers(1, w)] = rng.integers(140, 256)
    alpha[:, w // 2 : w // 2 + 2] = 255
    alpha[h // 3] = 255
    return Cutout("lump", np.dstack([np.full((h, w, 3), 200, np.uint8), alpha]), None, height_m)


def test_the_walls_of_a_ray_cast_room_are_the_planes_they_should_be():
    """Floor, ceiling and walls of an empty room, each pixel, in double precision."""
    from mdlib.rooms.materials.texture import Material
    from mdlib.rooms.raycasting.lighting import Lamp, LitRoom

    gray = Material("plaster", ((0.5, 0.5, 0.5),))
    low, high, eye, pitch = (-2.1, 0.0, -1.0), (1.7, 2.6, 6.3), (0.2, 1.52, 0.3), 0.11
    lamp = Lamp((0.0, 2.55, 3.0), (0.2, 0, 0), (0, 0, 0.2), (0, -1, 0), (8.0, 8.0, 8.0))
    room = LitRoom(low, high, (gray,) * 6, [], [], [lamp])
    frame = render(room, Camera(eye, 0.0, pitch, 70.0, (48.0, 40.0), (80, 96)))
    y, x = np.mgrid[0:80, 0:96] + 0.5
    a, b = (x - 48) / 70, (y - 40) / 70
    way = np.stack([a, -np.sin(pitch) - b * np.cos(pitch), np.cos(pitch) - b * np.sin(pitch)])
    with np.errstate(divide="ignore", invalid="ignore"):
        far = [(np.where(way[k] > 0, high[k], low[k]) - eye[k]) / way[k] for k in range(3)]
    z = np.minimum.reduce([np.where(np.isnan(t), np.inf, t) for t in far])
    np.testing.assert_allclose(frame.z.numpy(), z, atol=1e-3)


@pytest.mark.parametrize(("height", "flip"), [(128, 0), (128, 1), (90, 0), (57, 1), (150, 0)])
def test_a_composed_sphere_has_the_depth_of_a_sphere(height, flip):
    """Its relief comes from the closed form at 128 px; at other sizes it is resampled, rim left out."""
    radius_m, z_m, native = 0.4, 3.0, 128
    offset = (np.arange(native) + 0.5) / native * 2 - 1
    across = np.hypot(offset[:, None], offset[None])
    relief = np.where(across < 1, -radius_m * np.sqrt(np.maximum(0, 1 - across**2)), np.nan)
    ball = np.dstack([np.full((native, native, 3), 180), np.where(across < 1, 255, 0)]).astype(np.uint8)
    z, floor = flat_room((200, 200))
    known = torch.from_numpy(to_whole_mm(z))[None, None]
    out = compose(
        torch.zeros(1, 3, 200, 200, dtype=torch.uint8), [make_sprite(ball, relief)],
        rows((0, 0, flip, 31, 22, height, z_m), height=200), known, torch.tensor(floor)[None, None],
    )  # fmt: skip
    scaled = (np.arange(height) + 0.5) / height * 2 - 1
    across = np.hypot(scaled[:, None], scaled[None])
    exact = np.minimum(
        z_m - radius_m * np.sqrt(np.maximum(0, 1 - across**2)), z[22 : 22 + height, 31 : 31 + height]
    )
    got = out["z"][0, 0, 22 : 22 + height, 31 : 31 + height].numpy()
    inside = across < (0.999 if height == native else 0.9)
    np.testing.assert_allclose(got[inside], exact[inside], atol=1e-3)
    outside = np.ones((200, 200), bool)
    outside[22 : 22 + height, 31 : 31 + height] = across > 1.03
    np.testing.assert_allclose(out["z"][0, 0].numpy()[outside], z[outside], atol=1e-3)
    assert out["mask"][0, 0].numpy()[outside].max() < 128


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), feather=st.sampled_from([0.0, 0.8, 2.0]), objects=st.integers(1, 4))
def test_the_edges_of_mask_and_depth_are_the_same_pixels(seed, feather, objects):
    """z is nearer than the background's exactly where the mask is at least one half; soft edges overlap."""
    rng = np.random.default_rng(seed)
    sprites = []
    for i in range(objects):
        thing = lump(seed + i, int(rng.integers(9, 60)), int(rng.integers(9, 60)))
        thing.rgba[..., 3] = np.where(thing.rgba[..., 3] > 0, rng.integers(0, 256, thing.rgba.shape[:2]), 0)
        sprites.append(make_sprite(thing.rgba, rng.uniform(-0.5, 0, thing.rgba.shape[:2]) if i % 2 else None))
    x, y = rng.integers(-20, 50, objects), rng.integers(-20, 40, objects)
    z_m = np.where(rng.random(objects) < 0.5, rng.uniform(1, 2.4, objects), rng.uniform(2.6, 6, objects))
    flips, heights = rng.integers(0, 2, objects), rng.integers(8, 70, objects)
    placed = zip([0] * objects, range(objects), flips, x, y, heights, z_m, strict=True)
    z = torch.full((1, 1, 64, 80), 9.0)
    z[..., :30] = 2.5  # hides a part of what is farther; nothing stands within the tolerance of it
    out = compose(
        torch.zeros(1, 3, 64, 80, dtype=torch.uint8), sprites, rows(*placed, height=64), z, None, feather
    )
    assert torch.equal(out["mask"] >= 128, out["z"] < z)
    top, bottom, left, right = out["box"][0].tolist()
    out["mask"][..., top:bottom, left:right] = 0
    assert not out["mask"].any()


@pytest.mark.parametrize("height_m", [None, 0.45, 1.75])
def test_no_object_floats(height_m):
    """The lowest row of each mask is that of the floor at the object's distance, by the plane's equation."""
    ground, errors = Ground(background()), []
    bg = torch.from_numpy(background().rgb.copy()).permute(2, 0, 1)[None].expand(300, -1, -1, -1)
    z, floor = torch.from_numpy(background().z.copy()), torch.from_numpy(background().floor.copy())
    for seed, (h, w) in enumerate(((90, 40), (33, 80), (17, 11))):
        thing = lump(seed, h, w, height_m)
        flips = np.arange(300) % 2 == 1
        x, y, height, z_m = place(row_seeds(seed, np.arange(300)), ground, Outline(thing), flips, Rules())
        zero = np.zeros(300, np.int64)
        placed = Placements(np.arange(300), zero, zero, flips, x, y, height / 112, z_m, zero)
        out = compose(
            bg, [make_sprite(thing.rgba)], placed, z.expand(300, 1, -1, -1), floor.expand(300, 1, -1, -1)
        )
        solid = (out["mask"][:, 0] >= 128).any(2).numpy()
        foot = solid.shape[1] - 1 - np.argmax(solid[:, ::-1], 1)
        down = (HEIGHT_M / z_m - np.sin(PITCH)) / np.cos(PITCH)  # of the point where the floor is at z_m
        errors.append(np.abs(foot + 0.5 - (56 + FOCAL_PX * down)))
    assert np.max(errors) <= 1
    assert np.ptp(z_m) > 2


def test_rooms_let_no_object_float():
    """The same on the floors of drawn rooms, for what is not hidden by their furniture."""
    for number in range(3):
        room = render_room(number, (96, 96))
        scene = Background("room", room.rgb, to_whole_mm(room.z), room.floor, room.focal_px)
        thing, count = lump(number, 60, 30), 40
        x, y, height, z_m = place(
            row_seeds(number, np.arange(count)), Ground(scene), Outline(thing), np.zeros(count, bool), Rules()
        )
        zero = np.zeros(count, np.int64)
        placed = Placements(np.arange(count), zero, zero, zero > 0, x, y, height / 96, z_m, zero)
        out = compose(
            torch.zeros(count, 3, 96, 96, dtype=torch.uint8), [make_sprite(thing.rgba)], placed,
            *(torch.tensor(known).expand(count, 1, -1, -1) for known in (scene.z, scene.floor)),
        )  # fmt: skip
        down = (room.camera_height_m / z_m - np.sin(room.pitch_rad)) / np.cos(room.pitch_rad)
        expected = 48 + room.focal_px * down
        for k in range(count):
            foot = np.flatnonzero((out["mask"][k, 0] >= 128).any(1))
            whole = y[k] + round(Outline(thing).foot_row * height[k]) - 1  # where nothing hides it
            assert abs(whole + 0.5 - expected[k]) <= 1
            assert foot[-1] <= whole


@pytest.mark.parametrize("old", [(10, 10, 10), (250, 250, 250), (20, 200, 60)])
def test_no_halo_on_a_second_background(old):
    """A disc of known colour and alpha, photographed on `old`, cut out, put onto another background."""
    colour, new = (170, 60, 110), (70, 130, 220)

    def to_linear(stored):
        c = np.asarray(stored, np.float64) / 255
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)

    def to_stored(light):
        return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)

    y, x = np.mgrid[:90, :90]
    alpha = np.rint(np.clip((30 - np.hypot(y - 44.5, x - 44.5)) / 3 + 0.5, 0, 1) * 255)  # an edge 3 px wide
    a = alpha[..., None] / 255
    photograph = np.rint(to_stored(a * to_linear(colour) + (1 - a) * to_linear(old)))
    cut = np.dstack([photograph, alpha]).astype(np.uint8)
    bg = torch.tensor(new, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 90, 90)
    out = compose(bg, [make_sprite(cut)], rows((0, 0, 0, 0, 0, 90, np.nan), height=90))
    exact = to_stored(a * to_linear(colour) + (1 - a) * to_linear(new))
    assert np.abs(out["fg_bg"][0].permute(1, 2, 0).numpy() - exact).max() <= 2 + 0.5
    assert (out["mask"][0, 0].numpy() == alpha).all()


def box_shaped():
    rgba = np.full((36, 20, 4), 255, np.uint8)
    return Cutout("box", rgba, None, None)


def test_ten_thousand_masks_of_one_pair_differ():
    thing, size = lump(3, 60, 40), (96, 96)
    scene = Background("photograph", np.zeros((*size, 3), np.uint8))
    placed = place_all(0, 0, Ground(scene), [Outline(thing)], [False, True], 5000, Rules())
    bg, sprite, seen = torch.zeros(1, 3, *size, dtype=torch.uint8), make_sprite(thing.rgba), set()
    for start in range(0, len(placed), 100):
        part = placed[slice(start, start + 100)]
        masks = compose(bg.expand(len(part), -1, -1, -1), [sprite], part)["mask"].numpy()
        seen.update(hashlib.sha1(mask.tobytes()).digest() for mask in masks)
    assert len(seen) == 10_000


def test_places_are_evenly_spread():
    """10,000 places of one pair at one size: chi-square over all that the rules allow, and the heat map.

    Bounds are quantiles (1 - 1e-6): of chi-square by Wilson and Hilferty's cube; of the heat map, a binomial
    count, by the normal distribution, divided among the pixels.
    """
    size, n = (96, 112), 10_000
    scene, outline = Background("photograph", np.zeros((*size, 3), np.uint8)), Outline(box_shaped())
    ground, rules = Ground(scene), Rules(scale=(0.375, 0.375), min_inside=0.5)
    x, y, height, _ = place(row_seeds(11, np.arange(n)), ground, outline, np.zeros(n, bool), rules)
    h, w = 36, 20
    assert (height == h).all()
    # Everywhere where at least half is inside, each place is as likely as any other.
    columns, lines = np.arange(-w + 1, size[1]), np.arange(-h + 1, size[0])
    shown_x = (np.minimum(columns + w, size[1]) - np.maximum(columns, 0)) / w
    shown_y = (np.minimum(lines + h, size[0]) - np.maximum(lines, 0)) / h
    share = shown_y[:, None] * shown_x[None]
    sure, never = share > 0.53, share < 0.5
    assert not never[y + h - 1, x + w - 1].any()
    counts = np.zeros(share.shape)
    np.add.at(counts, (y + h - 1, x + w - 1), 1)
    cells = [
        (slice(i, i + 12), slice(j, j + 12))
        for i in range(0, len(lines), 12)
        for j in range(0, len(columns), 12)
    ]
    allowed = np.array([sure[cell].sum() for cell in cells])
    found = np.array([counts[cell][sure[cell]].sum() for cell in cells])
    full = allowed >= 40
    expected = allowed[full] * found[full].sum() / allowed[full].sum()
    chi_square, free = ((found[full] - expected) ** 2 / expected).sum(), full.sum() - 1
    tail = NormalDist().inv_cdf(1 - 1e-6)
    assert chi_square < free * (1 - 2 / (9 * free) + tail * np.sqrt(2 / (9 * free))) ** 3
    assert chi_square > free * (1 - 2 / (9 * free) - tail * np.sqrt(2 / (9 * free))) ** 3
    # The heat map is flat where every place that covers a pixel is allowed.
    heat = np.zeros(size)
    for left, top in zip(x, y, strict=True):
        heat[max(0, top) : top + h, max(0, left) : left + w] += 1
    inner = heat[~np.lib.stride_tricks.sliding_window_view(~sure, (h, w)).any((2, 3))[: size[0], : size[1]]]
    likely = inner.mean() / n
    bound = NormalDist().inv_cdf(1 - 1e-6 / inner.size) * np.sqrt(n * likely * (1 - likely))
    assert inner.size > 0.4 * heat.size
    assert np.abs(inner - inner.mean()).max() < bound
