"""The command line: python -m mdlib COMMAND ...

Each command is made from a config dataclass, so its options are the fields that Python code uses too. What a
command needs is imported when it runs: the list of commands and every usage error appear at once.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_type_hints

import tyro
from tyro.conf import OmitArgPrefixes, PositionalRequiredArgs, arg

from mdlib import __version__
from mdlib.options import EvaluateConfig, InfoConfig

Config = TypeVar("Config")

# What can go wrong without a mistake in the program: bad files or arguments, a full disk, a missing extra,
# numbers that overflow in training, a worker or a GPU that ran out of memory.
EXPECTED_ERRORS = (ValueError, OSError, ImportError, ArithmeticError, RuntimeError)
WRONG_INPUT, STOPPED = 2, 130


def _create(arguments: list[str]) -> None:
    from mdlib.creation.create import CreateConfig, create

    print(create(_parse(CreateConfig, "create", arguments, PositionalRequiredArgs)))


def _cutout(arguments: list[str]) -> None:
    from mdlib.creation.cut_out import CutoutConfig, cut_out

    config = _parse(CutoutConfig, "cutout", arguments, PositionalRequiredArgs)
    written, without = cut_out(config)
    _print_paths(written)
    for photo in without:
        print(f"no object found in {photo}", file=sys.stderr)


def _pack(arguments: list[str]) -> None:
    from mdlib.creation.pack import PackConfig, pack

    print(pack(_parse(PackConfig, "pack", arguments, PositionalRequiredArgs, OmitArgPrefixes)))


def _fetch(arguments: list[str]) -> None:
    from mdlib.loading.fetch import FetchConfig, fetch

    print(fetch(**vars(_parse(FetchConfig, "fetch", arguments, PositionalRequiredArgs))))


def _info(arguments: list[str]) -> None:
    config = _parse(InfoConfig, "info", arguments)
    from mdlib.creation.info import info

    print(info(config.data, check=config.check))


def _sample(arguments: list[str]) -> None:
    from mdlib.viewing.scenes import SampleConfig, sample

    _print_paths(sample(_parse(SampleConfig, "sample", arguments, PositionalRequiredArgs)))


def _train(arguments: list[str]) -> None:
    from mdlib.training.config import TrainConfig

    config = _parse_with_recipe(TrainConfig, "train", arguments)
    from mdlib.run import train

    fitted = train(config)
    if os.environ.get("RANK", "0") == "0":  # one of several processes speaks
        _print_paths([fitted.run])
    if not fitted.finished:  # stopped by a signal: what comes next in a script must not run
        sys.exit(STOPPED)


def _lr_range(arguments: list[str]) -> None:
    from mdlib.training.lr_range import LrRangeConfig, lr_range

    config = _parse_with_recipe(LrRangeConfig, "lr-range", arguments)
    from mdlib.run import new_model, open_feed
    from mdlib.viewing.curves import write_lr_range

    found = lr_range(config, new_model(config), open_feed(config))
    print("the loss never fell" if found.suggestion is None else f"take --lr {found.suggestion:g}")
    _print_paths(write_lr_range(config.run, found, config.as_json()))


def _profile(arguments: list[str]) -> None:
    from mdlib.viewing.step_profile import ProfileConfig, profile, write_profile

    config = _parse_with_recipe(ProfileConfig, "profile", arguments)
    found = profile(config)
    print(found.table())
    _print_paths(write_profile(config.run, found, config.as_json()))


def _evaluate(arguments: list[str]) -> None:
    config = _parse(EvaluateConfig, "evaluate", arguments)
    from mdlib.creation.live import open_stored_or_live
    from mdlib.evaluation.protocol import evaluate
    from mdlib.evaluation.report import format_table
    from mdlib.viewing.predict import Predictor

    model = Predictor.load(config.weights, None if config.device == "auto" else config.device).model
    result = evaluate(
        model,
        open_stored_or_live(config.data),
        pairs=config.pairs,
        seed=config.seed,
        batch_size=config.batch_size,
        progress=True,
    )
    table = format_table(result)
    config.json.parent.mkdir(parents=True, exist_ok=True)
    config.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    config.json.with_suffix(".md").write_text(table, "utf-8")
    print(table)
    _print_paths([config.json, config.json.with_suffix(".md")])


def _predict(arguments: list[str]) -> None:
    from mdlib.viewing.scenes import PredictConfig, predict

    _print_paths(predict(_parse(PredictConfig, "predict", arguments, PositionalRequiredArgs)))


def _summary(arguments: list[str]) -> None:
    from mdlib.viewing.network.summary import SummaryConfig, summarise

    print(summarise(_parse(SummaryConfig, "summary", arguments, PositionalRequiredArgs)))


def _draw(arguments: list[str]) -> None:
    from mdlib.viewing.network.draw import DrawConfig, draw

    _print_paths(draw(_parse(DrawConfig, "draw", arguments, PositionalRequiredArgs)))


COMMANDS: dict[str, tuple[str, Callable[[list[str]], None]]] = {
    "create": ("make a data set from rooms and cut-outs", _create),
    "cutout": ("cut objects out of photographs, for create --fg", _cutout),
    "pack": ("make a data set of archives of another project", _pack),
    "fetch": ("get a file from Google Drive, the web or a bucket", _fetch),
    "info": ("print what a data set holds; check its files", _info),
    "sample": ("write one sample of a data set as pictures", _sample),
    "train": ("train a network on a data set, or go on with it", _train),
    "lr-range": ("try learning rates from small to large and suggest one", _lr_range),
    "profile": ("measure where the time of a training step goes", _profile),
    "evaluate": ("measure a trained network beside plain subtraction", _evaluate),
    "predict": ("mask and depth of any two pictures of the same place", _predict),
    "summary": ("print the layers of a network and what a prediction costs", _summary),
    "draw": ("draw how a network calculates, or where it looks", _draw),
}

USAGE = """usage: python -m mdlib COMMAND ...

