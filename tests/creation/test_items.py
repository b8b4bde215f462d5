"""The table of placements as it is stored."""

import numpy as np

from mdlib.creation.items import COLUMNS, Background, Cutout
from mdlib.creation.placing.candidates import Rules
from mdlib.creation.placing.outline import Ground, Outline
from mdlib.creation.placing.placements import place_all

FOCAL_PX, CAMERA_M = 90.0, 1.5


def cutout(seed, h=40, w=24, height_m=None):
    """A shape whose area is not spread evenly over its box, and that fills the box."""
    rng = np.random.default_rng(seed)
    alpha = np.zeros((h, w), np.uint8)
    for _ in range(4):
        top, left = rng.integers(0, h), rng.integers(0, w)
        alpha[top : top + rng.integers(2, h), left : left + rng.integers(2, w)] = 255
    alpha[:, w // 2] = 255
    alpha[h // 3] = 255
    rgba = np.dstack([np.full((h, w, 3), 90, np.uint8), alpha])
    return Cutout(f"cutout-{seed}", rgba, None, height_m)


def photograph(h=60, w=80):
    return Background("photograph", np.zeros((h, w, 3), np.uint8))


def room(h=96, w=96, wall_m=8.0):
    """A level camera before a flat floor and a wall: z = focal * height / (row - horizon), in closed form."""
    down = np.arange(h) + 0.5 - h / 2
    with np.errstate(divide="ignore"):
        z = np.where(down > 0, FOCAL_PX * CAMERA_M / np.maximum(down, 1e-9), np.inf)
    floor = np.broadcast_to((z < wall_m)[:, None], (h, w)).copy()
    z = np.broadcast_to(np.minimum(z, wall_m)[:, None], (h, w)).astype(np.float32).copy()
    return Background("room", np.zeros((h, w, 3), np.uint8), z, floor, FOCAL_PX)


def test_the_table_has_ids_of_fixed_width_and_keeps_every_value():
    placed = place_all(
        3, 1, Ground(room()), [Outline(cutout(i)) for i in range(2)], [False, True], 3, Rules()
    )
    head, *lines, end = placed.to_csv(7, 4, 5).decode().split("\n")
    assert head == COLUMNS == "sample,bg,fg,flip,x_px,y_px,scale,z_m,seed"
    assert end == "" and len(lines) == 12
    first = lines[0].split(",")
    assert first[:4] == ["0000012", "0001", "00000", "0"]
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    for column, name in enumerate(COLUMNS.split(",")):
        if name != "z_m":
            assert (table[:, column] == getattr(placed, name)).all()
    np.testing.assert_allclose(table[:, 7], placed.z_m, atol=0.0005)
    unknown = place_all(3, 1, Ground(photograph()), [Outline(cutout(1))], [False], 2, Rules())
    assert unknown.to_csv(6, 4, 4).decode().split("\n")[1].split(",")[7] == ""
