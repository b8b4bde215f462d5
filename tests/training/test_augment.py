import numpy as np
import pytest
import torch

from mdlib.evaluation.disturb import CONDITIONS, UNSEEN, disturb
from mdlib.training.augment import (
    FAMILIES,
    augment,
    colour_matrix,
    crop,
    disturb_each,
    draw,
    mirror,
    recolour,
    remove_object,
    resize,
    sample_seeds,
    split_batch,
)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """12 samples of 32 px, the object in the left half; every second depth unknown in its upper half."""
    generator = torch.Generator().manual_seed(0)
    bg = torch.rand(12, 3, 32, 32, generator=generator)
    mask = torch.zeros(12, 1, 32, 32)
    mask[..., 8:20, 3:13] = 1
    fg_bg = torch.where(mask > 0, torch.rand(12, 3, 1, 1, generator=generator), bg)
    depth = torch.rand(12, 1, 32, 32, generator=generator)
    depth[::2, :, :16] = torch.nan
    return {"bg": bg, "fg_bg": fg_bg, "mask": mask, "depth": depth}


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[k].nan_to_num(-1), other[k].nan_to_num(-1)) for k in one | other)


def part(batch: dict, samples: list[int]) -> dict:
    return {name: tensor[samples] for name, tensor in batch.items()}


def seeds_where(condition, count: int, strength: float = 1.0) -> list[int]:
    """The first `count` seeds whose draw fulfils the condition."""
    found = (seed for seed in range(1_000_000) if condition(draw(seed, strength)))
    return [next(found) for _ in range(count)]


def test_the_same_seeds_give_the_same_pictures(batch):
    seeds = sample_seeds(12, 0, 1, 2, 3)
    assert same(augment(batch, seeds), augment(batch, seeds))
    assert not same(augment(batch, seeds), augment(batch, sample_seeds(12, 0, 1, 2, 4)))


def test_seeds_depend_on_every_part_of_the_position():
    positions = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    seeds = [seed for position in positions for seed in sample_seeds(8, *position)]
    assert len(set(seeds)) == 40
    assert sample_seeds(8, 3, 4)[:5] == sample_seeds(5, 3, 4)


def test_a_sample_does_not_depend_on_the_others(batch):
    seeds, some = sample_seeds(12, 5), [7, 2, 9]
    alone = augment(part(batch, some), [seeds[i] for i in some])
    together = part(augment(batch, seeds), some)
    for name in batch:
        torch.testing.assert_close(alone[name], together[name], atol=1e-6, rtol=0, equal_nan=True)


def test_the_given_batch_is_not_changed(batch):
    before = {name: tensor.clone() for name, tensor in batch.items()}
    augment(batch, sample_seeds(12, 1))
    assert same(batch, before)


def test_strength_0_changes_nothing(batch):
    assert same(augment(batch, range(12), strength=0), batch)


def test_all_four_are_mirrored_together_or_not_at_all(batch):
    plain = lambda d: not (d.families or d.empty or d.crop) and d.colours is None  # noqa: E731
    seeds = seeds_where(lambda d: plain(d) and d.mirror, 6) + seeds_where(
        lambda d: plain(d) and not d.mirror, 6
    )
    done = augment(batch, seeds)
    first, rest = list(range(6)), list(range(6, 12))
    assert same(part(done, first), {name: tensor.flip(-1) for name, tensor in part(batch, first).items()})
    assert same(part(done, rest), part(batch, rest))


def test_mask_and_depth_are_only_ever_mirrored_and_cropped(batch):
    seeds = seeds_where(lambda d: not (d.empty or d.crop), 12)
    done = augment(batch, seeds)
    for i, seed in enumerate(seeds):
        turned = draw(seed, 1.0).mirror
        for name in ("mask", "depth"):
            expected = batch[name][i].flip(-1) if turned else batch[name][i]
            assert torch.equal(done[name][i].nan_to_num(-1), expected.nan_to_num(-1))


def test_pictures_stay_in_range_and_unknown_depth_unknown(batch):
    seeds = sample_seeds(12, 2)
    done, whole = augment(batch, seeds), [i for i, seed in enumerate(seeds) if not draw(seed, 1.0).crop]
    for name in ("bg", "fg_bg", "mask"):
        assert done[name].shape == batch[name].shape
        assert 0 <= done[name].min() <= done[name].max() <= 1
    unknown = [pictures["depth"][whole].isnan().flatten(1).sum(1) for pictures in (done, batch)]
    assert (unknown[0] >= unknown[1]).all()
    assert len(whole) < 12
    assert 0 <= done["depth"].nan_to_num(0).min() <= done["depth"].nan_to_num(0).max() <= 1


def test_a_crop_shows_a_window_of_all_four_nearer(batch):
    before = {name: tensor.clone() for name, tensor in batch.items()}
    crop(batch, [1, 3], [None, (0.25, 0.5, 0.5), None, (0.0, 0.0, 0.5)])
    for i, top, left in ((1, 16, 8), (3, 0, 0)):
        window = {name: x[i : i + 1, :, top : top + 16, left : left + 16] for name, x in before.items()}
        for name in ("bg", "fg_bg", "mask"):  # but at its edge, where the window's neighbours are seen
            expected = torch.nn.functional.interpolate(window[name], (32, 32), mode="bilinear")
            torch.testing.assert_close(batch[name][i, :, 1:-1, 1:-1], expected[0, :, 1:-1, 1:-1])
        closer = (2 * window["depth"]).clamp(max=1).repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(batch["depth"][i], closer[0])
    rest = [0, 2, *range(4, 12)]
    assert same(part(batch, rest), part(before, rest))


