"""Files of a folder as members; pictures of folders and archives turned upright."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from mdlib.loading.archive import Archive
from mdlib.loading.dataset import open_dataset
from mdlib.loading.foreign.folder import FolderArchive, Upright
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


# Seen upright, 2 rows of 3 pixels; what lies in the file by each orientation (EXIF 2.32, tag 0112).
SEEN = [[10, 20, 30], [40, 50, 60]]
LIES = {
    1: [[10, 20, 30], [40, 50, 60]],
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[30, 60], [20, 50], [10, 40]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[40, 10], [50, 20], [60, 30]],
}


def tagged(img, orientation, kind):
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(img).save(buffer, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", LIES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "16 bits", "palette"])
def test_pictures_are_turned_once_and_keep_no_tag(tmp_path, orientation, kind):
    lies = np.array(LIES[orientation], np.uint8).repeat(16, 0).repeat(16, 1)  # blocks, which JPEG keeps
    seen = np.array(SEEN, np.uint8).repeat(16, 0).repeat(16, 1)
    if kind == "16 bits":
        data, seen = tagged(lies.astype(np.uint16) * 256, orientation, "PNG"), seen.astype(np.uint16) * 256
    elif kind == "palette":
        img, exif, buffer = Image.fromarray(lies).convert("P"), Image.Exif(), io.BytesIO()
        exif[0x0112] = orientation
        img.save(buffer, "PNG", exif=exif)
        data = buffer.getvalue()
    else:
        data = tagged(lies, orientation, kind)
    (tmp_path / "a").write_bytes(data)
    upright = Upright(FolderArchive(tmp_path))
    (one,) = upright.read_many([0])
    assert one == upright.read(0) and upright.name(0) == "a"
    with Image.open(io.BytesIO(one)) as img:
        found = np.asarray(img.convert("RGB"))[..., 0] if kind in ("WEBP", "palette") else np.asarray(img)
        assert 0x0112 not in img.getexif() or orientation == 1
        assert (img.mode == "P") == (kind == "palette")
    if orientation == 1:
        assert one == data
    elif kind == "JPEG":
        assert one.startswith(b"\xff\xd8\xff")
    np.testing.assert_allclose(found, seen, atol=2 if kind == "JPEG" else 0)
