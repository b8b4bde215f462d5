"""Options made from a dataclass: every field by word and by file, what goes before what, sentences, help."""

import json
import types
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from mdlib.creation.config import CreateConfig, make_recipe
from mdlib.creation.pack import PackConfig
from mdlib.loading.foreign.layout import Layout
from mdlib.options import documented, parse, read_settings
from mdlib.training.config import TrainConfig
from mdlib.training.lr_range import LrRangeConfig
from mdlib.training.reference_recipes import RECIPES, from_recipe

FIELDS = [
    pytest.param(config, one, id=f"{config.__name__}-{one.name}")
    for config in (TrainConfig, CreateConfig)
    for one in fields(config)
]
FOLDER = {"data", "out"}  # the one field of each that must be given


def another(hint: Any, default: Any) -> Any:
    """A value of this type that is not the default."""
    kind, inside = get_origin(hint), get_args(hint)
    if kind is types.UnionType or types.NoneType in inside:
        return another(next(one for one in inside if one is not types.NoneType), default)
    if kind is Literal:
        return next(choice for choice in inside if choice != default)
    if kind is tuple:
        return (another(inside[0], None),) * 2
    if kind is dict:
        return {"skips": True, "width": 37}
    return {bool: not default, int: 37, float: 0.25, str: "48:1", Path: Path("other")}[hint]


