"""From a config dataclass to the options of a command: what is typed, what a file holds, what --help prints.

The options are the fields. Of a field's text in the class, `--help` prints what stands before the first
colon, semicolon or full stop, and leaves out fields whose metadata say that they are `advanced`; `--help-all`
prints everything. A comment between an empty line and a field is the heading of the fields that follow.
"""

import argparse
import ast
import contextlib
import difflib
import inspect
import json
import re
import textwrap
import types
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass, make_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

Config = TypeVar("Config")
LONGEST = 16  # letters of what stands for a value, in the short list: else options take two lines
Option = tuple[str, Any, Field]  # what make_dataclass takes


def parse(
    config: type[Config],
    program: str,
    words: list[str],
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """The config that the words describe. Exits with help (0) or with what is wrong in them (2).

    Words go before the settings of the file `--config FILE`, those before the ones of `--recipe NAME`, where
    there are `recipes` (name -> settings), and all before the defaults of the class.
    """
    chooser = argparse.ArgumentParser(program, "%(prog)s [-h] [OPTIONS]", add_help=False, allow_abbrev=False)
    chooser.add_argument("--config", type=Path)
    if recipes:
        chooser.add_argument("--recipe")
    chosen, words = chooser.parse_known_args(words)
    for option in (word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words):
        if option in getattr(config, "GONE", {}):
            raise ValueError(config.GONE[option])
    settings: dict[str, Any] = {}
    if recipes and chosen.recipe:
        if chosen.recipe not in recipes:
            raise ValueError(f"unknown recipe {chosen.recipe!r}; there are {', '.join(recipes)}")
        settings |= recipes[chosen.recipe]
    if chosen.config:
        settings |= read_settings(config, chosen.config)
    if {"-h", "--help", "--help-all"} & set(words):
        form, words = _printed(config, settings, recipes or (), "--help-all" in words), ["--help"]
    else:
        options = [_option(config, one, settings) for one in fields(config)]
        form = make_dataclass(config.__name__, options, kw_only=True)
    given = tyro.cli(form, args=words, prog=program, config=(OmitArgPrefixes,))
    values = vars(given)
    for name in [name for name, value in values.items() if value == {}]:  # not typed: see _option
        values[name] = settings.get(name, {})
    return config(**values)


def _option(
    config: type, one: Field, settings: dict[str, Any], text: str = "", brief: bool = False
) -> Option:
    """A field as an option of the same name; required ones are given by their place, the others by name."""
    hint = get_type_hints(config)[one.name]
    default = one.default_factory() if one.default_factory is not MISSING else one.default
    required, default = default is MISSING, settings.get(one.name, default)
    metavar = one.name.upper() if required else _metavar(hint)
    if brief and metavar and len(metavar) > LONGEST:
        metavar = "NAME"
    kwargs = {"help": text, "metavar": metavar}
    if required or default is False or default in (None, (), ""):
        kwargs["help_behavior_hint"] = ""
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    if brief and default is False:
        hint = FlagCreatePairsOff[hint]
    hint = Annotated[hint, arg(**kwargs)]
    if isinstance(default, dict):  # with entries it would become an option for each of them
        default = {}
    member = field() if default is MISSING else field(default_factory=lambda: default)
    return one.name, Positional[hint] if required else hint, member


def _metavar(hint: Any) -> str | None:
    """What --help shows for a value of this type; None where that of tyro is good."""
    kinds = [one for one in get_args(hint) if one is not types.NoneType]
    if get_origin(hint) is dict:
        return "NAME VALUE ..."
    if len(kinds) == len(get_args(hint)):
        return None
    if get_origin(kinds[0]) is Literal:
        return "{" + ",".join(get_args(kinds[0])) + "}"
    if kinds[0] is bool:
        return "{True,False}"
    return " ".join(one.__name__.upper() for one in get_args(kinds[0]) or kinds)


def _printed(config: type, settings: dict[str, Any], recipes: Collection[str], whole: bool) -> type:
    """The form that tyro prints: the fields below their headings, with their texts."""
    known = f": {', '.join(recipes)}" if whole else ", such as unet-shared"
    files = ", such as a run's config.json or a data set's recipe.json" if whole else ""
    extra = {
        "help_all": (FlagCreatePairsOff[bool], "show all options, with their long texts", None),
        "config": (str, f"JSON file with values for these options{files}", "FILE"),
        "recipe": (str, f"settings of a known network{known}", "NAME"),
    }
    groups: dict[str, list[Option]] = {"": []}
    for name, (hint, text, metavar) in extra.items():
        if name != "recipe" or recipes:
            about = arg(help=text, metavar=metavar, help_behavior_hint="")
            groups[""].append((name, Annotated[hint, about], field(default=hint())))
    told = documented(config)
    for one in fields(config):
        heading, text = told[one.name]
        if whole or not one.metadata.get("advanced"):
            text = text if whole else re.split(r"[:;.](?:\s|$)", text)[0]
            groups.setdefault(heading, []).append(_option(config, one, settings, text, brief=not whole))
    options = groups.pop("")
    for heading, inside in groups.items():
        group = make_dataclass("Group", inside, kw_only=True)
        group.__doc__ = ""
        place = Annotated[group, arg(name=heading.lower())]
        options.append((f"group_{len(options)}", place, field(default_factory=group)))
    form = make_dataclass(config.__name__, options, kw_only=True)
    form.__doc__ = inspect.getdoc(config) if whole else inspect.getdoc(config).partition("\n\n")[0]
    return form


def documented(config: type) -> dict[str, tuple[str, str]]:
    """Field -> (its heading, its text), as they stand in the source of the dataclass and those it extends."""
    found: dict[str, tuple[str, str]] = {}
    for cls in filter(is_dataclass, reversed(config.__mro__)):
        source, heading = textwrap.dedent(inspect.getsource(cls)), ""
        lines = source.splitlines()
        for node, after in pairwise(ast.parse(source).body[0].body):
            if isinstance(node, ast.AnnAssign):
                blank, comment = (line.strip() for line in lines[node.lineno - 3 : node.lineno - 1])
                if not blank and comment.startswith("# "):
                    heading = comment[2:]
                text = after.value.value if isinstance(after, ast.Expr) else ""
                name = node.target.id
                found[name] = (found[name][0] if name in found else heading, " ".join(text.split()))
    return found


def read_settings(config: type, file: Path) -> dict[str, Any]:
    """The settings in a JSON file, as values of their types: some of the fields, or what `config.settings_in`
    finds in a file of other shape, such as a run's config.json. Raises ValueError that names the key."""
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file} holds no settings: expected an object of names and values")
    return _values(config, config.settings_in(found) if hasattr(config, "settings_in") else found, str(file))


