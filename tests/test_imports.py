"""Imports point one way, and heavy libraries are loaded only where they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

MAY_IMPORT = {
    "loading": set(),
    "modeling": set(),
    "creation": {"loading"},
    "evaluation": {"loading", "modeling"},
    "training": {"modeling", "evaluation"},
    "viewing": {"loading", "creation", "modeling", "evaluation", "training", "colab"},
    "colab": set(),
    "assets": set(),
}
SEES_ALL = {"__init__", "__main__"}

# Slow to import, optional, or absent on Colab.
LATE = [
    "ipywidgets", "google.colab", "transformers", "onnx", "onnxruntime", "dask", "distributed", "gdown",
    "kornia", "torchsummary", "torchviz", "torchmetrics", "tensorboard", "IPython", "tyro",
]  # fmt: skip
LATE_OUTSIDE_VIEWING = ["matplotlib"]


def modules(repository: Path) -> list[str]:
    paths = sorted((repository / "mdlib").rglob("*.py"))
    names = [".".join(path.relative_to(repository).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported_modules(path: Path, module: str) -> set[str]:
    """Every module that the file imports anywhere, also inside functions."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def test_imports_point_one_way(repository):
    wrong = []
    for path in sorted((repository / "mdlib").rglob("*.py")):
        module = ".".join(path.relative_to(repository).with_suffix("").parts).removesuffix(".__init__")
        room = room_of(module)
        if room in SEES_ALL:
            continue
        for name in imported_modules(path, module):
            if name.split(".")[0] == "mdlib" and name not in ("mdlib", "mdlib.__version__"):
                other = room_of(name)
                if other != room and other not in MAY_IMPORT[room]:
                    wrong.append(f"{module} imports {name}")
    assert not wrong


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import mdlib.loading.codec", "mdlib.loading.codec"),
        ("from mdlib import loading", "mdlib.loading"),
        ("from ..loading import codec", "mdlib.loading.codec"),
        ("def f():\n    from mdlib.loading.codec import decode", "mdlib.loading.codec"),
    ],
)
def test_every_way_to_import_is_seen(tmp_path, line, found):
    path = tmp_path / "losses.py"
    path.write_text(line)
    assert found in imported_modules(path, "mdlib.modeling.losses")


def test_import_mdlib_is_light():
    code = "import sys, mdlib; print(mdlib.__version__, 'torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split()[1:] == ["False", "False"]


def test_heavy_libraries_are_loaded_where_they_are_used(repository):
    """In one process, room by room, so that the first module that loads a library is the one named."""
    names = [name for name in modules(repository) if name not in ("mdlib.__main__", "mdlib.options")]
    names.sort(key=lambda name: room_of(name) == "viewing")  # viewing last: it may draw
    code = f"""
import sys
from importlib import import_module
seen = set()
for name in {names}:
    import_module(name)
    late = {LATE} + ([] if name.startswith("mdlib.viewing") else {LATE_OUTSIDE_VIEWING})
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
