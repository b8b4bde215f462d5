"""The loop of the protocol: every condition, every model, every batch of a set of pairs, summed per image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mdlib.evaluation import metrics
from mdlib.evaluation.disturb import disturb, empty
from mdlib.evaluation.pairs import checksum, disturbance_seeds
from mdlib.loading.dataset import SceneDataset
from mdlib.loading.loader import make_loader
from mdlib.modeling.networks.base import MaskDepth

Model = Callable[..., MaskDepth]


@dataclass(frozen=True)
class Setting:
    """How to measure: see protocol.evaluate, whose arguments these are."""

    seed: int
    batch_size: int
    device: torch.device
    size: tuple[int, int] | None
    slow_pairs: int
    process: tuple[int, int]
    progress: bool


def measure(
    models: Mapping[str, tuple[Model, Sequence[str]]],
    data: SceneDataset,
    conditions: Sequence[str],
    setting: Setting,
) -> dict[str, dict]:
    """Scores of models on every sample of `data`, by condition.

    models: name -> (model, the conditions it is asked under). Returns condition -> `pairs` (their number),
    `checksum` (of their ids), `scores` (model -> metric -> mean over images) and `images` (model -> metric ->
    number of images in that mean). Raises ValueError where a model answers with nan.
    """
    from tqdm import tqdm

    align = data.depth_kind == "relative"
    depth = () if data.depth_kind == "none" else metrics.DEPTH_METRICS
    depth = tuple(f"si_{name}" for name in depth) if align else depth
    names = (*metrics.MASK_METRICS, *metrics.SLOW_MASK_METRICS, *depth, "marked")
    asked = [(c, m) for c in conditions for m, (_, some) in models.items() if c in some]
    sums = {key: metrics.MetricSums(names) for key in asked}

    rank, world = setting.process
    loader = make_loader(data, setting.batch_size, size=setting.size)
    loader.divide(rank, world)
    for batch in tqdm(loader, desc=", ".join(conditions), disable=not setting.progress or rank > 0):
        if not len(batch["index"]):
            continue  # the last global batch was too short for this process
        truth = loader.to_float(batch, setting.device)
        truth["bg_index"] = batch["bg_index"]
        seeds = disturbance_seeds(data.rows[batch["index"].numpy()], setting.seed)
        slow = int((batch["index"] < setting.slow_pairs).sum())  # the samples come in order
        for condition in conditions:
            bg, fg_bg = _disturbed(condition, truth, seeds)
            for name in (m for c, m in asked if c == condition):
                answer = _answer(name, models[name][0], bg, fg_bg, truth)
                if condition == "empty":
                    values = [{"marked": (answer.mask_logits > 0).flatten(1).float().mean(1)}]
                else:
                    values = _scores(answer, truth, slow, bool(depth), align)
                for part in values:
                    sums[condition, name].add(part)
    if world > 1:
        for key in asked:
            torch.distributed.all_reduce(sums[key].table)
    about = {"pairs": len(data), "checksum": checksum([data.sample_name(i) for i in range(len(data))])}
    return {
        c: about
        | {"scores": {m: sums[c, m].means() for k, m in asked if k == c}}
        | {"images": {m: sums[c, m].counts() for k, m in asked if k == c}}
        for c in conditions
    }


def _disturbed(condition: str, truth: Mapping[str, Tensor], seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    if condition == "empty":
        return empty(truth["bg"], seeds)
    return disturb(condition, truth["bg"], truth["fg_bg"], truth["mask"], seeds)


def _answer(name: str, model: Model, bg: Tensor, fg_bg: Tensor, truth: Mapping[str, Tensor]) -> MaskDepth:
    answer = model(bg, fg_bg, truth) if getattr(model, "needs_truth", False) else model(bg, fg_bg)
    for word, x in zip(("mask", "depth"), answer, strict=True):
        # Left out of the means, such images would flatter the model.
        if x is not None and not torch.isfinite(x).all():
            raise ValueError(f"{name} answers with nan or infinite {word}: its training has diverged")
    return MaskDepth(*(x if x is None else x.float() for x in answer))


def _scores(
    answer: MaskDepth, truth: Mapping[str, Tensor], slow: int, has_depth: bool, align: bool
) -> list[dict[str, Tensor]]:
    scores = []
    if answer.mask_logits is not None:
        pred = answer.mask_logits.sigmoid()
        scores.append(metrics.mask_metrics(pred, truth["mask"]))
        if slow:
            scores.append(metrics.slow_mask_metrics(pred[:slow], truth["mask"][:slow]))
    if answer.depth is not None and has_depth:
        scores.append(metrics.depth_metrics(answer.depth, truth["depth"], truth["mask"], align))
    return scores
