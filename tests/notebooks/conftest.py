"""The scripts beside the notebooks, as modules."""

import importlib.util
import sys
from types import ModuleType

import pytest


def _script(repository, name: str) -> ModuleType:
    path = repository / "notebooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"notebooks_{name}", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture(scope="session")
def execute(repository) -> ModuleType:
    """notebooks/execute.py."""
    return _script(repository, "execute")


@pytest.fixture(scope="session")
def badges(repository) -> ModuleType:
    """notebooks/badges.py."""
    return _script(repository, "badges")
