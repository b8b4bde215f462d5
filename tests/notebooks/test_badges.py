"""The repository's address gets into badges and set-up cells, and nowhere else."""

import shutil
import subprocess

import nbformat
import pytest

README = "[it](https://colab.research.google.com/github/OWNER/REPOSITORY/blob/main/notebooks/a.ipynb)\n"


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/ada/depth.lib",
        "https://github.com/ada/depth.lib.git\n",
        "git@github.com:ada/depth.lib.git",
        "ssh://git@github.com/ada/depth.lib/",
    ],
)
def test_addresses_of_github(badges, address):
    assert badges.repository_of(address) == "ada/depth.lib"


@pytest.mark.parametrize("address", ["https://gitlab.com/ada/lib", "/somewhere/local", "github.com"])
def test_other_addresses_are_refused(badges, address):
    with pytest.raises(ValueError, match="is no address of a repository on GitHub"):
        badges.repository_of(address)


def test_a_checkout_without_remote_explains_itself(badges, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(ValueError, match="no remote called origin.*make badges ADDRESS="):
        badges.origin(tmp_path)


def test_badges_are_written_and_outputs_still_belong(badges, execute, tmp_path):
    (tmp_path / "README.md").write_text(README)
    source = execute.notebook_paths()[0]
    path = tmp_path / source.name
    shutil.copy(source, path)
    before = nbformat.read(path, as_version=4)
    changed = badges.write_badges("ada/lib", tmp_path / "README.md", [path])
    assert changed == [tmp_path / "README.md", path]
    assert (tmp_path / "README.md").read_text() == README.replace("OWNER/REPOSITORY", "ada/lib")
    after = nbformat.read(path, as_version=4)
    nbformat.validate(after)
    assert f"research.google.com/github/ada/lib/blob/main/notebooks/{path.name}" in after.cells[0].source
    assert 'MDLIB_SOURCE = "git+https://github.com/ada/lib"' in after.cells[2].source
    assert after.metadata["mdlib"]["code_sha256"] == execute.digest(after) != execute.digest(before)
    assert [cell.get("outputs") for cell in after.cells] == [cell.get("outputs") for cell in before.cells]
    assert not badges.write_badges("ada/lib", tmp_path / "README.md", [path])
