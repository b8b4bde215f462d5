"""The command line: python -m mdlib COMMAND ...

Each command is made from a config dataclass, so its options are the fields that Python code uses too (see
options). What a command needs is imported when it runs, so the list of commands appears at once.
"""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from mdlib import __version__
from mdlib.options import parse

# What can go wrong without a mistake in the program: bad files or arguments, a full disk, a missing extra,
# numbers that overflow in training, a worker or a GPU that ran out of memory.
EXPECTED_ERRORS = (ValueError, OSError, ImportError, ArithmeticError, RuntimeError)
WRONG_INPUT, STOPPED = 2, 130

# What each command does, and where in mdlib it lies: "module:Config:function", with the function's module in
# front of it where that is another one. The function takes the config, or, for SPREAD, its fields one by one,
# and returns what is printed: a text or a path, or a list of them.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "data": {
        "create": ("make a data set from rooms and cut-outs", "creation.create:CreateConfig:create"),
        "pack": ("make a data set of archives of another project", "creation.pack:PackConfig:pack"),
        "cutout": (
            "cut objects out of photographs, for create --fg",
            "creation.cut_out:CutoutConfig:cut_out",
        ),
        "fetch": ("get a file from Google Drive, the web or a bucket", "loading.fetch:FetchConfig:fetch"),
        "info": ("print what a data set holds; check its files", "creation.info:InfoConfig:info"),
        "sample": ("write one sample of a data set as pictures", "viewing.scenes:SampleConfig:sample"),
    },
    "train": {
        "train": ("train a network on a data set, or go on with it", "training.config:TrainConfig:run.train"),
        "lr-range": (
            "try learning rates from small to large and suggest one",
            "training.lr_range:LrRangeConfig:viewing.curves.suggest_lr",
        ),
        "profile": (
            "measure where the time of a training step goes",
            "viewing.step_profile:ProfileConfig:report_profile",
        ),
    },
    "use": {
        "evaluate": (
            "measure a trained network beside plain subtraction",
            "viewing.results:EvaluateConfig:evaluate_weights",
        ),
        "predict": (
            "mask and depth of any two pictures of the same place",
            "viewing.scenes:PredictConfig:predict",
        ),
        "summary": (
            "print the layers of a network and what a prediction costs",
            "viewing.network.summary:SummaryConfig:summarise",
        ),
        "draw": (
            "draw how a network calculates, or where it looks",
            "viewing.network.diagram:DrawConfig:draw",
        ),
    },
}
SPREAD = ("fetch", "info")
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}

USAGE = """usage: python -m mdlib COMMAND ...

{commands}
options:
  --debug    show the whole trace of an error (also: MDLIB_DEBUG=1)
  --version  print the version

python -m mdlib COMMAND --help tells the options of a command, --help-all those of experts too.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 wrong input (a sentence on stderr), 130 stopped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the console cannot print must end no work
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["--"]:  # which torch.distributed.run wants before options that look like its own
        arguments = arguments[1:]
    debug = "--debug" in arguments or os.environ.get("MDLIB_DEBUG", "0") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    name = arguments[0] if arguments else None
    if name in COMMANDS:
        return run_command(partial(_run, name), arguments[1:], debug)
    if name == "--version":
        print(f"mdlib {__version__}")
        return 0
    if name in ("-h", "--help", None):
        print(usage(), end="", file=sys.stdout if name else sys.stderr)
        return 0 if name else WRONG_INPUT
    print(f"error: no command {name!r}; the commands are {', '.join(COMMANDS)}", file=sys.stderr)
    return WRONG_INPUT


def usage() -> str:
    """The list of commands, in groups."""
    lines = []
    for group, commands in GROUPS.items():
        lines += [f"{group}:", *(f"  {name:10} {about}" for name, (about, _) in commands.items()), ""]
    return USAGE.format(commands="\n".join(lines))


def run_command(command: Callable[[list[str]], int | None], words: list[str], debug: bool) -> int:
    """The exit code of `command(words)`; an expected error becomes one sentence on stderr, unless `debug`."""
    try:
        return command(words) or 0
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


def _run(name: str, words: list[str]) -> int:
    module, cls, function = COMMANDS[name][1].split(":")
    elsewhere, _, function = function.rpartition(".")
    recipes = _lazy("training.reference_recipes", "RECIPES") if name in GROUPS["train"] else {}
    config = parse(_lazy(module, cls), f"python -m mdlib {name}", words, recipes)
    call = _lazy(elsewhere or module, function)
    found = call(**vars(config)) if name in SPREAD else call(config)
    finished = True
    if name == "train":
        found, finished = found.run, found.finished
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        for line in found if isinstance(found, list) else [found]:
            print(line)
    return 0 if finished else STOPPED  # stopped by a signal: what comes next in a script must not run


def _lazy(module: str, name: str) -> Any:
    return getattr(import_module(f"mdlib.{module}"), name)


def _sentence(error: Exception) -> str:
    """The message of an error; for one of the operating system its reason and the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
