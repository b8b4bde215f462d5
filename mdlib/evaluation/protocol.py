"""The one protocol behind every number: frozen pairs, four sets, ten conditions, baselines beside.

`evaluate` decides what is measured; `measure` is the loop: every condition, every model, every batch of a set
of pairs, summed per image.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from mdlib import __version__
from mdlib.evaluation import baselines, metrics
from mdlib.evaluation.disturb import CONDITIONS, UNSEEN, disturb, empty
from mdlib.evaluation.pairs import checksum, disturbance_seeds, frozen_pairs
from mdlib.loading.loader import make_loader
from mdlib.modeling.networks.base import MaskDepth, evaluation_mode

if TYPE_CHECKING:
    from mdlib.loading.dataset import SceneDataset

Model = Callable[..., MaskDepth]

ALL_CONDITIONS = (*CONDITIONS, *UNSEEN, "empty")
HEADLINE = "new_both"
PAIRS, HEADLINE_PAIRS, SLOW_PAIRS = 500, 2000, 200  # of published tables


def evaluate(
    model: Model,
    dataset: SceneDataset,
    *,
    pairs: int | None = None,
    sets: Sequence[str] | None = None,
    conditions: Sequence[str] = ALL_CONDITIONS,
    splits: Mapping[str, SceneDataset] | None = None,
    seed: int = 0,
    split_seed: int = 0,
    batch_size: int = 32,
    device: str | torch.device | None = None,
    size: tuple[int, int] | None = None,
    slow_pairs: int = SLOW_PAIRS,
    rivals: bool = True,
    progress: bool = False,
) -> dict:
    """Measure `model(bg, fg_bg) -> MaskDepth` by the protocol; returns a dict that json can write.

    pairs: frozen pairs per set and condition; by default those of published tables, 2,000 of new_both and 500
    elsewhere. sets: those measured clean, by default all. conditions: some of ALL_CONDITIONS, measured on
    new_both (on the last set, where there is no new_both). splits: name -> data set, by default
    dataset.split(split_seed), which must be the seed of the training; seed is that of pairs and disturbances.
    device: by default the model's own. size: (H, W), resizes pictures and truth. slow_pairs: pairs that
    boundary F and Conn are taken on. rivals: also measure the baselines. progress: show a bar. The model's
    mode is left as it was. Raises ValueError for unknown names, impossible numbers, a set without samples, or
    a model that answers with nan.
    """
    started = time.perf_counter()
    if pairs is not None and pairs < 1:
        raise ValueError(f"pairs is {pairs}: expected at least 1, or None for those of published tables")
    least_of = ("batch_size", batch_size, 1), ("seed", seed, 0), ("slow_pairs", slow_pairs, 0)
    for name, value, least in least_of:
        if value < least:
            raise ValueError(f"{name} is {value}: expected {least} or more")
    splits = dataset.split(split_seed) if splits is None else splits
    sets = list(splits) if sets is None else list(sets)
    disturbed_set = HEADLINE if HEADLINE in splits else list(splits)[-1]
    _check_names("set", sets, splits)
    _check_names("condition", conditions, ALL_CONDITIONS)

    clean = {name: (name, pairs or (HEADLINE_PAIRS if name == HEADLINE else PAIRS)) for name in sets}
    jobs = {job: ["clean"] for job in clean.values()}  # (set, pairs) -> conditions
    disturbed = (disturbed_set, pairs or PAIRS)
    for condition in conditions:
        names = jobs.setdefault(disturbed, [])
        names += [condition] if condition not in names else []

    weights = list(model.parameters()) if isinstance(model, nn.Module) else []  # a baseline has none
    device = torch.device(device or (weights[0].device if weights else "cpu"))
    setting = Setting(seed, batch_size, device, size, slow_pairs, progress)
    done: dict[tuple[str, int], dict[str, dict]] = {}
    with evaluation_mode(model), torch.inference_mode():
        for (name, count), names in jobs.items():
            chosen = splits[name].subset(frozen_pairs(splits[name].bg, splits[name].fg, name, seed, count))
            if not len(chosen):
                raise ValueError(f"the set {name!r} has no samples: create a data set with more placements")
            models = {"network": (model, ALL_CONDITIONS)}
            models |= _rivals(chosen, splits[name], splits.get("train")) if rivals else {}
            done[name, count] = measure(models, chosen, names, setting)

    inner = getattr(model, "module", model)  # without a wrapper for several devices
    parameters = sum(weight.numel() for weight in weights)
    by_condition = {name: done[disturbed][name] for name in conditions}
    return {
        "network": {"name": getattr(inner, "name", type(model).__name__), "parameters": parameters},
        "dataset": {
            "id": dataset.dataset_id,
            "samples": len(dataset),
            "size": list(dataset.size),
            "depth": dataset.depth_kind,
        },
        "protocol": {
            "seed": seed,
            "split_seed": split_seed,
            "size": list(size or dataset.size),
            "slow_pairs": slow_pairs,
            "disturbed_set": disturbed_set,
        },
        "sets": {name: done[job]["clean"] for name, job in clean.items()},
        "conditions": by_condition,
        "mean_of_ten": _mean_of_ten(by_condition),
        **environment(device),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _rivals(
    chosen: SceneDataset, whole_set: SceneDataset, train: SceneDataset | None
) -> dict[str, tuple[Model, Sequence[str]]]:
    """The baselines. Those of depth never look at the pictures, so one condition says all."""
    not_empty = ALL_CONDITIONS[:-1]
    rivals = {
        "subtraction": (baselines.Subtraction(), ALL_CONDITIONS),
        "best threshold": (baselines.BestThreshold(), not_empty),  # an oracle leaves `empty` empty
    }
    if chosen.depth_kind != "none":
        if train is not None and len(train):
            rivals["mean depth"] = (baselines.MeanDepth.of(train), ("clean",))
        rivals["background depth"] = (baselines.BackgroundDepth.of(whole_set), ("clean",))
    return rivals


class Setting(NamedTuple):
    """How to measure: see `evaluate`, whose arguments these are."""

    seed: int
    batch_size: int
    device: torch.device
    size: tuple[int, int] | None
    slow_pairs: int
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

    loader = make_loader(data, setting.batch_size, size=setting.size)
    for batch in tqdm(loader, desc=", ".join(conditions), disable=not setting.progress):
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


def _mean_of_ten(by_condition: Mapping[str, dict]) -> dict[str, dict[str, float]]:
    """model -> metric -> mean over the ten conditions; empty unless all ten were measured."""
    if not set(CONDITIONS) <= set(by_condition):
        return {}
    scores = [by_condition[name]["scores"] for name in CONDITIONS]
    in_all = [model for model in scores[0] if all(model in one for one in scores)]
    return {
        model: {
            metric: sum(one[model][metric] for one in scores) / len(scores)
            for metric in scores[0][model]
            if all(metric in one[model] for one in scores)
        }
        for model in in_all
    }


def _check_names(word: str, names: Sequence[str], known: Mapping[str, object] | Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {word} {name!r}: expected some of {', '.join(known)}")


def environment(device: torch.device) -> dict[str, dict]:
    """`versions` of what a figure depends on, and the `machine` it was measured on."""
    versions = {"python": platform.python_version(), "mdlib": __version__}
    for name in ("torch", "numpy", "kornia"):
        versions[name] = version(name)
    machine = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
    return {"versions": versions, "machine": machine}


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    if about.is_file():
        for line in about.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
