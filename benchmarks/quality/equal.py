"""Candidates on equal terms: the same samples in the same order, the same pairs to be measured on.

Each candidate is a run folder of its own with a `result.json` in it, so that a comparison can be stopped at
any moment and goes on where it was.
"""

import json
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from mdlib.creation.live import open_stored_or_live
from mdlib.evaluation.disturb import CONDITIONS, UNSEEN
from mdlib.evaluation.protocol import HEADLINE, environment, evaluate
from mdlib.files import write_whole
from mdlib.loading.dataset import SceneDataset
from mdlib.modeling.registry import WEIGHTS_NAME
from mdlib.run import train
from mdlib.training.config import TrainConfig

MEAN = "mean of ten"
# What a result depends on, beside data and pairs; how fast it is trained may change.
SETTINGS = (
    "model", "loss", "steps", "batch_size", "size", "optimizer", "lr", "schedule", "warmup", "weight_decay",
    "clip", "ema", "augment", "seed",
)  # fmt: skip
STOPPED = 130
# (title, condition or set, metric, digits), of masks and of depth, where there is any.
MASK_COLUMNS = (
    ("IoU", "clean", "iou", 3),
    ("IoU, ten conditions", MEAN, "iou", 3),
    ("IoU, unseen two", "unseen", "iou", 3),
    ("boundary F", "clean", "boundary_f", 3),
    ("MAD", "clean", "mad", 4),
)
DEPTH_COLUMNS = (
    ("AbsRel", "clean", "abs_rel", 3),
    ("object AbsRel", "clean", "object_abs_rel", 3),
    ("delta1", "clean", "delta1", 3),
    ("order", "clean", "order", 3),
    ("depth edge F", "clean", "edge_f", 3),
)
FEW_DEPTH = 2  # of the depth columns, in wide tables


class Terms:
    """What all candidates have in common.

    data: folders of data sets, mixed for training, each measured on its own. sets: those measured clean
    (None = all four); the conditions are those of new_both.
    """

    def __init__(
        self,
        data: Sequence[Path],
        runs: Path,
        size: int,
        batch_size: int,
        pairs: int,
        sets: Sequence[str] | None = (HEADLINE,),
    ):
        self.data, self.runs, self.size, self.batch_size = list(data), runs, size, batch_size
        self.pairs, self.sets = pairs, sets
        self.datasets: dict[str, SceneDataset] = {path.name: open_stored_or_live(path) for path in data}

    def config(self, name: str, seed: int, samples: int, **settings: object) -> TrainConfig:
        """Settings of the candidate `name`, which sees `samples` samples."""
        shared = {"size": self.size, "batch_size": self.batch_size, "checks": 0, "keep": 1, "seed": seed}
        run, steps = self.runs / f"{name}-{seed}", max(1, samples // self.batch_size)
        return TrainConfig(self.data[0], run, mix=tuple(self.data[1:]), steps=steps, **{**shared, **settings})

    def result(self, config: TrainConfig, build: Callable[[], nn.Module], on: str = HEADLINE) -> dict:
        """Train and measure a candidate, or read what came out before.

        `build` makes it; its first weights follow from the seed. The conditions are those of the set `on`.
        Ends the program where a signal stopped it.
        """
        file = config.run / "result.json"
        terms = {name: getattr(config, name) for name in SETTINGS} | {"pairs": self.pairs, "on": on}
        terms["data"] = {name: dataset.dataset_id for name, dataset in self.datasets.items()}
        if file.exists():
            before = json.loads(file.read_text())
            if before["terms"] != terms:
                raise ValueError(f"{file} is of other settings: remove that folder, or give other --runs")
            return before
        print(f"{config.run.name}: {config.steps:,} steps", file=sys.stderr)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = build()
        if not train(config, model).finished:
            sys.exit(STOPPED)
        model.load_state_dict(load_file(config.run / WEIGHTS_NAME))
        result = {"terms": terms, "parameters": sum(p.numel() for p in model.parameters())}
        result["measured"] = {name: self._measure(model, data, on) for name, data in self.datasets.items()}
        write_whole(file, (json.dumps(result, indent=1) + "\n").encode())
        shutil.rmtree(config.run / "checkpoints", ignore_errors=True)  # up to 300 MB each
        return result

    def _measure(self, model: nn.Module, dataset: SceneDataset, on: str) -> dict:
        splits, headline = dataset.split(), on == HEADLINE
        found = evaluate(
            model,
            dataset,
            splits=splits if headline else {on: splits[on]},
            sets=self.sets if headline else (),
            conditions=(*CONDITIONS, *UNSEEN),
            pairs=self.pairs,
            slow_pairs=-(-self.pairs // 4),  # boundary F; connectivity takes longer than the network
            size=scaled(dataset.size, self.size),
            rivals=False,
        )
        scores = {name: one["scores"]["network"] for name, one in found["conditions"].items()}
        scores[MEAN] = found["mean_of_ten"]["network"]
        scores["unseen"] = {m: sum(scores[c][m] for c in UNSEEN) / len(UNSEEN) for m in scores[UNSEEN[0]]}
        checksum = next(iter(found["conditions"].values()))["checksum"]
        sets = {name: one["scores"]["network"] for name, one in found["sets"].items()}
        return {"scores": scores, "sets": sets, "checksum": checksum}

    def about(self) -> dict:
        """What a table must say about how it was made."""
        found = {name: {"id": d.dataset_id, "samples": len(d)} for name, d in self.datasets.items()}
        return {
            "data": found,
            "size": self.size,
            "batch_size": self.batch_size,
            "pairs": self.pairs,
            **environment(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        }

    def columns(self, few: bool = False) -> list[tuple[str, tuple[str, str, str], int]]:
        """(title, (data set, condition, metric), digits) of each column of a table."""
        columns = []
        for name, dataset in self.datasets.items():
            depth = () if dataset.depth_kind == "none" else DEPTH_COLUMNS[: FEW_DEPTH if few else None]
            si = "si_" if dataset.depth_kind == "relative" else ""
            of = f"{name}: " if len(self.datasets) > 1 else ""
            for title, condition, metric, digits in MASK_COLUMNS:
                columns.append((of + title, (name, condition, metric), digits))
            for title, condition, metric, digits in depth:
                columns.append((of + si + title, (name, condition, si + metric), digits))
        return columns


def value(measured: Mapping, column: tuple[str, str, str]) -> float | None:
    """One score out of what was measured; None where the network gives none (no depth)."""
    dataset, condition, metric = column
    return measured[dataset]["scores"][condition].get(metric)


def over_seeds(seeds: Sequence[Mapping], column: tuple[str, str, str]) -> tuple[float, float] | None:
    """Mean and standard deviation (0 for one seed) of a score; None where there is none."""
    values = [value(measured, column) for measured in seeds]
    if None in values:
        return None
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def cell(found: tuple[float, float] | None, digits: int, seeds: int) -> str:
    """0.912 ± 0.003, or a dash."""
    if found is None:
        return "–"
    return f"{found[0]:.{digits}f}" + (f" ± {found[1]:.{digits}f}" if seeds > 1 else "")


def scaled(size: tuple[int, int], shorter_px: int) -> tuple[int, int]:
    """(H, W) with this shorter side, as training resizes its pictures."""
    h, w = (round(side * shorter_px / min(size)) for side in size)
    return h, w
