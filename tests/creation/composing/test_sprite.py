"""Cut-outs are freed of what their soft edges hold of an old background."""

import numpy as np
import pytest
import torch

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.items import Placements


def to_linear(stored):
    c = np.asarray(stored, np.float64) / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_stored(linear):
    c = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return c * 255.0


def rows(*placed, height):
    """Placements from (sample, fg, flip, x, y, height in pixels, z)."""
    sample, fg, flip, x, y, h, z = (np.array(column) for column in zip(*placed, strict=True))
    zero = np.zeros(len(sample), np.int64)
    return Placements(sample, zero, fg, flip.astype(bool), x, y, h / height, z.astype(float), zero)


def plain(colour, h, w, batch=1):
    return torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(batch, 3, h, w).contiguous()


def rgba(colour, alpha):
    img = np.empty((*np.shape(alpha), 4), np.uint8)
    img[..., :3], img[..., 3] = colour, alpha
    return img


def soft_disc(size=48):
    y, x = np.mgrid[:size, :size] + 0.5
    return (
        np.clip(size * 0.35 - np.hypot(y - size / 2, x - size / 2) + 1.5, 0, 3) / 3
    )  # an edge of three pixels


@pytest.mark.parametrize("old", [(255, 255, 255), (30, 200, 60), (0, 0, 0)])
def test_no_halo_of_the_scene_that_an_object_was_cut_from(old):
    """Soft edges of a photographed object hold its old background; over a new one they must not show it."""
    alpha, colour, new = soft_disc()[..., None], (190, 70, 40), (20, 30, 90)
    stored = np.rint(to_stored(alpha * to_linear(colour) + (1 - alpha) * to_linear(old)))
    rounded = np.rint(alpha[..., 0] * 255)
    exact = to_stored(
        rounded[..., None] / 255 * to_linear(colour) + (1 - rounded[..., None] / 255) * to_linear(new)
    )
    out = compose(
        plain(new, 48, 48), [make_sprite(rgba(stored, rounded))], rows((0, 0, 0, 0, 0, 48, np.nan), height=48)
    )
    assert np.abs(out["fg_bg"][0].permute(1, 2, 0).numpy() - exact).max() <= 2


def test_a_cutout_of_known_colour_and_alpha_is_not_changed_by_edge_cleaning():
    alpha = np.rint(soft_disc() * 255)
    y, x = np.mgrid[:48, :48]
    colour = np.stack([60 + 2 * x, 200 - y, np.full_like(x, 90)], -1)
    exact = to_stored(
        alpha[..., None] / 255 * to_linear(colour) + (1 - alpha[..., None] / 255) * to_linear((0, 0, 40))
    )
    out = compose(
        plain((0, 0, 40), 48, 48),
        [make_sprite(rgba(colour, alpha))],
        rows((0, 0, 0, 0, 0, 48, np.nan), height=48),
    )
    assert np.abs(out["fg_bg"][0].permute(1, 2, 0).numpy() - exact).max() <= 1


def test_glass_inside_an_object_keeps_its_own_colour():
    img = rgba((50, 50, 50), np.full((40, 40), 255))
    img[12:28, 12:28] = (90, 200, 210, 100)
    out = compose(plain((0, 0, 0), 40, 40), [make_sprite(img)], rows((0, 0, 0, 0, 0, 40, np.nan), height=40))
    expected = to_stored(100 / 255 * to_linear((90, 200, 210)))
    pane = out["fg_bg"][0, :, 13:27, 13:27].numpy().reshape(3, -1)
    assert np.abs(pane - expected[:, None]).max() <= 0.6


def test_transparent_black_around_an_object_does_not_darken_it():
    img = rgba((0, 0, 0), np.zeros((60, 60)))
    img[10:50, 10:50] = (230, 230, 230, 255)
    out = compose(
        plain((230, 230, 230), 20, 20), [make_sprite(img)], rows((0, 0, 0, 0, 0, 20, np.nan), height=20)
    )
    assert out["fg_bg"].unique().tolist() == [230]


def test_a_cutout_without_alpha_channel_is_refused():
    with pytest.raises(ValueError, match="RGBA"):
        make_sprite(torch.zeros(3, 5, 5, dtype=torch.uint8))
