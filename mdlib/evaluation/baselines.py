"""What a network has to beat, each called as a network is: baseline(bg, fg_bg) -> MaskDepth.

Oracles know what no real program knows: their `needs_truth` is true and they are called with the true batch
as third argument. A baseline that has nothing to say on masks or on depth returns None there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdlib.loading import codec
from mdlib.modeling.networks.base import MaskDepth

if TYPE_CHECKING:
    from mdlib.loading.dataset import SceneDataset

CERTAIN_LOGIT = 20.0  # sigmoid: 1 - 2e-9


def picture_difference(bg: Tensor, fg_bg: Tensor) -> Tensor:
    """max over RGB of |fg_bg - bg|: (B,3,H,W) twice -> (B,1,H,W)."""
    return (fg_bg - bg).abs().amax(1, keepdim=True)


class Subtraction:
    """Marks the pixels whose colour differs by more than a fixed threshold."""

    needs_truth = False

    def __init__(self, threshold: float = 0.06):
        self.threshold = threshold

    def __call__(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        return MaskDepth(_as_logits(picture_difference(bg, fg_bg) > self.threshold), None)


class BestThreshold:
    """Subtraction with the threshold that gives each image its best IoU: an oracle.

    The best of 0/255, 1/255 ... 255/255; of equals, the lowest.
    """

    needs_truth = True

    def __call__(self, bg: Tensor, fg_bg: Tensor, truth: Mapping[str, Tensor]) -> MaskDepth:
        # Above threshold k / 255 are the pixels of the bins k + 1 and up; bin 0 holds no difference at all.
        bins = (picture_difference(bg, fg_bg) * 255 - 1e-4).ceil().clamp(0, 255).long()
        batch = len(bins)
        where = (bins.flatten(1) + 256 * torch.arange(batch, device=bins.device)[:, None]).flatten()
        on_object = (truth["mask"] > 0.5).flatten().to(torch.float32)
        marked, found = (
            torch.bincount(where, weights=weights, minlength=256 * batch).view(batch, 256)
            for weights in (torch.ones_like(on_object), on_object)
        )
        marked, found = marked.flip(1).cumsum(1).flip(1), found.flip(1).cumsum(1).flip(1)  # in bin k and up
        union = marked + found[:, :1] - found
        iou = found / union.clamp(min=1)
        nothing_marked = (found[:, :1] == 0).float()  # threshold 255/255: right only if there is no object
        iou = torch.cat([iou[:, 1:], nothing_marked], 1)  # (B,256): of threshold k
        return MaskDepth(_as_logits(bins > iou.argmax(1).view(-1, 1, 1, 1)), None)


class MeanDepth:
    """The mean depth map of the training set, whatever the pictures show."""

    needs_truth = False

    def __init__(self, closeness: Tensor):
        self.closeness = closeness  # (1,1,H,W)

    @classmethod
    def of(cls, train: SceneDataset, samples: int = 256) -> MeanDepth:
        """Mean over `samples` evenly spaced samples, of z for metric depth (which is best for RMSE), else of
        closeness. Pixels that are never known take the mean of the others."""
        chosen = np.unique(np.linspace(0, len(train) - 1, samples).round().astype(np.int64))
        total, count = torch.zeros(1, 1, *train.size), torch.zeros(1, 1, *train.size)
        for part in np.array_split(chosen, max(1, len(chosen) // 32)):
            values = codec.depth_to_closeness(train.batch(part)["depth"])
            if train.depth_kind == "metric":
                values = codec.closeness_to_z(values)
            known = torch.isfinite(values)
            total += torch.where(known, values, 0.0).sum(0, keepdim=True)
            count += known.sum(0, keepdim=True)
        mean = _filled(total / count)
        return cls(codec.z_to_closeness(mean) if train.depth_kind == "metric" else mean)

    def __call__(self, bg: Tensor, fg_bg: Tensor) -> MaskDepth:
        return MaskDepth(None, _fit(self.closeness, bg).expand(len(bg), -1, -1, -1))


class BackgroundDepth:
    """The true depth of the empty background, right everywhere but on the object: an oracle."""

    needs_truth = True

    def __init__(self, maps: Mapping[int, Tensor]):
        self.maps = dict(maps)  # number of the background -> closeness (1,H,W)

    @classmethod
    def of(cls, dataset: SceneDataset, samples: int = 12) -> BackgroundDepth:
        """Found from up to `samples` composites of each background: objects stand in front of it, so the
        farthest depth of a pixel is the background's as soon as one composite leaves the pixel free."""
        maps = {}
        for number in np.unique(dataset.bg):
            of_it = np.flatnonzero(dataset.bg == number)
            some = of_it[np.unique(np.linspace(0, len(of_it) - 1, samples).round().astype(np.int64))]
            closeness = codec.depth_to_closeness(dataset.batch(some)["depth"])
            farthest = torch.where(torch.isfinite(closeness), closeness, torch.inf).amin(0)
            maps[int(number)] = _filled(torch.where(torch.isfinite(farthest), farthest, torch.nan))
        return cls(maps)

    def __call__(self, bg: Tensor, fg_bg: Tensor, truth: Mapping[str, Tensor]) -> MaskDepth:
        depth = torch.stack([self.maps[number] for number in truth["bg_index"].tolist()])
        return MaskDepth(None, _fit(depth, bg))


def _as_logits(marked: Tensor) -> Tensor:
    return torch.where(marked, CERTAIN_LOGIT, -CERTAIN_LOGIT)


def _filled(values: Tensor) -> Tensor:
    """nan -> the mean of the known values (0 where there are none)."""
    return torch.where(torch.isfinite(values), values, values.nanmean().nan_to_num(0.0))


def _fit(maps: Tensor, like: Tensor) -> Tensor:
    """Maps (B,1,h,w) on the pictures' device and at their size."""
    return F.interpolate(maps.to(like), size=like.shape[-2:], mode="nearest-exact")
