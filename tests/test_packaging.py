"""The package as users get it: installed from a wheel, beside libraries that must stay as they are."""

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

# What Colab brings (August 2026); none of these may be replaced by installing mdlib.
COLAB = {
    "torch": "2.11.0", "torchvision": "0.26.0", "numpy": "2.1.3", "pillow": "11.3.0", "matplotlib": "3.10.0",
    "ipywidgets": "7.7.1", "gdown": "5.2.2", "accelerate": "1.14.0", "torchsummary": "1.5.1",
    "transformers": "5.15.0", "ipython": "7.34.0",
}  # fmt: skip
EXTRAS = {"notebooks", "train", "teacher", "dask", "remote", "export", "bench", "docs", "test"}


@pytest.fixture(scope="module")
def installed(repository, tmp_path_factory) -> Path:
    """The packages of a fresh environment elsewhere: mdlib, installed there, and a path to all it needs."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source / name)
    for name in ("mdlib", "assets"):
        shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = tmp_path_factory.mktemp("elsewhere") / "environment"
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("lib/python*/site-packages")
    # As a line of a .pth file it comes after mdlib, and does not bring the checkout with it.
    (packages / "the_rest.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin/python", "install", "-qq"]
    words = ["--no-deps", "--no-build-isolation", "--no-index", source]
    done = subprocess.run([*pip, *words], capture_output=True, text=True, env=without_the_checkout())
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return packages


def without_the_checkout() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run_installed(installed: Path, *arguments: str | Path) -> str:
    """The output of python of the fresh environment, run in a folder far from the checkout."""
    environment = installed.parents[2]
    command = [environment / "bin/python", *arguments]
    where = {"cwd": environment.parent, "env": without_the_checkout()}
    done = subprocess.run(command, capture_output=True, text=True, **where)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def metadata(installed) -> email.message.Message:
    return email.message_from_string(next(installed.glob("mdlib-*.dist-info/METADATA")).read_text("utf-8"))


def test_wheel_holds_every_module_and_asset(repository, installed):
    def files(root: Path) -> set[str]:
        paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return {str(path) for path in paths if "__pycache__" not in path.parts}

    assert files(installed / "mdlib") - {f"assets/{name}" for name in files(repository / "assets")} == files(
        repository / "mdlib"
    )
    assert files(installed / "mdlib/assets") == files(repository / "assets")


def test_assets_are_read_as_resources(repository, installed):
    code = """
from importlib.resources import files
import mdlib
print(mdlib.__file__)
for item in sorted(files("mdlib.assets").iterdir(), key=lambda item: item.name):
    if item.is_file():
        print(item.name, len(item.read_bytes()))
"""
    where, *lines = run_installed(installed, "-c", code).splitlines()
    assert Path(where).is_relative_to(installed)
    expected = sorted(path for path in (repository / "assets").iterdir() if path.is_file())
    assert lines == [f"{path.name} {path.stat().st_size}" for path in expected]


def test_weights_of_the_wheel(installed):
    code = """
import numpy as np
from mdlib import Predictor
from mdlib.modeling.registry import packaged_weights
print(packaged_weights()["mdnet"], packaged_weights()["mdnet"].stat().st_size)
bg = np.full((48, 64, 3), 120, np.uint8)
fg_bg = bg.copy()
fg_bg[16:40, 20:44] = (200, 40, 30)
mask, depth = Predictor.load("mdnet")(bg, fg_bg)
print((mask[18:38, 22:42] > 0.5).mean(), (mask[:12] > 0.5).mean())
"""
    path, size, inside, outside = run_installed(installed, "-c", code).split()
    assert Path(path).is_relative_to(installed)
    assert int(size) <= 6e6
    assert float(inside) > 0.9 and float(outside) < 0.1


def test_command_line_of_the_wheel(installed):
    assert "create" in run_installed(installed, "-m", "mdlib", "--help")


def test_prediction_of_the_wheel(installed, tmp_path):
    sample, out = installed / "mdlib/assets/sample", tmp_path / "prediction"
    pictures = sample / "bg.jpg", sample / "fg_bg.jpg"
    run_installed(installed, "-m", "mdlib", "predict", *pictures, "--out", out)
    assert {path.name for path in out.iterdir()} == {"mask.png", "depth.png", "overlay.png", "panel.png"}
    with Image.open(out / "mask.png") as found, Image.open(sample / "mask.png") as true:
        found, true = (np.asarray(img) > 127 for img in (found, true))
    assert (found & true).sum() / (found | true).sum() > 0.9


def test_version_stands_in_one_place(metadata):
    import mdlib

    assert metadata["Version"] == mdlib.__version__
    assert metadata["Name"] == "mdlib"
    assert metadata["Requires-Python"] == ">=3.10"


def test_colab_keeps_its_libraries(metadata):
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    wrong = [str(r) for r in requirements if r.name in COLAB and not r.specifier.contains(COLAB[r.name])]
    assert not wrong
    capped = [str(r) for r in requirements if any(s.operator not in (">=", "!=") for s in r.specifier)]
    assert not capped


def test_extras(metadata):
    assert set(metadata.get_all("Provides-Extra")) == EXTRAS
