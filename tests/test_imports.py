"""The structure of the package: imports point one way, floors are few, folders and modules are small.

`python tests/test_imports.py` prints what the tests hold: floors, circles, folders, the largest modules.
Heavy libraries are loaded only where they are used.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from enum import IntEnum
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

BELOW = (
    "files", "colours", "colab", "rooms", "loading", "modeling", "creation", "evaluation", "training",
)  # fmt: skip
# What each room of mdlib may import of the others, at module level, inside functions or for annotations.
MAY_IMPORT = {
    "files": set(),
    "signals": set(),
    "colours": set(),
    "colab": set(),
    "assets": set(),
    "rooms": set(),
    "loading": {"files", "signals"},
    "modeling": {"files"},
    "creation": {"files", "signals", "colours", "rooms", "loading"},
    "evaluation": {"files", "loading", "modeling"},
    "training": {"files", "signals", "colours", "modeling", "evaluation"},
    "run": {"loading", "modeling", "creation", "training"},
    "viewing": {*BELOW, "run"},
    "lessons": {*BELOW, "run", "viewing"},
    "cli": {"options"},
    "options": set(),
    "__main__": {"cli"},
    "__init__": set(),
}  # fmt: skip
MOST_FLOORS, MOST_LATE_IMPORTS, MOST_MODULES, MOST_IN_A_FOLDER, MOST_LINES = 9, 40, 145, 16, 300
# What came after the house was put in order may outgrow what it replaced by so many lines in all.
ORDERED_LINES, MORE_LINES, MOST_LINES_OF_THE_MAIN_PATH = 21_300, 1_500, 3_500

# Slow to import, optional, or absent on Colab.
LATE = [
    "ipywidgets", "google.colab", "transformers", "onnx", "onnxruntime", "dask", "distributed", "gdown",
    "kornia", "torchsummary", "torchviz", "torchmetrics", "tensorboard", "IPython", "tyro",
]  # fmt: skip
DRAWS = ("mdlib.viewing", "mdlib.lessons")  # may load matplotlib


def name_of(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


class When(IntEnum):
    """When an import is carried out: with the module, when a function is called, or never."""

    AT_ONCE, IN_A_FUNCTION, FOR_ANNOTATIONS = range(3)


def imports(path: Path, module: str) -> list[tuple[str, When]]:
    """Every name that the file imports, such as mdlib.loading.codec.decode, and when."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: list[tuple[str, When]] = []

    def look(node: ast.AST, when: When) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            when = When.FOR_ANNOTATIONS
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            when = max(when, When.IN_A_FUNCTION)
        elif isinstance(node, ast.Import):
            found.extend((alias.name, when) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            found.extend((f"{base}.{alias.name}", when) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            look(child, when)

    look(ast.parse(path.read_text("utf-8")), When.AT_ONCE)
    return found


@cache
def graph(folder: str) -> dict[str, dict[str, When]]:
    """module -> {module of the same folder that it imports: when, the earliest of them}."""
    files = {name_of(path, REPOSITORY): path for path in sorted((REPOSITORY / folder).rglob("*.py"))}
    known = {module: module for module in files}
    known |= {f"mdlib.{name}": home for name, home in public_homes().items() if home in files}
    arrows: dict[str, dict[str, When]] = {module: {} for module in files}
    for module, path in files.items():
        for name, when in imports(path, module):
            target = known.get(name) or known.get(name.rpartition(".")[0])
            if target and target not in (module, "mdlib"):
                arrows[module][target] = min(when, arrows[module].get(target, when))
    return arrows


def public_homes() -> dict[str, str]:
    """The names that `import mdlib` loads on first use, and the module of each."""
    import mdlib

    return mdlib._HOMES


def circles(arrows: dict[str, dict[str, When]]) -> list[str]:
    """What is left when modules are taken away that import nothing left, or that nothing left imports."""
    left = {module: set(targets) for module, targets in arrows.items()}
    while True:
        used = set().union(*left.values())
        ends = [module for module, targets in left.items() if not targets & set(left) or module not in used]
        if not ends:
            return sorted(left)
        for module in ends:
            del left[module]


def floors(arrows: dict[str, dict[str, When]]) -> dict[str, int]:
    """1 for a module that imports no other with itself, else one above the highest that it imports."""

    @cache
    def floor(module: str) -> int:
        below = [floor(target) for target, when in arrows[module].items() if when == When.AT_ONCE]
        return 1 + max(below, default=0)

    return {module: floor(module) for module in arrows}


def late_imports() -> list[str]:
    """The statements inside functions that import of mdlib: "module:line"."""
    found, functions = set(), (ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted((REPOSITORY / "mdlib").rglob("*.py")):
        inside = (f for f in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(f, functions))
        for node in (node for function in inside for node in ast.walk(function)):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("mdlib."):
                found.add(f"{name_of(path, REPOSITORY)}:{node.lineno}")
    return sorted(found)


def sizes() -> dict[str, int]:
    """Lines of each module of mdlib that is not empty."""
    paths = sorted((REPOSITORY / "mdlib").rglob("*.py"))
    lines = {name_of(path, REPOSITORY): len(path.read_text("utf-8").splitlines()) for path in paths}
    return {module: count for module, count in lines.items() if count}


def folder_sizes() -> Counter:
    """Modules directly in each folder of mdlib, without its __init__."""
    paths = (REPOSITORY / "mdlib").rglob("*.py")
    return Counter(str(path.parent.relative_to(REPOSITORY)) for path in paths if path.name != "__init__.py")


def test_imports_point_one_way():
    wrong = []
    for module, targets in graph("mdlib").items():
        room = room_of(module)
        for target in targets:
            other = room_of(target)
            if other != room and other not in MAY_IMPORT[room]:
                wrong.append(f"{module} imports {target}")
    assert not wrong


def test_there_is_no_circle():
    assert circles(graph("mdlib")) == []
    assert circles(graph("benchmarks")) == []


def test_floors_are_few():
    highest = max(floors(graph("mdlib")).items(), key=lambda item: item[1])
    assert highest[1] <= MOST_FLOORS, highest


def test_few_imports_are_inside_functions():
    assert len(late_imports()) <= MOST_LATE_IMPORTS, late_imports()


def test_nothing_leaves_rooms_and_nobody_imports_lessons_or_the_command_line():
    rooms = {name for name, _ in all_imports("rooms") if name.split(".")[0] == "mdlib"}
    assert {room_of(name) for name in rooms} == {"rooms"}
    arrows = graph("mdlib")
    users = {m for m, targets in arrows.items() if {"lessons", "cli"} & {room_of(t) for t in targets}}
    assert {room_of(module) for module in users} <= {"lessons", "__main__"}


def all_imports(room: str) -> list[tuple[str, When]]:
    paths = sorted((REPOSITORY / "mdlib" / room).rglob("*.py"))
    return [found for path in paths for found in imports(path, name_of(path, REPOSITORY))]


def test_modules_and_folders_are_small():
    lines = sizes()
    assert len(lines) <= MOST_MODULES
    assert sum(lines.values()) <= ORDERED_LINES + MORE_LINES
    assert [module for module, count in lines.items() if count > MOST_LINES] == []
    assert [folder for folder, count in folder_sizes().items() if count > MOST_IN_A_FOLDER] == []


def main_path() -> dict[str, int]:
    """The modules that docs/design.md names as the main path, in order, and their lines."""
    text = (
        (REPOSITORY / "docs/design.md")
        .read_text("utf-8")
        .partition("## The main path")[2]
        .partition("## ")[0]
    )
    paths = re.findall(r"^\d+\. \[(mdlib/[\w/]+\.py)\]", text, re.M)
    return {path: len((REPOSITORY / path).read_text("utf-8").splitlines()) for path in paths}


def test_the_main_path_is_an_afternoon():
    lines = main_path()
    assert {"mdlib/creation/create.py", "mdlib/training/trainer.py", "mdlib/viewing/predict.py"} <= set(lines)
    assert sum(lines.values()) <= MOST_LINES_OF_THE_MAIN_PATH


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import mdlib.loading.codec", ("mdlib.loading.codec", When.AT_ONCE)),
        ("from mdlib import loading", ("mdlib.loading", When.AT_ONCE)),
        ("from ..loading import codec", ("mdlib.loading.codec", When.AT_ONCE)),
        (
            "def f():\n    from mdlib.loading.codec import decode",
            ("mdlib.loading.codec.decode", When.IN_A_FUNCTION),
        ),
    ],
)
def test_every_way_to_import_is_seen(tmp_path, line, found):
    path = tmp_path / "losses.py"
    path.write_text(line)
    assert found in imports(path, "mdlib.modeling.losses")


def test_circles_and_floors_of_a_known_graph():
    now, late = When.AT_ONCE, When.IN_A_FUNCTION
    arrows = {"a": {"b": now}, "b": {"c": late}, "c": {}, "d": {"e": now}, "e": {"d": late}}
    assert circles(arrows) == ["d", "e"]
    assert floors(arrows) == {"a": 2, "b": 1, "c": 1, "d": 2, "e": 1}


def test_import_mdlib_is_light():
    code = "import sys, mdlib; print(mdlib.__version__, 'torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split()[1:] == ["False", "False"]


def test_heavy_libraries_are_loaded_where_they_are_used():
    """In one process, room by room, so that the first module that loads a library is the one named."""
    names = [name for name in graph("mdlib") if name not in ("mdlib.__main__", "mdlib.cli", "mdlib.options")]
    names.sort(key=lambda name: name.startswith(DRAWS))  # last: they may draw
    code = f"""
import sys
from importlib import import_module
seen = set()
for name in {names}:
    import_module(name)
    late = {LATE} + ([] if name.startswith({DRAWS}) else ["matplotlib"])
    for library in late:
        if library in sys.modules and library not in seen:
            seen.add(library)
            print(f"{{name}} loads {{library}}")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""


def test_public_names_exist():
    import mdlib

    for name in mdlib.__all__:
        assert getattr(mdlib, name) is not None
        assert name in dir(mdlib)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mdlib.nonsense


def test_folders_have_an_empty_init(repository):
    inits = [path for path in (repository / "mdlib").rglob("__init__.py") if path.parent.name != "mdlib"]
    assert inits
    assert [path for path in [*inits, repository / "assets/__init__.py"] if path.read_bytes()] == []


def report() -> str:
    """The structure in words, from the top floor down."""
    arrows, lines = graph("mdlib"), sizes()
    floor_of = floors(arrows)
    text = [f"{len(lines)} modules, {sum(lines.values()):,} lines, {max(floor_of.values())} floors"]
    for floor in range(max(floor_of.values()), 0, -1):
        there = Counter(room_of(module) for module in lines if floor_of[module] == floor)
        text.append(
            f"floor {floor}: " + ", ".join(f"{room} {count}" for room, count in sorted(there.items()))
        )
    text.append(
        f"circles: {circles(arrows) or 'none'}; in benchmarks: {circles(graph('benchmarks')) or 'none'}"
    )
    text.append(f"imports inside functions: {len(late_imports())}")
    by_room = Counter()
    for module, count in lines.items():
        by_room[room_of(module)] += count
    text += [f"{room:12}{count:7,} lines" for room, count in sorted(by_room.items())]
    text += [f"{folder:32}{count:3} modules" for folder, count in sorted(folder_sizes().items())]
    text.append(f"main path: {len(main_path())} modules, {sum(main_path().values()):,} lines")
    largest = sorted(lines.items(), key=lambda item: -item[1])[:5]
    text.append("largest: " + ", ".join(f"{module} {count}" for module, count in largest))
    return "\n".join(text)


def test_the_structure_is_printed():
    """`pytest -s tests/test_imports.py` shows it."""
    text = report()
    print(text)
    assert "floor 1:" in text


if __name__ == "__main__":
    print(report())
