"""The weights that come with the package: data, training, evaluation, model card.

    python -m benchmarks.release.ship_weights BG_DIR FG_DIR --keep KEEP            # everything
    python -m benchmarks.release.ship_weights BG_DIR FG_DIR --keep KEEP --export   # the newest weights, now
    python -m benchmarks.release.ship_weights BG_DIR FG_DIR --keep KEEP --export --finish 400

Trains mdnet on drawn rooms with drawn objects (exact depth), on photographed objects in other drawn rooms,
and, for the mask alone, on photographed and drawn objects over photographs: small pictures first, then larger
ones. All of it is composed while training, so KEEP needs little room. Stopped, it goes on where it was. A
fifth of the photographs, rooms and objects is held out; the weights are measured on those, and nowhere else.

Mask and depth are taught by separate weights, so two machines (or cores) can go on with one of them each, and
`--start` puts them together. RUN is what `--run` called the folder in KEEP. With `--size 160`, which needs a
KEEP of its own, pictures are composed at 160 px: shrunk to it, they teach softer edges than are measured.

    python -m benchmarks.release.ship_weights BG_DIR FG_DIR --keep KEEP/at160 --size 160 --run mask \\
        --start KEEP/run --mix photographs props-in-photographs cutouts-in-rooms rooms \\
        --stages 160:1:freeze=depth_decoder:lr=0.0005
    python -m benchmarks.release.ship_weights BG_DIR FG_DIR --keep KEEP --run depth --start KEEP/run \\
        --mix more-rooms many-rooms cutouts-in-rooms \\
        --stages "160:1:freeze=encoder+mask_decoder:loss=mdnet + depth of objects and pairs"
    python -m benchmarks.release.ship_weights BG_DIR FG_DIR --keep KEEP --run both \\
        --start KEEP/at160/mask KEEP/depth

`--start assets/weights/mdnet.safetensors` goes on from the weights that come with the package; the runs that
they come from need not be there. `--augment 0.4` disturbs fewer pictures: edges become sharper on clean ones.
Training on `further-rooms` and `most-rooms` at 160 px takes 10 GB of memory.

`--export` leaves the training alone, which may go on meanwhile: it measures the averaged weights of the
newest checkpoint and writes assets/weights/mdnet.*. A learning rate that is still high leaves weights that
are worse than need be; `--finish STEPS` first trains a copy of the run for so many steps, in which the rate
falls to zero.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from benchmarks.release import model_card
from benchmarks.release.weights_history import curve, history, log, remember_start, starts_of
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.live import open_stored_or_live
from mdlib.evaluation.protocol import evaluate
from mdlib.evaluation.report import format_table
from mdlib.files import write_whole
from mdlib.loading.dataset import SceneDataset
from mdlib.modeling.networks.base import MaskDepthNet
from mdlib.modeling.registry import create_model, load_model, save_model
from mdlib.run import new_model, train
from mdlib.training.checkpoint import Checkpoints, read_files
from mdlib.training.config import TrainConfig
from mdlib.training.state import part

REPOSITORY = Path(__file__).resolve().parents[2]
WEIGHTS, RESULTS = REPOSITORY / "assets/weights", REPOSITORY / "benchmarks/results"
STEPS = 2_800  # about 80 minutes on one core
STAGES = "112:0.64,160:0.24,224:0.12"
STOPPED = 130
# Measured on: the set of the README, and drawn rooms. Of both only what training never saw.
OFFICE, ROOMS = "office", "rooms"
MIXED = (ROOMS, "cutouts-in-rooms", "photographs", "props-in-photographs", "more-rooms")
# Mixed with all the others they would leave few photographs, which teach the mask.
FOR_DEPTH = ("many-rooms", "most-rooms", "further-rooms")


def recipes(bg: Path, fg: Path, rooms: int = 160, size: int = 224, workers: int = 2) -> dict[str, dict]:
    """Options of every data set. Another seed draws other rooms and objects."""
    live = {"size": size, "recipe_only": True, "workers": workers}
    photos = {"bg": bg, "upscale": True}
    return {
        ROOMS: {**live, "rooms": rooms, "props": rooms, "placements": 2},
        "cutouts-in-rooms": {
            **live,
            **{"rooms": rooms // 2, "fg": fg, "placements": 4, "objects": 2, "shadow": True, "seed": 1},
        },
        "photographs": {**live, **photos, "fg": fg, "placements": 12},
        "props-in-photographs": {**live, **photos, "props": rooms // 2, "placements": 4, "seed": 1},
        # Depth of rooms never seen is learned from many rooms, not from many objects in a few.
        "more-rooms": {**live, "rooms": 5 * rooms, "props": rooms // 4, "placements": 1, "seed": 2},
        "many-rooms": {**live, "rooms": 20 * rooms, "props": rooms // 4, "placements": 1, "seed": 3},
        "most-rooms": {**live, "rooms": 40 * rooms, "props": rooms // 2, "placements": 1, "seed": 4},
        # New objects too, each seen once in a room: training mirrors pictures anyway.
        "further-rooms": {
            **live,
            **{"rooms": 80 * rooms, "props": rooms, "placements": 1, "flip": False, "seed": 5},
        },
        OFFICE: {"bg": bg, "fg": fg, "placements": 6, "size": min(size, 160), "workers": workers},
    }


def make_data(folder: Path, options: dict[str, dict]) -> dict[str, Path]:
    """Create what is not there yet; returns name -> folder."""
    folders = {name: create(CreateConfig(out=folder / name, **how)) for name, how in options.items()}
    check_held_out(folders)
    return folders


def check_held_out(folders: dict[str, Path]) -> None:
    """Raise ValueError where something that is measured on is trained on."""
    sets = {name: open_stored_or_live(path).split() for name, path in folders.items()}
    for measured in (OFFICE, ROOMS):
        unseen = names(sets[measured]["new_both"])
        for mixed in sorted(set(sets) - {OFFICE}):
            if both := unseen & names(sets[mixed]["train"]):
                raise ValueError(f"{sorted(both)[0]} is new in {measured}, but trained on in {mixed}")


def names(dataset: SceneDataset) -> set[str]:
    """Pictures in a set: the names of files; drawn ones with the seed that they were drawn from."""
    seed = json.loads((dataset.path / "recipe.json").read_text())["seed"]
    found = {dataset.info["backgrounds"][i]["name"] for i in dataset.bg.tolist()}
    found |= {dataset.info["cutouts"][i]["name"] for i in dataset.fg.tolist()}
    return {name if "." in name else f"{name} of seed {seed}" for name in found}


def settings(
    folders: dict[str, Path],
    run: Path,
    steps: int,
    stages: str,
    mix: Sequence[str] = MIXED,
    augment: float = 1.0,
) -> TrainConfig:
    first, *others = (folders[name] for name in mix)
    checks = {"checks": 14, "check_pairs": 48, "checkpoint_minutes": 4.0, "keep": 2}
    return TrainConfig(first, run, mix=tuple(others), steps=steps, stages=stages, augment=augment, **checks)


def train_from(config: TrainConfig, start: Sequence[Path] = ()) -> None:
    """Train, from the weights of the runs `start` if given, or go on. Ends the program where a signal did."""
    model = new_model(config)
    if start:
        model.load_state_dict(joined(model, *start))
        remember_start(config.run, start)
    if not train(config, model).finished:
        sys.exit(STOPPED)


def joined(model: MaskDepthNet, run: Path, of_depth: Path | None = None) -> dict[str, Tensor]:
    """Weights of a finished run or a file, and of another one those of the depth."""
    weights = load_model(run).state_dict()
    if of_depth:
        found = load_model(of_depth).state_dict()
        weights |= {name: tensor for name, tensor in found.items() if name.startswith(depth_names(model))}
    return weights


def finish(config: TrainConfig, steps: int) -> TrainConfig:
    """Train a copy of the run `steps` more steps, which are the end of its schedule."""
    newest = newest_of(config.run)
    done = newest.state["step"]
    ended = replace(config, run=config.run.with_name(f"finished-{done}-{steps}"), steps=done + steps)
    if not (ended.run / "checkpoints").exists():
        ended.run.mkdir(exist_ok=True)
        Checkpoints(ended.run / "checkpoints").put(newest.path.name, read_files(newest.path))
        shutil.copy(config.run / "config.json", ended.run / "config.json")
        remember_start(ended.run, starts_of(config.run))
    train_from(replace(ended, checks=0))
    return ended


def newest_of(run: Path):
    newest = Checkpoints(run / "checkpoints").latest()
    if newest is None:
        raise FileNotFoundError(f"{run} has no checkpoint yet: train first, without --export")
    return newest


def export(args: argparse.Namespace, config: TrainConfig, folders: dict[str, Path]) -> None:
    """Measure the newest averaged weights; write them, the model card, the tables and the curve."""
    weights, results = args.weights, args.results
    newest = newest_of(config.run)
    model = create_model(config.model)
    tensors = in_half(model, part(newest.tensors, "average."))
    model.load_state_dict(tensors)
    model.eval()
    past = history(config.run)
    found = {name: measured(model, newest.state, folders[name], name, args) for name in (OFFICE, ROOMS)}
    write_whole(results / "weights_training.jsonl", log(past))
    about = model_card.facts(config, newest.state, found, past, args.steps)
    curve(past).savefig(results / "weights_training.png")
    card = model_card.card(about, found)
    with tempfile.TemporaryDirectory() as folder:
        model.load_state_dict(tensors, assign=True)  # in 16 bits where they were rounded to them
        saved = save_model(model, folder, about)
        write_whole(weights / "mdnet.safetensors", (saved / "model.safetensors").read_bytes())
        write_whole(weights / "mdnet.json", (saved / "config.json").read_bytes())
    write_whole(weights / "mdnet.md", card.encode())
    print(card)


def depth_names(model: MaskDepthNet) -> tuple[str, ...]:
    """How the names of the weights of depth begin."""
    return tuple(f"{name}." for name in model.parts["depth_decoder"])


def in_half(model: MaskDepthNet, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, those of the depth's convolutions rounded to 16 bits: three quarters of the size."""
    return {
        name: tensor.half() if name.startswith(depth_names(model)) and tensor.ndim == 4 else tensor
        for name, tensor in weights.items()
    }