def in_words(one: Field, value: Any) -> list[str]:
    """What to type for it."""
    option = "--" + one.name.replace("_", "-")
    if one.name in FOLDER:
        return [str(value)]
    if isinstance(one.default, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        value = [word for pair in value.items() for word in pair]
    return [option, *map(str, value if isinstance(value, tuple | list) else [value])]


def with_field(config: type, one: Field) -> tuple[Any, object]:
    """Another value for the field, and the config that has it."""
    value = another(get_type_hints(config)[one.name], one.default)
    folder = {name.name: Path("data") for name in fields(config) if name.name in FOLDER}
    return value, config(**{**folder, one.name: value})


def write(path: Path, content: object) -> str:
    path.write_text(json.dumps(content, default=str))
    return str(path)


@pytest.mark.parametrize(("config", "one"), FIELDS)
def test_every_field_is_an_option(config, one):
    value, expected = with_field(config, one)
    words = in_words(one, value)
    assert parse(config, "mdlib", words if one.name in FOLDER else ["data", *words]) == expected
    assert getattr(expected, one.name) == value != one.default


@pytest.mark.parametrize(("config", "one"), FIELDS)
def test_every_field_may_stand_in_a_file(config, one, tmp_path):
    value, expected = with_field(config, one)
    file = write(tmp_path / "settings.json", {one.name: value})
    given = parse(config, "mdlib", ["--config", file] if one.name in FOLDER else ["data", "--config", file])
    assert given == expected
    assert type(getattr(given, one.name)) is type(value)


def test_words_go_before_the_file_and_the_file_before_the_recipe(tmp_path):
    file = write(tmp_path / "settings.json", {"data": "mine", "lr": 0.5, "seed": 3, "mix": ["a", "b"]})
    words = ["--recipe", "resnet18-upproj", "--config", file]
    expected = from_recipe("resnet18-upproj", data=Path("mine"), lr=0.5, seed=3, mix=(Path("a"), Path("b")))
    assert parse(TrainConfig, "mdlib", words, RECIPES) == expected
    given = parse(TrainConfig, "mdlib", ["other", *words, "--seed", "4", "--optimizer", "adam"], RECIPES)
    assert (given.data, given.lr, given.seed, given.optimizer) == (Path("other"), 0.5, 4, "adam")
    assert given.schedule == "plateau"
    with pytest.raises(ValueError, match="unknown recipe 'soup'; there are mdnet, resnet18-upproj"):
        parse(TrainConfig, "mdlib", ["data", "--recipe", "soup"], RECIPES)


def test_a_dict_of_the_file_may_be_typed_anew(tmp_path):
    file = write(tmp_path / "settings.json", {"model_options": {"skips": True}})
    assert parse(TrainConfig, "mdlib", ["data", "--config", file]).model_options == {"skips": True}
    words = ["data", "--config", file, "--model-options", "width", "3"]
    assert parse(TrainConfig, "mdlib", words).model_options == {"width": 3}


def test_the_config_of_a_run_is_understood(tmp_path):
    config = TrainConfig(Path("data"), steps=7, mix=(Path("more"),), stages="48:0.5:8,64:0.5")
    run = {
        "name": "mdnet",
        "options": {},
        "run_id": "abc",
        "step": 7,
        "scores": {},
        "training": config.as_json(),
    }
    file = write(tmp_path / "config.json", run)
    assert parse(TrainConfig, "mdlib", ["--config", file]) == config
    run["training"]["drop_every"] = 0.3  # as earlier versions wrote it, also where it was not used
    write(tmp_path / "config.json", run)
    assert parse(TrainConfig, "mdlib", ["--config", file]) == config
    tried = parse(LrRangeConfig, "mdlib", ["--config", file])
    assert (tried.run, tried.steps, tried.stages) == (Path("lr_range"), 100, config.stages)


def test_the_recipe_of_a_data_set_is_understood(tmp_path):
    config = CreateConfig(
        Path("data"), rooms=3, props=2, size=(48, 64), objects=2, scale=(0.3, 0.4), flip=False
    )
    file = write(tmp_path / "recipe.json", make_recipe(config))
    again = parse(CreateConfig, "mdlib", ["elsewhere", "--config", file])
    assert make_recipe(again) == make_recipe(config)
    assert again.out == Path("elsewhere")


def test_pictures_of_a_recipe_are_given_again(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.png").write_bytes(b"its name and checksum count")
    folders = dict.fromkeys(("bg", "fg", "fg_mask", "bg_depth"), pictures)
    config = CreateConfig(Path("data"), **folders, fov=70, upscale=True)
    file = write(tmp_path / "recipe.json", make_recipe(config))
    words = [word for name in folders for word in (f"--{name.replace('_', '-')}", str(pictures))]
    again = parse(CreateConfig, "mdlib", ["data", "--config", file, *words])
    assert make_recipe(again) == make_recipe(config)
    assert (again.bg, again.fov, again.upscale) == (pictures, 70, True)


def test_a_dataclass_inside(tmp_path):
    expected = PackConfig(
        Path("a.zip"), Path("out"), Layout(labels="labels.tsv", columns=("bg", "fg_bg", "mask"))
    )
    words = ["a.zip", "out", "--labels", "labels.tsv", "--columns", "bg", "fg_bg", "mask"]
    assert parse(PackConfig, "mdlib", words) == expected
    file = write(
        tmp_path / "pack.json", {"layout": {"labels": "labels.tsv", "columns": ["bg", "fg_bg", "mask"]}}
    )
    assert parse(PackConfig, "mdlib", ["a.zip", "out", "--config", file]) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"stepz": 3}, "settings.json: unknown setting 'stepz'; did you mean 'steps'?"),
        ({"xyz": 3}, "settings.json: unknown setting 'xyz'; there are data, run, mix"),
        ({"steps": "many"}, 'settings.json: steps is "many"; expected a whole number or null'),
        ({"seed": True}, "settings.json: seed is true; expected a whole number"),
        ({"clip": None}, "settings.json: clip is null; expected a number"),
        ({"device": "tpu"}, 'settings.json: device is "tpu"; expected "auto" or "cpu" or "cuda"'),
        ({"mix": "more"}, 'settings.json: mix is "more"; expected a list, each a text'),
        ({"model_options": 3}, "settings.json: model_options is 3; expected an object"),
        ({"compile": 1}, "settings.json: compile is 1; expected true or false"),
        ({"drop_every": 0.3}, "settings.json: drop_every is no option any more"),
        (["steps", 3], "settings.json holds no settings: expected an object"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, content, sentence):
    file = Path(write(tmp_path / "settings.json", content))
    with pytest.raises(ValueError) as error:
        read_settings(TrainConfig, file)
    assert sentence in str(error.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.json").write_text("lr = 3")
    with pytest.raises(ValueError, match=r"text.json is no JSON \("):
        read_settings(TrainConfig, tmp_path / "text.json")
    with pytest.raises(FileNotFoundError, match="none.json"):
        read_settings(TrainConfig, tmp_path / "none.json")
    file = Path(write(tmp_path / "size.json", {"scale": [0.3, 0.4, 0.5]}))
    with pytest.raises(ValueError, match="scale is .*; expected a list of 2, each a number"):
        read_settings(CreateConfig, file)


@dataclass(frozen=True)
class Bake:
    """Bakes bread.

    It takes an hour.
    """

    flour: Path
    """Folder of the flour."""

    # Oven
    heat: int = 200
    """Degrees: Celsius. Not less
    than 100."""
    # said about the next line, no heading
    fan: bool = False
    """Fan; it is loud."""
    glow: float = field(default=0.5, metadata={"advanced": True})
    """Glow of the crust."""


@dataclass(frozen=True)
class Toast(Bake):
    """Bakes twice."""

    heat: int = 100
    """Degrees at the second time."""
    side: Literal["one", "both"] | None = None
    """Side."""


def test_headings_and_texts_stand_in_the_source():
    assert documented(Toast) == {
        "flour": ("", "Folder of the flour."),
        "heat": ("Oven", "Degrees at the second time."),
        "fan": ("Oven", "Fan; it is loud."),
        "glow": ("Oven", "Glow of the crust."),
        "side": ("", "Side."),
    }


def test_short_and_long_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    printed = {}
    for option in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as stopped:
            parse(Bake, "mdlib bake", [option])
        assert stopped.value.code == 0
        printed[option] = " ".join(capsys.readouterr().out.replace("│", " ").split())
    short, whole = printed.values()
    assert "usage: mdlib bake" in short and "Folder of the flour" in short and "oven options" in short
    assert "Degrees (default: 200)" in short and "--fan Fan" in short
    assert not any(words in short for words in ("hour", "Celsius", "loud", "--glow", "--recipe"))
    assert "It takes an hour" in whole and "Degrees: Celsius. Not less than 100. (default: 200)" in whole
    assert "--fan, --no-fan Fan; it is loud." in whole and "--glow FLOAT Glow of the crust." in whole
