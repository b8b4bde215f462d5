"""Baselines answer as networks do; the oracles are as good as they can be."""

import pytest
import torch

from mdlib.evaluation.baselines import BackgroundDepth, BestThreshold, MeanDepth, Subtraction
from mdlib.evaluation.metrics import mask_metrics
from mdlib.loading import codec
from mdlib.loading.dataset import open_dataset


def pictures(count: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Backgrounds, composites under noise of growing strength, and masks."""
    numbers = torch.Generator().manual_seed(0)
    bg = torch.rand(count, 3, 40, 40, generator=numbers)
    mask = torch.zeros(count, 1, 40, 40)
    mask[:, :, 10:30, 8:25] = 1
    noise = torch.randn(bg.shape, generator=numbers) * torch.linspace(0, 0.12, count).view(-1, 1, 1, 1)
    fg_bg = (torch.where(mask > 0, 1 - bg, bg) + noise).clamp(0, 1)
    return bg, fg_bg, mask


def test_subtraction_by_hand():
    bg = torch.full((1, 3, 2, 2), 0.5)
    fg_bg = bg.clone()
    fg_bg[0, 2, 0, 0] = 0.57  # one channel is enough
    fg_bg[0, 0, 0, 1] = 0.45
    answer = Subtraction()(bg, fg_bg)
    assert (answer.mask_logits.sigmoid() > 0.5).flatten().tolist() == [True, False, False, False]
    assert answer.mask_logits.sigmoid().flatten()[0] == 1
    assert answer.depth is None
    assert (Subtraction(threshold=0.04)(bg, fg_bg).mask_logits > 0).sum() == 2


def test_the_oracle_finds_the_best_of_all_thresholds():
    bg, fg_bg, mask = pictures()
    best = mask_metrics(BestThreshold()(bg, fg_bg, {"mask": mask}).mask_logits.sigmoid(), mask)["iou"]
    every = torch.stack([
        mask_metrics(Subtraction(k / 255)(bg, fg_bg).mask_logits.sigmoid(), mask)["iou"] for k in range(256)
    ])  # fmt: skip
    assert torch.allclose(best, every.amax(0), atol=0.004)  # a difference on the very edge of a bin
    assert best[0] > 0.95 and best[-1] < best[0]


def test_the_oracle_is_exact_on_eight_bit_pictures():
    bg, fg_bg, mask = ((x * 255).round() / 255 for x in pictures())
    best = mask_metrics(BestThreshold()(bg, fg_bg, {"mask": mask}).mask_logits.sigmoid(), mask)["iou"]
    every = torch.stack([
        mask_metrics(Subtraction((k + 0.5) / 255)(bg, fg_bg).mask_logits.sigmoid(), mask)["iou"]
        for k in range(256)
    ])  # fmt: skip
    assert torch.equal(best, every.amax(0))


def test_the_oracle_knows_that_there_is_nothing():
    bg, fg_bg, mask = pictures()
    answer = BestThreshold()(bg, fg_bg, {"mask": torch.zeros_like(mask)})
    assert (answer.mask_logits < 0).all()


def test_the_mean_depth_is_the_mean_of_z(tiny_dataset):
    train = open_dataset(tiny_dataset).split()["train"]
    baseline = MeanDepth.of(train, samples=10_000)
    z = codec.closeness_to_z(codec.depth_to_closeness(train.batch(range(len(train)))["depth"]))
    assert torch.allclose(codec.closeness_to_z(baseline.closeness)[0], z.nanmean(0), rtol=1e-4)
    answer = baseline(torch.zeros(3, 3, 64, 64), torch.zeros(3, 3, 64, 64))
    assert answer.mask_logits is None and answer.depth.shape == (3, 1, 64, 64)
    assert baseline(torch.zeros(1, 3, 32, 48), torch.zeros(1, 3, 32, 48)).depth.shape == (1, 1, 32, 48)


def test_the_background_depth_is_right_off_the_object_and_behind_it_on_it(tiny_dataset):
    data = open_dataset(tiny_dataset).split()["new_fg"]
    oracle = BackgroundDepth.of(data)
    batch = data.batch(range(len(data)))
    true = codec.depth_to_closeness(batch["depth"])
    pictures = torch.zeros(len(data), 3, 64, 64)
    answer = oracle(pictures, pictures, {"bg_index": batch["bg_index"]})
    assert answer.mask_logits is None
    error = (answer.depth / true - 1).abs()
    off = batch["mask"] == 0
    assert error[off].median() < 1e-6 and (error[off] < 0.01).float().mean() > 0.98
    on = batch["mask"] > 127
    assert (answer.depth[on] <= true[on] + 1e-6).all()
    assert error[on].mean() > 0.02


def test_an_unknown_background_is_an_error(tiny_dataset):
    data = open_dataset(tiny_dataset).split()["new_both"]
    pictures = torch.zeros(1, 3, 64, 64)
    with pytest.raises(KeyError):
        BackgroundDepth.of(data)(pictures, pictures, {"bg_index": torch.tensor([999])})
