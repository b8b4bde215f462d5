"""The card beside packaged weights: what they were trained on, what they reach, where they fail."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.release.weights_history import WEIGHTS, Part, data_of, is_packaged, starts_of
from mdlib.evaluation.disturb import CONDITIONS, UNSEEN
from mdlib.training.config import TrainConfig

# What of the settings a reader needs; folders are those of one machine.
SETTINGS = ("loss", "batch_size", "optimizer", "schedule", "warmup", "ema", "clip", "augment", "stages")
DEPTH = ("abs_rel", "delta1", "rmse_over_std", "order", "edge_f", "object_abs_rel", "object_delta1")

TEXT = """# mdnet: packaged weights

`Predictor.load("mdnet")`, or `python -m mdlib predict BG FG_BG`. {parameters:,} parameters.

**In**: two pictures of the same place from the same spot, without and with something in it. **Out**: a soft
mask of what was added, and depth as closeness (0.5 m / distance).

## Data

| data set | samples | of them trained on | depth |
| --- | ---: | ---: | --- |
{data}

Rooms and objects called drawn are this project's own (`python -m mdlib create --rooms N --props N`), with
exact depth. The photographs are the first 80 rooms and the first 80 cut-outs of genigarus/DepthMaskDataset
(folder `data/`, Apache License 2.0); they teach the mask alone. A fifth of all rooms and of all objects, in
groups of near-duplicates, is held out, of each kind; every figure below is of rooms *and* objects that
training never saw. No picture of a user is in it. Every sample was mirrored, recoloured, cropped, emptied
or disturbed at random (mdlib/training/augment.py); the families `homography` and `vignette` were never
trained on.

## Training

{start}{samples:,} samples seen in {step:,} of {steps:,} planned steps{unfinished}:
{settings}.
Averaged weights; those of the depth's convolutions are stored in 16 bits, and were measured so. The course
is `benchmarks/results/weights_training.jsonl` and `.png`. Made by

```bash
python -m benchmarks.release.ship_weights BG_DIR FG_DIR --keep KEEP{options}
```

## Figures

Mask IoU on new photographs with new cut-outs, 160 px, {office_pairs} pairs per condition, beside
subtraction with the threshold 0.06 and with the best threshold per picture, which no program can know:

{conditions}

{clean_pairs:,} clean pairs: boundary F {boundary_f:.3f}, MAD {mad:.4f}. Pixels marked
where nothing was added: {empty:.2%}.

New drawn rooms with new drawn objects, {rooms_size} px, field of view 55 to 65 degrees, {rooms_pairs:,}
pairs; mask IoU {rooms_iou:.3f} clean, {rooms_mean:.3f} in the mean of the ten conditions. Depth, z in
metres, beside the mean depth map of the training set and, on the object, the true depth of the background:

{depth}{warning}

The whole tables, with all four sets, checksums and versions: `benchmarks/results/weights_office.md` and
`weights_rooms.md`.

## Limits

- Both pictures must come from one spot: small shifts, turns and other light are undone, another point of
  view is not.
- Depth in metres holds for a field of view of 55 to 65 degrees (most phones, held upright or not, not
  zoomed). Of other cameras the order of near and far remains. It was taught on drawn rooms alone: outdoors
  it is a guess.
- Depth is found at 160 px along the longer side and enlarged: edges of the object are those of the mask,
  other small things blur.
- Pictures whose longer side exceeds 512 px are shrunk for the network, and the mask is enlarged again: its
  edges are those of the smaller picture, not refined at full size.
- Reflections and hard shadows of what was added are sometimes taken for a part of it; objects in the
  colours of what is behind them are found in part.
- Trained on rooms with furniture, people and things; not measured on anything where a mistake would harm
  somebody.

## Licence

