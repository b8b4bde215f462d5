"""The one protocol behind every number: frozen pairs, four sets, ten conditions, baselines beside."""

import time
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mdlib.evaluation import baselines, report
from mdlib.evaluation.disturb import CONDITIONS, UNSEEN
from mdlib.evaluation.measure import Model, Setting, measure
from mdlib.evaluation.pairs import frozen_pairs
from mdlib.loading.dataset import SceneDataset
from mdlib.modeling.modes import evaluation_mode

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
    process: tuple[int, int] = (0, 1),
) -> dict:
    """Measure `model(bg, fg_bg) -> MaskDepth` by the protocol; returns a dict that json can write.

    pairs: frozen pairs per set and condition; by default those of published tables, 2,000 of new_both and 500
    elsewhere. sets: those measured clean, by default all. conditions: some of ALL_CONDITIONS, measured on
    new_both (on the last set, where there is no new_both). splits: name -> data set, by default
    dataset.split(split_seed), which must be the seed of the training; seed is that of pairs and disturbances.
    device: by default the model's own. size: (H, W), resizes pictures and truth. slow_pairs: pairs that
    boundary F and Conn are taken on. rivals: also measure the baselines. process: (rank, number of processes)
    of torch.distributed; all must call this and all get the same result. The model's mode is left as it was.
    Raises ValueError for unknown names, a set without samples, or a model that answers with nan.
    """
    started = time.perf_counter()
    if pairs is not None and pairs < 1:
        raise ValueError(f"pairs is {pairs}: expected at least 1, or None for those of published tables")
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

    device = torch.device(device or _device_of(model))
    setting = Setting(seed, batch_size, device, size, slow_pairs, process, progress)
    done: dict[tuple[str, int], dict[str, dict]] = {}
    with evaluation_mode(model), torch.inference_mode():
        for (name, count), names in jobs.items():
            chosen = splits[name].subset(frozen_pairs(splits[name].bg, splits[name].fg, name, seed, count))
            if not len(chosen):
                raise ValueError(f"the set {name!r} has no samples: create a data set with more placements")
            models = {"network": (model, ALL_CONDITIONS)}
            models |= _rivals(chosen, splits[name], splits.get("train")) if rivals else {}
            done[name, count] = measure(models, chosen, names, setting)

    by_condition = {name: done[disturbed][name] for name in conditions}
    return {
        "network": {"name": _plain(model, "name", type(model).__name__), "parameters": _parameters(model)},
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
        **report.environment(device),
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


def _plain(model: Model, attribute: str, default: str) -> str:
    """An attribute of the model, also where a wrapper for several devices hides it."""
    return getattr(getattr(model, "module", model), attribute, default)


def _parameters(model: Model) -> int:
    return sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0


def _device_of(model: Model) -> torch.device | str:
    first = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return "cpu" if first is None else first.device