commands (python -m mdlib COMMAND --help tells the options of one):
{commands}

options:
  --debug    show the whole trace of an error (also: MDLIB_DEBUG=1)
  --version  print the version
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 wrong input (a sentence on stderr), 130 stopped."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["--"]:  # which torch.distributed.run wants before options that look like its own
        arguments = arguments[1:]
    debug = "--debug" in arguments or os.environ.get("MDLIB_DEBUG", "0") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    command = arguments[0] if arguments else None
    if command in COMMANDS:
        return run_command(COMMANDS[command][1], arguments[1:], debug)
    if command == "--version":
        print(f"mdlib {__version__}")
        return 0
    usage = USAGE.format(commands="\n".join(f"  {name:10} {about}" for name, (about, _) in COMMANDS.items()))
    if command in ("-h", "--help"):
        print(usage, end="")
        return 0
    wrong = f"error: no command {command!r}; the commands are {', '.join(COMMANDS)}\n" if command else usage
    print(wrong, end="", file=sys.stderr)
    return WRONG_INPUT


def run_command(command: Callable[[list[str]], None], arguments: list[str], debug: bool) -> int:
    """Call the function of a command; an expected error becomes one sentence on stderr, unless `debug`."""
    try:
        command(arguments)
    except KeyboardInterrupt as stop:  # which may say what is done and how to go on
        print(str(stop) or "stopped", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # whoever read the output has seen enough, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except EXPECTED_ERRORS as error:
        if debug:
            raise
        where = " (--debug shows where)" if isinstance(error, RuntimeError) else ""
        print(f"error: {_sentence(error)}{where}", file=sys.stderr)
        return WRONG_INPUT
    return 0


def _parse(config: type[Config], command: str, arguments: list[str], *markers: object) -> Config:
    """The config that the arguments describe. Exits with help (0) or with what is wrong in them (2)."""
    return tyro.cli(_named(config), args=arguments, prog=f"python -m mdlib {command}", config=markers)


def _named(config: type[Config]) -> type[Config]:
    """The config, of which help calls required fields by their names, such as FG_BG, not by their types."""
    hints = get_type_hints(config, include_extras=True)
    named = [
        (field.name, Annotated[hints[field.name], arg(metavar=field.name.upper())])
        for field in fields(config)
        if field.default is MISSING and field.default_factory is MISSING
    ]
    made = make_dataclass(config.__name__, named, bases=(config,), frozen=True)
    made.__doc__ = config.__doc__
    return made


def _parse_with_recipe(config: type[Config], command: str, arguments: list[str]) -> Config:
    """As `_parse`, with the settings that `--recipe NAME` names as the defaults of all other options."""
    from mdlib.training.config import GONE
    from mdlib.training.reference_recipes import RECIPES, recipe

    for argument in arguments:
        if (option := argument.split("=")[0].removeprefix("--").replace("-", "_")) in GONE:
            raise ValueError(GONE[option])
    chooser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--recipe", default="mdnet")
    name = chooser.parse_known_args(arguments)[0].recipe
    about = "how the network of this name was trained; options that are given go before it"
    choice = Annotated[Literal[tuple(RECIPES)], arg(help=about)]
    with_recipe = make_dataclass(config.__name__, [("recipe", choice, name)], bases=(config,), frozen=True)
    with_recipe.__doc__ = config.__doc__
    default = with_recipe(data=tyro.MISSING, **recipe(name))
    chosen = tyro.cli(
        with_recipe,
        args=arguments,
        prog=f"python -m mdlib {command}",
        default=default,
        config=(PositionalRequiredArgs,),
    )
    return config(**{field.name: getattr(chosen, field.name) for field in fields(config)})


def _sentence(error: Exception) -> str:
    """The message of an error; for one of the operating system its reason and the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _print_paths(paths: Sequence[Path]) -> None:
    for path in paths:
        print(path)


if __name__ == "__main__":
    sys.exit(main())
