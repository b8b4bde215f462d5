"""Puts the repository's own address into the Colab badges and the set-up cells: `make badges`.

    python notebooks/badges.py                                     that of `git remote get-url origin`
    python notebooks/badges.py https://github.com/someone/mdlib    any other, such as that of a fork

Colab opens notebooks from GitHub, so the address must be one of GitHub.
"""

import re
import subprocess
import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from execute import digest, notebook_paths  # noqa: E402 - lies beside this file

NAME = r"[\w.-]+"
GITHUB = re.compile(rf"^(?:https://|ssh://git@|git@)github\.com[/:]({NAME})/({NAME}?)(?:\.git)?/?$")
BADGE = re.compile(rf"(colab\.research\.google\.com/github)/{NAME}/{NAME}/")
SOURCE = re.compile(rf"(git\+https://github\.com)/{NAME}/{NAME}")


def repository_of(address: str) -> str:
    """ "owner/name" of an address of GitHub; ValueError with a sentence for any other."""
    found = GITHUB.match(address.strip())
    if not found:
        raise ValueError(
            f"{address.strip()!r} is no address of a repository on GitHub, such as "
            f"https://github.com/someone/mdlib, and Colab opens notebooks from there alone"
        )
    return "/".join(found.groups())


def origin(folder: Path) -> str:
    """The address of the remote "origin" of the checkout `folder`; ValueError where there is none."""
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(
            "this checkout has no remote called origin, so its address is unknown. Give it: "
            "make badges ADDRESS=https://github.com/someone/mdlib"
        )
    return done.stdout


def with_address(text: str, repository: str) -> str:
    """The text with `repository` in all badges and sources."""
    return SOURCE.sub(rf"\1/{repository}", BADGE.sub(rf"\1/{repository}/", text))


def write_badges(repository: str, readme: Path, notebooks: list[Path]) -> list[Path]:
    """Change what holds another address; returns the files changed. Outputs still belong to their code."""
    changed = []
    for path in [readme, *notebooks]:
        before = path.read_text("utf-8")
        after = with_address(before, repository)
        if after != before:
            path.write_text(after, "utf-8")
            changed.append(path)
    for path in set(changed) & set(notebooks):
        notebook = nbformat.read(path, as_version=4)
        if "mdlib" in notebook.metadata:
            notebook.metadata["mdlib"]["code_sha256"] = digest(notebook)
            nbformat.write(notebook, path)
    return changed


def main() -> None:
    try:
        address = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else origin(HERE)
        repository = repository_of(address)
    except ValueError as error:
        sys.exit(f"error: {error}")
    changed = write_badges(repository, HERE.parent / "README.md", notebook_paths())
    print(f"{repository}: {', '.join(path.name for path in changed) or 'nothing to change'}")


if __name__ == "__main__":
    main()
