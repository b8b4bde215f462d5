"""A folder holds data of one recipe, and what differs from another is named."""

from pathlib import Path

import pytest
from PIL import Image

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create


def quiet(out, **options):
    return create(CreateConfig(out=out, **options), progress=False)


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def test_another_recipe_in_the_same_folder_is_an_error_that_says_what_differs(small, pictures, tmp_path):
    before = files(small)
    same = {**pictures, "placements": 3, "size": (64, 80), "workers": 1}
    with pytest.raises(
        ValueError, match=r"another recipe: placements is 3 there, 4 asked\. Give another folder"
    ):
        quiet(small, **{**same, "placements": 4})
    with pytest.raises(ValueError, match="seed is 0 there, 9 asked; encoding is exact there, fast asked"):
        quiet(small, **{**same, "seed": 9, "encoding": "fast"})
    changed = tmp_path / "bg"
    changed.mkdir()
    for path in pictures["bg"].iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    quiet(small, **{**same, "bg": changed})  # the same pictures elsewhere are the same recipe
    (changed / "room0.png").rename(changed / "room9.png")
    Image.new("RGB", (200, 200)).save(changed / "room2.png")
    with pytest.raises(ValueError, match="missing now: room0.png; .* new: room9.png; .* changed: room2.png"):
        quiet(small, **{**same, "bg": changed})
    with pytest.raises(ValueError, match="backgrounds kind is folder there, rooms asked"):
        quiet(small, fg=pictures["fg"], rooms=2)
    assert files(small) == before


def test_a_folder_of_something_else_is_not_written_to(pictures, tmp_path):
    (tmp_path / "old.zip").write_bytes(b"mine")
    with pytest.raises(ValueError, match="holds old.zip but no recipe.json.*another folder"):
        quiet(tmp_path, **pictures)
    with pytest.raises(NotADirectoryError, match="is a file; give a folder"):
        quiet(tmp_path / "old.zip", **pictures)
    assert list(files(tmp_path)) == ["old.zip"]
