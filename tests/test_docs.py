"""README, docs and the text of the notebooks: what they link to and name is there."""

import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
README = REPOSITORY / "README.md"
PAGES = [README, *sorted((REPOSITORY / "docs").glob("*.md")), REPOSITORY / "assets/weights/mdnet.md"]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))

FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.M)
PATH = re.compile(r"(?<![\w/.*-])(?:mdlib|benchmarks|notebooks|assets|tests|docs)/[\w/.-]*\w")
MODULE = re.compile(r"(?<![\w/.-])(?:mdlib|benchmarks)(?:\.\w+)+(?![\w/-])")
COMMAND = re.compile(r"-m mdlib (?:-- )?([a-z][a-z-]*)")
TARGET = re.compile(r"(?:`|^)make ([a-z][a-z-]*)(?=`|$| +#| [A-Z]+=)", re.M)


@pytest.fixture(params=[*PAGES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(REPOSITORY)))
def page(request) -> Path:
    return request.param


@cache
def text_of(page: Path) -> str:
    """All text; of a notebook that of its markdown cells."""
    if page.suffix != ".ipynb":
        return page.read_text("utf-8")
    cells = nbformat.read(page, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    titles = HEADING.findall(FENCE.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_resolve(page):
    wrong = []
    for link in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_relative_to(REPOSITORY) or not target.exists():
            wrong.append(f"{link}: there is no such file")
        elif anchor and anchor not in anchors(target):
            wrong.append(f"{link}: {target.name} has no such heading, only {sorted(anchors(target))}")
    assert wrong == []


def test_paths_that_are_named_exist(page):
    assert [path for path in PATH.findall(text_of(page)) if not (REPOSITORY / path).exists()] == []


def test_modules_and_names_that_are_named_exist(page):
    missing = []
    for name in sorted(set(MODULE.findall(text_of(page)))):
        parts = name.split(".")
        homes = [i for i in range(1, len(parts) + 1) if is_module(REPOSITORY.joinpath(*parts[:i]))]
        found = importlib.import_module(".".join(parts[: homes[-1]])) if parts[0] == "mdlib" else None
        for part in parts[homes[-1] :]:
            found = getattr(found, part, None)
            if found is None:
                missing.append(name)
                break
    assert missing == []


def is_module(path: Path) -> bool:
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.fixture(scope="module")
def commands() -> set[str]:
    """What `python -m mdlib --help` lists."""
    words = [sys.executable, "-m", "mdlib", "--help"]
    shown = subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, check=True).stdout
    return set(re.findall(r"^ +([a-z][a-z-]*)  +\S", shown, re.M))


def test_commands_that_are_named_exist(page, commands):
    assert {"create", "train", "evaluate", "predict"} <= commands
    assert set(COMMAND.findall(text_of(page))) <= commands


def test_targets_of_make_that_are_named_exist(page):
    targets = set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(), re.M))
    assert set(TARGET.findall(text_of(page))) <= targets


def test_readme_is_short_and_leads_to_every_page():
    assert len(text_of(README).splitlines()) <= 200
    linked = {(REPOSITORY / link.partition("#")[0]).resolve() for link in LINK.findall(text_of(README))}
    assert [page.name for page in PAGES if page != README and page not in linked] == []


def test_tree_of_the_readme_is_that_of_the_repository():
    (tree,) = (block for block in FENCE.findall(text_of(README)) if block.startswith("```\nnotebooks/"))
    folders, above = set(), []
    for indent, name in re.findall(r"^( *)([\w]+)/ ", tree, re.M):
        above = [*above[: len(indent) // 2], name]
        folders.add("/".join(above))
    assert [folder for folder in sorted(folders) if not (REPOSITORY / folder).is_dir()] == []
    inside = {str(path.parent.relative_to(REPOSITORY)) for path in REPOSITORY.glob("mdlib/*/__init__.py")}
    assert inside <= folders
