"""Cast shadows: where they fall, and what they leave alone."""

import numpy as np
import pytest
import torch

from mdlib.creation.compose import compose
from mdlib.creation.placing import Placements
from mdlib.creation.shadows import cast
from mdlib.creation.sprites import make_sprite


def placed(count, seed=0):
    values = {"sample": np.arange(count), "bg": 0, "fg": 0, "flip": False, "x_px": 30, "y_px": 20}
    values |= {"scale": 0.4, "z_m": 3.0, "seed": 1000 * np.arange(count) + seed}
    return Placements(**{name: np.broadcast_to(np.array(value), count) for name, value in values.items()})


@pytest.fixture(scope="module")
def sprite():
    rgba = np.zeros((40, 12, 4), np.uint8)
    rgba[..., :3], rgba[:, 2:10, 3] = 200, 255
    return make_sprite(rgba)


def test_begins_at_the_foot_and_reaches_away_from_it():
    alpha = torch.zeros(1, 40, 12)
    alpha[:, :, 4:8] = 1
    behind = 0
    for seed in range(40):
        shadow = cast(alpha, 100, 50, seed, darkest=0.8)
        rows, columns = torch.nonzero(shadow.shade[0] > 0.02, as_tuple=True)
        rows, columns = rows + shadow.top, columns + shadow.left
        assert shadow.shade.min() >= 0 and 0.05 < shadow.shade.max() <= 0.8
        up, down = 90 - int(rows.min()), int(rows.max()) - 89  # the foot is row 89
        behind += up > down
        near, far = sorted((up, down))
        assert near <= 3 and 4 <= far <= 0.45 * 40 + 3
        at_foot = columns[(rows - 89).abs() <= 1]
        assert at_foot.min() >= 96 and at_foot.max() <= 116 and columns.min() < 108 and columns.max() >= 104
    assert 10 < behind < 35  # 24 expected


def test_darkens_the_floor_only_and_is_no_object(sprite):
    bg = torch.full((1, 3, 80, 80), 180, dtype=torch.uint8).expand(12, -1, -1, -1)
    z, floor = torch.full((12, 1, 80, 80), 3.0), torch.zeros(12, 1, 80, 80, dtype=torch.bool)
    floor[..., 40:, :40] = True
    plain = compose(bg, [sprite], placed(12), z, floor)
    shaded = compose(bg, [sprite], placed(12), z, floor, shadow=0.7)
    assert (shaded["mask"] == plain["mask"]).all() and torch.equal(shaded["z"], plain["z"])
    changed = (shaded["fg_bg"] != plain["fg_bg"]).any(1, keepdim=True)
    assert not changed[~floor].any() and not changed[plain["mask"] == 255].any()
    darker = (shaded["fg_bg"] < plain["fg_bg"]).flatten(1).sum(1)
    assert (shaded["fg_bg"] <= plain["fg_bg"]).all() and (darker > 20).sum() >= 8
    for b, (top, bottom, left, right) in enumerate(shaded["box"].tolist()):
        outside = torch.ones(80, 80, dtype=torch.bool)
        outside[top:bottom, left:right] = False
        assert not changed[b, 0][outside].any()


def test_light_is_taken_away_in_linear_light(sprite):
    bg = torch.full((1, 3, 80, 80), 188, dtype=torch.uint8)  # half of the light that white gives
    shade = cast(torch.ones(1, 32, 10), 30, 20, 5, darkest=1.0)
    out = compose(bg, [make_sprite(np.full((32, 10, 4), 255, np.uint8))], placed(1, seed=5), shadow=1.0)
    rows, columns = torch.nonzero((out["mask"][0, 0] == 0) & (out["fg_bg"][0, 0] < 188), as_tuple=True)
    assert len(rows) > 20
    for y, x in list(zip(rows.tolist(), columns.tolist(), strict=True))[::7]:
        left = 0.5029 * (1 - float(shade.shade[0, y - shade.top, x - shade.left]))  # of 188 in linear light
        expected = 12.92 * left if left <= 0.0031308 else 1.055 * left ** (1 / 2.4) - 0.055
        assert abs(int(out["fg_bg"][0, 0, y, x]) - 255 * expected) <= 1


def test_follows_from_the_seed_alone(sprite):
    bg = torch.full((1, 3, 80, 80), 180, dtype=torch.uint8).expand(6, -1, -1, -1)
    many = compose(bg, [sprite], placed(6), shadow=0.5)["fg_bg"]
    assert len({picture.numpy().tobytes() for picture in many}) == 6
    for k in range(6):
        alone = compose(bg[:1], [sprite], placed(6)[np.array([k])], shadow=0.5)["fg_bg"]
        assert torch.equal(alone[0], many[k])