def measured(model: nn.Module, state: dict, data: Path, name: str, args: argparse.Namespace) -> dict:
    """The protocol's result, also as files; that of the same weights and pairs is read again."""
    file, weights = args.results / f"weights_{name}.json", [state["run_id"], state["step"], args.pairs]
    if file.exists() and (before := json.loads(file.read_text())).get("weights") == weights:
        return before
    few = {"pairs": args.pairs, "slow_pairs": -(-args.pairs // 4)} if args.pairs else {}
    found = evaluate(model, open_stored_or_live(data), progress=True, **few) | {"weights": weights}
    write_whole(file, (json.dumps(found, indent=1) + "\n").encode())
    write_whole(file.with_suffix(".md"), format_table(found).encode())
    return found


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("bg", type=Path, help="pictures of empty places")
    parser.add_argument("fg", type=Path, help="cut-outs")
    parser.add_argument("--keep", type=Path, required=True, help="folder for data and run")
    parser.add_argument("--steps", type=int, default=STEPS, help="of 16 samples each")
    parser.add_argument("--stages", default=STAGES, help="sizes of the pictures")
    parser.add_argument("--run", default="run", help="name of the run's folder in KEEP")
    parser.add_argument(
        "--start",
        type=Path,
        nargs="+",
        default=[],
        help="finished run, or weights, to begin from; of a second one the weights of depth are taken",
    )
    parser.add_argument("--augment", type=float, default=1.0, help="how much pictures are disturbed, 0 to 1")
    parser.add_argument("--mix", nargs="+", choices=(*MIXED, *FOR_DEPTH), default=MIXED, help="data sets")
    parser.add_argument("--rooms", type=int, default=160, help="drawn rooms, and drawn objects")
    parser.add_argument("--size", type=int, default=224, help="largest size of the pictures")
    parser.add_argument("--export", action="store_true", help="write the newest weights; do not train")
    parser.add_argument("--finish", type=int, help="with --export: steps that end a copy of the run")
    parser.add_argument("--pairs", type=int, help="frozen pairs; those of published tables where not given")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder written to")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of tables and curve")
    parser.add_argument("--workers", type=int, default=2, help="processes that create data")
    args = parser.parse_args()
    options = recipes(args.bg, args.fg, args.rooms, args.size, args.workers)
    needed = {OFFICE, ROOMS, *args.mix}
    folders = make_data(args.keep / "data", {name: how for name, how in options.items() if name in needed})
    config = settings(folders, args.keep / args.run, args.steps, args.stages, args.mix, args.augment)
    if not args.export:
        train_from(config, args.start)
    elif args.finish:
        config = finish(config, args.finish)
    for folder in (args.weights, args.results):
        folder.mkdir(parents=True, exist_ok=True)
    export(args, config, folders)


if __name__ == "__main__":
    main()
