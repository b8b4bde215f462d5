"""How much a random split flatters: the leak gap.

One network is trained twice, for the same number of steps, with the same seed: on 70 % of all samples drawn
at random, as published projects of this kind do, and on `train` of the four sets, which keeps a fifth of the
rooms and of the objects away. The first is measured on the other 30 %, the second on the four sets. The leak
gap is the score on those 30 % minus that on new_both.

Some rooms and objects are harder than others, so the two are also measured on the same pairs: those of
new_both that the random split keeps from training too. There the first network has seen every room and every
object before, and the second none.

    python -m benchmarks.quality.leak DATA --runs RUNS --json leak.json  # 1,000 steps each, 2 x 8 minutes

Stopped and started again, it goes on where it was.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks import harness
from mdlib.evaluation.protocol import evaluate
from mdlib.loading.dataset import SceneDataset, open_dataset
from mdlib.loading.loader import make_loader
from mdlib.loading.splits import random_sets
from mdlib.modeling.registry import load_model
from mdlib.run import new_model
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Fitted, Trainer

RANDOM, STRICT = "random split", "four sets"
SAME = "same pairs"
TITLES = {"iou": "IoU", "mad": "MAD", "abs_rel": "AbsRel", "delta1": "delta1"}
TITLES |= {f"si_{metric}": f"si_{TITLES[metric]}" for metric in ("abs_rel", "delta1")}


def train(config: TrainConfig, samples: SceneDataset, validation: SceneDataset) -> Fitted:
    """A network trained on `samples`; `validation` is only looked at."""
    common_options = {"batch_size": config.batch_size, "shuffle": True, "threads": config.workers}
    loaders = [
        make_loader(samples, seed=config.seed, drop_last=True, **common_options),
        make_loader(validation, seed=config.seed, **common_options),
    ]
    return Trainer(config, new_model(config), lambda stage: tuple(loaders)).fit()


def leak(args: argparse.Namespace) -> dict | None:
    """What the two networks reach, by set; None where a signal stopped a training."""
    data = open_dataset(args.data)
    strict = data.split(args.seed)
    leaky = {name: data.subset(rows) for name, rows in random_sets(len(data), args.seed).items()}
    in_both = np.isin(leaky["random"].rows, strict["new_both"].rows)
    same = {SAME: leaky["random"].subset(np.flatnonzero(in_both))}
    splits = {STRICT: strict | same, RANDOM: leaky | same}
    minutes, steps, scores = args.minutes, args.steps, {}
    for way, sets in splits.items():
        run = args.runs / way.replace(" ", "-")
        print(f"{way}: training on {len(sets['train']):,} samples in {run}", file=sys.stderr)
        settings = {"model": args.model, "size": args.size, "seed": args.seed, "batch_size": args.batch_size}
        config = TrainConfig(args.data, run, steps=steps, minutes=minutes, checks=0, **settings)
        fitted = train(config, sets["train"], sets[list(sets)[-2]])
        if not fitted.finished:
            return None
        minutes, steps = None, fitted.step  # the second network takes as many steps as the first
        scores[way] = evaluate(
            load_model(run),
            data,
            splits=sets,
            pairs=args.pairs,
            conditions=(),
            seed=args.seed,
            split_seed=args.seed,
            size=scaled(data.size, args.size),
            progress=True,
        )
    about = scores[STRICT]
    return {
        "model": args.model,
        "steps": steps,
        "samples_seen": steps * args.batch_size,
        "seed": args.seed,
        "size": args.size,
        "dataset": about["dataset"],
        "versions": about["versions"],
        "machine": about["machine"],
        "sets": {
            way: {
                name: {
                    "pairs": one["pairs"],
                    "checksum": one["checksum"],
                    "scores": {m: x for m, x in one["scores"]["network"].items() if m in TITLES},
                }
                for name, one in result["sets"].items()
            }
            for way, result in scores.items()
        },
    } | {"gap": gaps({way: result["sets"] for way, result in scores.items()})}


def scaled(size: tuple[int, int], shorter_px: int) -> tuple[int, int]:
    """(H, W) with this shorter side, as training resizes its pictures."""
    h, w = (round(side * shorter_px / min(size)) for side in size)
    return h, w


def gaps(sets: dict[str, dict]) -> dict[str, dict[str, float]]:
    """The leak gap of every metric, as the sets define it and on the same pairs."""
    pairs = {"random minus new_both": ("random", "new_both"), SAME: (SAME, SAME)}
    found = {}
    for name, (leaky, strict) in pairs.items():
        high, low = (
            sets[way][chosen]["scores"]["network"] for way, chosen in ((RANDOM, leaky), (STRICT, strict))
        )
        found[name] = {metric: high[metric] - low[metric] for metric in TITLES if metric in high}
    return found


def markdown(found: dict) -> str:
    """A row per network and set, then the gaps."""
    metrics = list(found["gap"][SAME])
    rows = [
        [way, f"`{name}`", f"{one['pairs']:,}", *(f"{one['scores'][metric]:.3f}" for metric in metrics)]
        for way, by_set in found["sets"].items()
        for name, one in by_set.items()
    ]
    rows += [
        ["**leak gap**", name, "", *(f"{gap[metric]:+.3f}" for metric in metrics)]
        for name, gap in found["gap"].items()
    ]
    checksums = [
        f"{way} {name} {one['checksum']}"
        for way, sets in found["sets"].items()
        for name, one in sets.items()
        if name != SAME or way == STRICT
    ]
    return (
        harness.table(["trained on", "measured on", "pairs", *(TITLES[m] for m in metrics)], rows)
        + f"\n\n{found['model']}, {found['steps']:,} steps each ({found['samples_seen']:,} samples seen) at "
        f"{found['size']} px, seed {found['seed']}. Data set {found['dataset']['id'][:16]}, "
        f"{found['dataset']['samples']:,} samples. Checksums of the pairs: {', '.join(checksums)}."
    )


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("--runs", type=Path, default=Path("leak"), help="folder for the two runs")
    parser.add_argument("--model", default="mdnet")
    parser.add_argument("--steps", type=int, help="of each training; 1,000 where no minutes are given")
    parser.add_argument(
        "--minutes", type=float, help="for the first training; the second takes as many steps"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=112, help="shorter side of the pictures in px")
    parser.add_argument("--pairs", type=int, default=500, help="frozen pairs per set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--json", type=Path, help="write all numbers to this file, the table beside it as .md"
    )
    args = parser.parse_args()
    if args.steps is None and args.minutes is None:
        args.steps = 1000
    found = leak(args)
    if found is None:
        return 130
    table = markdown(found)
    print(table)
    harness.write_results(args.json, found, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
