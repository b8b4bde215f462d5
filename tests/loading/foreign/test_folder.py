"""Files of a folder as members."""

import zipfile

import numpy as np
import pytest

from mdlib.loading.archive import Archive
from mdlib.loading.dataset import open_dataset
from mdlib.loading.foreign.folder import FolderArchive
from mdlib.loading.foreign.layout import Layout


def test_a_folder_reads_like_an_archive_of_it(tmp_path):
    members = {"a.txt": b"one", "b/c/ä ö.bin": b"two", "b/d": b"", "b.txt": b"three"}
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as written:
        for name, data in members.items():
            written.writestr(name, data)
    zipfile.ZipFile(path).extractall(tmp_path / "out")
    (tmp_path / "out" / ".hidden").write_bytes(b"x")
    archive, folder = Archive(path), FolderArchive(tmp_path / "out")
    assert len(folder) == 4 and sorted(archive.names()) == sorted(folder.names())
    for name, data in members.items():
        (number,) = folder.find_many([name])
        assert folder.read(number) == archive.read(archive.find(name)) == data
        assert folder.name(number) == name
    numbers = folder.find_many(np.array([b"b/d", b"a.txt"]))
    np.testing.assert_array_equal(numbers, folder.find_many(["b/d", "a.txt"]))
    for missing in ("b", "b/e", "zzz", "", "../out/a.txt"):
        with pytest.raises(KeyError, match="no file"):
            folder.find_many([missing])


def test_a_folder_that_changed_or_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        FolderArchive(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no such archive"):
        open_dataset(tmp_path / "none.zip", Layout())
    with pytest.raises(KeyError, match="no file 'a'"):
        FolderArchive(tmp_path).find_many(["a"])
    (tmp_path / "a").write_bytes(b"12345")
    folder = FolderArchive(tmp_path)
    monkeypatch.setattr("mdlib.loading.foreign.folder.MAX_MEMBER_BYTES", 4)
    with pytest.raises(ValueError, match="5 bytes, more than the 4"):
        folder.read(0)
    (tmp_path / "a").unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        folder.read(0)