def test_a_crop_keeps_the_unknown_unknown(batch):
    crop(batch, [0], [(0.0, 0.25, 0.5)])  # its depth is unknown above the middle
    assert batch["depth"][0, 0, :16].isnan().all()
    assert batch["depth"][0, 0, 16:].isfinite().all()


def test_an_emptied_sample_is_its_background(batch):
    bg = batch["bg"].clone()
    known = batch["depth"].isfinite() & (batch["mask"] == 0)
    remove_object(batch, [1, 4])
    for i in (1, 4):
        assert torch.equal(batch["fg_bg"][i], bg[i])
        assert batch["mask"][i].sum() == 0
        assert torch.equal(batch["depth"][i].isfinite(), known[i])  # unknown behind the object
    assert batch["mask"][0].sum() == 120


def test_recolouring_keeps_what_is_equal_equal(batch):
    before = batch["bg"].clone()
    recolour(batch, [3], [None] * 3 + [colour_matrix(0.2, 0.8, [1, 0.9, 1])])
    off = (batch["mask"][3] == 0).expand(3, -1, -1)
    assert torch.equal(batch["bg"][3][off], batch["fg_bg"][3][off])
    assert not torch.equal(batch["bg"][3], before[3])
    assert torch.equal(batch["bg"][2], before[2])


def test_colour_matrix():
    np.testing.assert_allclose(colour_matrix(0, 1, [1, 1, 1]), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(colour_matrix(0.13, 0.7, [1, 1, 1]) @ [0.5, 0.5, 0.5], [0.5] * 3)  # gray
    np.testing.assert_allclose(colour_matrix(1 / 3, 1, [1, 1, 1]) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(colour_matrix(0, 0, [1, 2, 3]) @ [0.3, 0, 0], [0.1, 0.2, 0.3])


def test_families_are_the_disturbances_but_the_unseen():
    assert set(FAMILIES) == set(CONDITIONS) - {"clean"}
    assert not set(FAMILIES) & set(UNSEEN)


def test_each_sample_gets_its_own_family(batch):
    families = [("blur",), (), ("exposure",)] + [()] * 9
    done = disturb_each(batch, families, range(100, 112))
    for i, name in ((0, "blur"), (2, "exposure")):
        one = part(batch, [i])
        expected, _ = disturb(name, one["bg"], one["fg_bg"], one["mask"], [100 + i])
        torch.testing.assert_close(done["bg"][[i]], expected)
    untouched = [1, *range(3, 12)]
    assert torch.equal(done["bg"][untouched], batch["bg"][untouched])
    assert torch.equal(done["fg_bg"], batch["fg_bg"])


def test_two_families_are_applied_scene_first(batch):
    one = part(batch, [0])
    done = disturb_each(one, [("jpeg", "camouflage")], [9])
    middle = disturb("camouflage", one["bg"], one["fg_bg"], one["mask"], [9])
    expected = disturb("jpeg", *middle, one["mask"], [9])
    assert torch.equal(done["bg"], expected[0])
    assert torch.equal(done["fg_bg"], expected[1])


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_shares(strength):
    draws = [draw(seed, strength) for seed in range(4000)]
    counts = [len(d.families) for d in draws]
    for found, expected in (
        (sum(d.mirror for d in draws), 0.5),
        (sum(d.empty for d in draws), 0.03 * strength),
        (sum(d.colours is not None for d in draws), 0.4 * strength),
        (sum(d.crop is not None for d in draws), 0.25 * strength),
        (counts.count(0), 1 - 0.75 * strength),
        (counts.count(2), 0.375 * strength),
    ):
        assert abs(found / 4000 - expected) < 4 * (0.25 / 4000) ** 0.5
    assert {name for d in draws for name in d.families} == set(FAMILIES)
    assert all(len(set(d.families)) == len(d.families) for d in draws)
    sides = [d.crop[2] for d in draws if d.crop]
    assert 0.7 <= min(sides) < 0.72 < 0.98 < max(sides) < 1
    assert all(0 <= corner <= 1 - d.crop[2] for d in draws if d.crop for corner in d.crop[:2])


def test_wrong_number_of_seeds(batch):
    with pytest.raises(ValueError, match="3 seeds for 12 samples"):
        augment(batch, [1, 2, 3])


def test_mirror_of_nobody_changes_nothing(batch):
    before = batch["bg"].clone()
    mirror(batch, [])
    assert torch.equal(batch["bg"], before)


def test_resize_averages_and_keeps_the_unknown_unknown(batch):
    small = resize(batch, 16)
    assert small["bg"].shape == (12, 3, 16, 16)
    assert small["mask"].shape == (12, 1, 16, 16)
    assert small["mask"][0, 0, 6, 4] == 1
    assert small["mask"][0, 0, 6, 12] == 0
    torch.testing.assert_close(small["bg"].mean(), batch["bg"].mean(), atol=5e-3, rtol=0)
    assert small["depth"][0, 0, :7].isnan().all()
    assert small["depth"][1].isfinite().all()
    assert resize(batch, None) is batch
    wide = {name: tensor[..., :16, :] for name, tensor in batch.items()}
    assert resize(wide, 8)["mask"].shape == (12, 1, 8, 16)


@pytest.mark.parametrize(
    ("samples", "parts", "sizes"), [(8, 3, [3, 3, 2]), (5, 4, [2, 1, 1, 1]), (2, 3, [1, 1])]
)
def test_a_batch_in_parts(samples, parts, sizes):
    """As many parts as asked for, so that processes with unlike shares of a batch take as many."""
    batch = {name: torch.arange(samples).view(-1, 1) for name in ("bg", "mask")}
    divided = split_batch(batch, parts)
    assert [len(part["mask"]) for part in divided] == sizes
    assert torch.equal(torch.cat([part["bg"] for part in divided]), batch["bg"])
