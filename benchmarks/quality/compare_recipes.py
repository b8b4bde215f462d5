"""Recipes side by side at equal time: trains each, writes curves and the last scores.

    python -m benchmarks.quality.compare_recipes DATA --minutes 30 --out FOLDER
    python -m benchmarks.quality.compare_recipes DATA --minutes 1 --recipes conv2-mask mdnet

Every network gets the same data, the same minutes of training on the same machine, one after the other, and
is looked at on the same pairs of new rooms and new objects at its own final size, the averaged weights where
a recipe averages. The time of looking counts too. A recipe's number of epochs gives way to the minutes, and
its schedule and stages fit into them. The same command again goes on where it was stopped.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks import harness
from mdlib.run import train
from mdlib.training.config import TrainConfig
from mdlib.training.reference_recipes import RECIPES, from_recipe
from mdlib.viewing.curves import read_rows, score_figure

SCORES = ("iou", "iou_disturbed", "depth_error")


def curve_of(config: TrainConfig) -> list[dict]:
    """Train, or go on, and return the rows of the metrics."""
    if not train(config).finished:
        raise SystemExit("stopped: the same command goes on")
    return read_rows(config.run)


def main() -> None:
    """Train each recipe, print the last scores, write curves."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipes", nargs="+", default=["resnet18-upproj", "mdnet"], choices=list(RECIPES))
    parser.add_argument("--minutes", type=float, default=30.0, help="of training, for each")
    parser.add_argument("--checks", type=int, default=20, help="points of each curve")
    parser.add_argument("--pairs", type=int, default=64, help="pairs looked at each time")
    parser.add_argument(
        "--accumulate", type=int, default=1, help="parts of each batch, where memory is short"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("recipes"))
    args = parser.parse_args()
    runs = {}
    for name in args.recipes:
        config = from_recipe(name, data=args.data, run=args.out / name, checks=args.checks, seed=args.seed)
        config = replace(config, minutes=args.minutes, epochs=None, steps=None, accumulate=args.accumulate)
        runs[name] = curve_of(replace(config, check_pairs=args.pairs))
    result = {"machine": harness.machine(), "minutes": args.minutes, "pairs": args.pairs, "seed": args.seed}
    result["recipes"] = {name: RECIPES[name] for name in runs}
    result["curves"] = runs
    print(report(result))
    harness.write_results(args.out / "recipes.json", result, report(result))
    score_figure(runs, SCORES).savefig(args.out / "recipes.png")
    print(args.out / "recipes.png")


def report(result: dict) -> str:
    """A table of the last scores."""
    rows = []
    for name, curve in result["curves"].items():
        last = [row["scores"] for row in curve if "scores" in row][-1]
        steps = max(row["step"] for row in curve)
        rows.append([name, steps, *(f"{last[score]:.3f}" if score in last else "-" for score in SCORES)])
    about = f"{result['minutes']:g} minutes each; {result['machine']}"
    return f"{about}\n\n{harness.table(['recipe', 'steps', *SCORES], rows)}"


if __name__ == "__main__":
    main()
