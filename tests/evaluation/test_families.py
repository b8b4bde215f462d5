"""Each family of disturbances against a formula, scipy or a real JPEG."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mdlib.evaluation import families
from mdlib.evaluation.disturb import disturb, uniform


def centroids(pictures: torch.Tensor) -> torch.Tensor:
    """(B,2) x and y of the centre of mass of the first channel."""
    height, width = pictures.shape[-2:]
    weights = pictures[:, 0] / pictures[:, 0].sum((1, 2), keepdim=True)
    x, y = torch.arange(width, dtype=torch.float32), torch.arange(height, dtype=torch.float32)
    return torch.stack([(weights.sum(1) * x).sum(1), (weights.sum(2) * y).sum(1)], 1)


def dot(count: int, size: int, x: float, y: float) -> torch.Tensor:
    """(count,3,size,size) with one bright dot."""
    rows, columns = torch.meshgrid(*[torch.arange(float(size))] * 2, indexing="ij")
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8).expand(count, 3, size, size)


@pytest.mark.parametrize("size", [56, 112, 224])
def test_shift_moves_by_one_to_five_pixels_at_224(size):
    bg = dot(24, size, size / 2, size / 2)
    moved, _ = disturb("shift", bg, bg, torch.zeros(24, 1, size, size), range(24))
    offset = (centroids(moved) - size / 2) * 224 / size
    length = torch.hypot(*offset.T)
    assert torch.allclose(
        length, torch.from_numpy(1 + 4 * uniform("shift", range(24), 1)[:, 0]).float(), atol=0.02
    )
    assert 1 < length.min() < 2 and 4 < length.max() < 5
    assert (offset.amin(0) < -1).all() and (offset.amax(0) > 1).all()  # in any direction


def test_shift_is_bilinear(scene):
    bg, fg_bg, mask = scene(2, 112, 112)
    bg = (bg + 0.3 * torch.rand(bg.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 1)
    moved, _ = disturb("shift", bg, fg_bg, mask, [6, 7])
    for i, draws in enumerate(uniform("shift", [6, 7], 2)):
        length, angle = (1 + 4 * draws[0]) / 2, 2 * np.pi * draws[1]
        offset = (0, length * np.sin(angle), length * np.cos(angle))
        expected = ndimage.shift(bg[i].double().numpy(), offset, order=1, mode="nearest")
        assert np.abs(moved[i].numpy() - expected).max() < 1e-4


def test_shift_repeats_the_edge():
    bg = torch.full((8, 3, 32, 32), 0.7)
    moved, _ = disturb("shift", bg, bg, torch.zeros(8, 1, 32, 32), range(8))
    assert torch.allclose(moved, bg, atol=1e-6)


def test_warps_keep_the_centre_and_move_the_corners_a_little():
    """A bright dot near a corner wanders by less than 1 degree and 1 %, or by 2 % of the picture."""
    for x, name, most in ((50, "rotate", 0.05), (15, "rotate", 1.4), (15, "homography", 3.0)):
        bg = dot(10, 101, x, x)
        moved, _ = disturb(name, bg, bg, torch.zeros(10, 1, 101, 101), range(10))
        wander = torch.hypot(*(centroids(moved) - x).T)
        assert wander.max() < most
        assert x == 50 or wander.max() > most / 4


def test_jitter_keeps_gray_gray_and_the_order_of_operations():
    """A gray picture knows neither hue nor saturation: only brightness and contrast are left."""
    gray = torch.linspace(0.3, 0.6, 32).expand(1, 3, 32, 32)
    out, _ = disturb("jitter", gray, gray, torch.zeros(1, 1, 32, 32), [4])
    brightness, contrast = 0.82 + 0.36 * uniform("jitter", [4], 2)[0]
    expected = brightness * (contrast * (gray - gray.mean()) + gray.mean())
    assert torch.allclose(out, expected, atol=1e-5)


def test_jitter_turns_the_hue_by_a_tenth_of_a_turn_at_most():
    red = torch.tensor([0.6, 0.3, 0.3]).view(1, 3, 1, 1).expand(40, 3, 16, 16)
    out, _ = disturb("jitter", red, red, torch.zeros(40, 1, 16, 16), range(40))
    yiq = torch.einsum("ij,bj->bi", families.RGB_TO_YIQ.float(), out[:, :, 0, 0])
    start = torch.atan2(*(families.RGB_TO_YIQ.float() @ red[0, :, 0, 0])[[2, 1]])
    turn = torch.atan2(yiq[:, 2], yiq[:, 1]) - start
    assert 0.5 < turn.abs().max() <= 2 * np.pi * 0.1 + 1e-4
    assert turn.min() < -0.3 and turn.max() > 0.3


def test_exposure_by_hand():
    bg = torch.full((1, 3, 16, 16), 0.4)
    out, _ = disturb("exposure", bg, bg, torch.zeros(1, 1, 16, 16), [9])
    gain, gamma = np.array([0.7, 0.8]) + np.array([0.7, 0.45]) * uniform("exposure", [9], 2)[0]
    assert out[0, 0, 0, 0].item() == pytest.approx((0.4 * gain) ** gamma, abs=1e-6)


def test_noise_is_gaussian_and_independent_in_the_two_pictures():
    flat = torch.full((6, 3, 96, 96), 0.5)
    bg, fg_bg = disturb("noise", flat, flat, torch.zeros(6, 1, 96, 96), range(6))
    draws = uniform("noise", range(6), 4)
    for noisy, column in ((bg, 0), (fg_bg, 2)):
        sigma = (noisy - 0.5).flatten(1).std(1).numpy()
        assert np.allclose(sigma, 0.01 + 0.02 * draws[:, column], rtol=0.02)
        assert (noisy - 0.5).mean().abs() < 3e-4
    for i in range(6):
        both = torch.stack([bg[i].flatten(), fg_bg[i].flatten()])
        assert torch.corrcoef(both)[0, 1].abs() < 0.03
    values = families.hashed_normal(torch.tensor([0.123]), 200_001, torch.device("cpu"))[0]
    assert values.shape == (200_001,)
    assert (values**3).mean().abs() < 0.03 and (values**4).mean() == pytest.approx(3, abs=0.08)
    neighbours = torch.corrcoef(torch.stack([values[:-1], values[1:]]))[0, 1]
    assert neighbours.abs() < 0.01


def test_jpeg_matches_a_jpeg_of_the_drawn_quality(scene):
    from mdlib.loading import codec

    bg, fg_bg, mask = scene(1)
    out = disturb("jpeg", bg, fg_bg, mask, [11])
    for x, y, draw in zip((bg, fg_bg), out, uniform("jpeg", [11], 2)[0], strict=True):
        img = (x[0] * 255).round().byte().permute(1, 2, 0).numpy()
        coded = codec.decode(codec.encode_jpeg(img, int(30 + 46 * draw)))
        assert np.array_equal((y[0] * 255).round().byte().permute(1, 2, 0).numpy(), coded)


def test_blur_matches_scipy(scene):
    bg, fg_bg, mask = scene(1, 112, 112)
    bg = (bg + 0.2 * torch.rand(bg.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    out, _ = disturb("blur", bg, fg_bg, mask, [2])
    sigma = (0.6 + uniform("blur", [2], 1)[0, 0]) / 2
    expected = ndimage.gaussian_filter(
        bg[0].double().numpy(), (0, sigma, sigma), mode="mirror", radius=(0, 3, 3)
    )
    assert np.abs(out[0].numpy() - expected).max() < 1e-5


def test_shadow_darkens_beside_the_object_only(scene):
    bg, fg_bg, mask = scene(6, 96, 96)
    _, out = disturb("shadow", bg, fg_bg, mask, range(6))
    assert torch.equal(out * (mask == 1), fg_bg * (mask == 1))
    darkness = 1 - (out / fg_bg.clamp(min=1e-3)).amin(1, keepdim=True)
    assert darkness.min() >= -1e-6 and darkness.max() <= 0.4
    strongest = darkness.flatten(1).amax(1).numpy()
    drawn = 0.1 + 0.3 * uniform("shadow", range(6), 5)[:, 4]
    assert (strongest <= drawn + 1e-5).all() and (strongest > 0.4 * drawn).all()
    top = (mask[0, 0] > 0.5).any(1).nonzero()[0].item()
    assert darkness[:, :, : top - 2].max() < 0.02  # squeezed: never as high as the object
    share = (darkness > 0.02).float().mean((1, 2, 3))
    assert (share > 0.005).all() and (share < 0.3).all()


def test_camouflage_moves_the_object_towards_its_ring():
    bg = torch.full((1, 3, 64, 64), 0.2)
    bg[..., 32:] = 0.4
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 24:40, 24:40] = 1
    mask[..., 23, 24:40] = 0.5  # a soft edge
    fg_bg = mask * 0.9 + (1 - mask) * bg
    _, out = disturb("camouflage", bg, fg_bg, mask, [0])
    # The ring reaches 6 px (20 px at 224): as many dark as bright pixels around a centred object.
    assert torch.allclose(out[..., 24:40, 24:40], torch.tensor(0.9 + 0.8 * (0.3 - 0.9)), atol=1e-3)
    assert torch.allclose(out[..., 23, 24:32], torch.tensor(0.5 * 0.42 + 0.5 * 0.2), atol=1e-3)
    assert torch.equal(out * (mask == 0), fg_bg * (mask == 0))


@pytest.mark.parametrize("name", ["shadow", "camouflage"])
@pytest.mark.parametrize("coverage", [0.0, 1.0])
def test_nothing_or_everything_is_object(scene, name, coverage):
    bg, fg_bg, _ = scene(2)
    _, out = disturb(name, bg, fg_bg, torch.full((2, 1, 48, 64), coverage), [0, 1])
    assert torch.allclose(out, fg_bg, atol=1e-6)


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=4))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_widening_reaches_exactly_as_far_as_asked(reach, points):
    marked = torch.zeros(1, 1, 21, 21, dtype=torch.bool)
    for y, x in points:
        marked[0, 0, y, x] = True
    pooled = torch.nn.functional.max_pool2d(marked.float(), 2 * reach + 1, 1, reach).bool()
    assert torch.equal(families._widened(marked, reach), pooled)


def test_vignette_is_darkest_in_a_corner_and_changes_the_white():
    flat = torch.full((8, 3, 64, 64), 0.6)
    _, out = disturb("vignette", flat, flat, torch.zeros(8, 1, 64, 64), range(8))
    green = out[:, 1] / 0.6
    assert (green.flatten(1).amax(1) > 0.999).all()
    corners = torch.stack([green[:, y, x] for y in (0, -1) for x in (0, -1)], 1)
    assert torch.allclose(corners.amin(1), green.flatten(1).amin(1))
    assert corners.min() > 0.4 and corners.max() < 0.9
    balance = out[:, 0, 32, 32] / out[:, 1, 32, 32]
    assert balance.min() >= 0.88 and balance.max() <= 1.12 and balance.std() > 0.02