def _values(config: type, found: dict[str, Any], where: str) -> dict[str, Any]:
    hints, names, values = get_type_hints(config), [one.name for one in fields(config)], {}
    for key, value in found.items():
        if key in getattr(config, "GONE", {}):
            raise ValueError(f"{where}: {config.GONE[key]}")
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
            raise ValueError(f"{where}: unknown setting {key!r}; {hint}")
        try:
            values[key] = _value(hints[key], value, f"{where}: {key}")
        except TypeError:
            raise ValueError(
                f"{where}: {key} is {json.dumps(value)}; expected {_wanted(hints[key])}"
            ) from None
    return values


def _value(hint: Any, found: Any, where: str) -> Any:
    """What JSON gave, as a value of the type `hint`; raises TypeError where it is none."""
    kind, inside = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        for one in inside:
            with contextlib.suppress(TypeError):
                return _value(one, found, where)
    elif kind is Literal and found in inside:
        return found
    elif kind is tuple and isinstance(found, list):
        each = inside[:1] * len(found) if inside[-1] is ... else inside
        if len(each) == len(found):
            return tuple(_value(one, x, where) for one, x in zip(each, found, strict=True))
    elif kind is dict and isinstance(found, dict):
        return {key: _value(inside[1], x, where) for key, x in found.items()}
    elif is_dataclass(hint) and isinstance(found, dict):
        return hint(**_values(hint, found, where))
    elif hint is Path and isinstance(found, str):
        return Path(found)
    elif hint is float and type(found) is int:
        return float(found)
    elif type(found) is hint:
        return found
    raise TypeError


def _wanted(hint: Any) -> str:
    """A type in words, for someone who writes JSON."""
    kind, inside = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        return " or ".join(map(_wanted, inside))
    if kind is Literal:
        return " or ".join(json.dumps(choice) for choice in inside)
    if kind is tuple:
        length = "" if inside[-1] is ... else f" of {len(inside)}"
        return f"a list{length}, each {_wanted(inside[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    return names.get(hint, "an object" if kind is dict or is_dataclass(hint) else "a text")