MIT, as the package."""


def facts(
    config: TrainConfig,
    state: Mapping[str, Any],
    found: Mapping[str, Mapping],
    past: Sequence[Part],
    steps: int,
) -> dict[str, Any]:
    """What the file beside the weights says about them, as JSON."""
    training = {name: getattr(config, name) for name in SETTINGS}
    step = state["step"]
    finished = config.run.name.startswith("finished-")
    last = int(config.run.name.rsplit("-", 1)[1]) if finished else 0
    return {
        "run_id": state["run_id"],
        "step": step,
        "samples_seen": step * config.batch_size,
        "steps_planned": steps,
        "steps_of_finish": last,
        "samples_before": past[-1].before,
        "started_from": [place(run, config.run.parent) for run in starts_of(config.run)],
        "start": [part.about() for part in past[:-1]],
        "run": config.run.name,
        "mix": [path.name for path in (config.data, *config.mix)],
        "training": training,
        "data": data_of(past),
        "measured": {name: one["mean_of_ten"]["network"]["iou"] for name, one in found.items()},
    }


def place(start: Path, keep: Path) -> str:
    """A run as the command names it: in KEEP, or weights in this repository."""
    if is_packaged(start):
        return WEIGHTS.as_posix()
    return f"KEEP/{os.path.relpath(start, keep)}"


def card(about: Mapping[str, Any], found: Mapping[str, Mapping]) -> str:
    """The card, as Markdown."""
    office, rooms = found["office"], found["rooms"]
    clean, empty = office["sets"]["new_both"]["scores"]["network"], office["conditions"]["empty"]
    data = [
        f"| {name} | {one['samples']:,} | {one['used']:,} | {'none' if one['depth'] == 'none' else 'exact'} |"
        for name, one in about["data"].items()
    ]
    last = about["steps_of_finish"]
    unfinished = "" if about["step"] >= about["steps_planned"] else ", which go on"
    if last:
        unfinished = (
            f", the last {last:,} of them in a copy of a longer run, its learning rate brought to zero"
        )
    training, end = about["training"], f" --finish {last}" if last else ""
    options = [f"--run {about['run']}"] * (not last)  # else that is the copy's name
    options += [f"--mix {' '.join(about['mix'])}", f"--steps {about['steps_planned']}"]
    options += [f"--stages {shlex.quote(training['stages'])}"]
    options += [f"--augment {training['augment']:g}"] * (training["augment"] != 1)
    options += [f"--start {' '.join(about['started_from'])}"] * bool(about["start"])
    options += [f"--export{end}"] * bool(unfinished)
    return TEXT.format(
        start=began(about),
        parameters=office["network"]["parameters"],
        data="\n".join(data),
        samples=about["samples_seen"],
        step=about["step"],
        steps=about["steps_planned"],
        unfinished=unfinished,
        settings=", ".join(f"{name} {value}" for name, value in training.items()),
        options="".join(f" \\\n    {option}" for option in options),
        office_pairs=office["conditions"]["clean"]["pairs"],
        conditions=conditions(office),
        clean_pairs=office["sets"]["new_both"]["pairs"],
        boundary_f=clean["boundary_f"],
        mad=clean["mad"],
        empty=empty["scores"]["network"]["marked"],
        rooms_size=rooms["protocol"]["size"][0],
        rooms_pairs=rooms["sets"]["new_both"]["pairs"],
        rooms_iou=rooms["sets"]["new_both"]["scores"]["network"]["iou"],
        rooms_mean=rooms["mean_of_ten"]["network"]["iou"],
        depth=depth(rooms["sets"]["new_both"]["scores"]),
        warning=warning(rooms["sets"]["new_both"]["scores"]),
    )


def began(about: Mapping[str, Any]) -> str:
    """What the weights had seen before this run."""
    if not about["start"]:
        return ""
    lines = [
        f"- {one['run']}{', for depth' if one['of_depth'] else ''}: {one['samples_seen']:,} samples of "
        f"{', '.join(one['data'])} (stages {one['stages']}{augmented(one['augment'])})"
        for one in about["start"]
    ]
    return "\n".join(["Runs before this one, oldest first:", "", *lines, "", "Then "])


def augmented(strength: float) -> str:
    return "" if strength == 1 else f", augment {strength:g}"


def conditions(found: Mapping) -> str:
    """IoU under each condition, of network and baselines."""
    models = ("network", "subtraction", "best threshold")
    rows = {name: found["conditions"][name]["scores"] for name in (*CONDITIONS, *UNSEEN)}
    cells = [[name, *(f"{one[m]['iou']:.3f}" for m in models)] for name, one in rows.items()]
    means = [f"**{found['mean_of_ten'][model]['iou']:.3f}**" for model in models]
    cells.insert(len(CONDITIONS), ["**mean of the ten**", *means])
    return harness.table(["condition", "mdnet", *models[1:]], cells)


def depth(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Depth of network and baselines."""
    columns = [*DEPTH, "si_abs_rel"] if "si_abs_rel" in scores["network"] else list(DEPTH)
    cells = [
        [name, *(f"{one[metric]:.3f}" if metric in one else "–" for metric in columns)]
        for name, one in scores.items()
        if "abs_rel" in one or "object_abs_rel" in one
    ]
    return harness.table(["", *(metric.replace("_", " ") for metric in columns)], cells)


def warning(scores: Mapping[str, Mapping[str, float]]) -> str:
    """A sentence where the network's depth is no use yet."""
    ours, mean = scores["network"]["abs_rel"], scores["mean depth"]["abs_rel"]
    if ours < mean:
        return ""
    return (
        f"\n\n**Depth of these weights is preliminary**: over the whole picture it is worse than a map that "
        f"is always the same (AbsRel {ours:.2f} against {mean:.2f}). Use the mask alone."
    )
