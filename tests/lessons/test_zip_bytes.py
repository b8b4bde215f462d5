"""Every byte of a small archive is accounted for, and agrees with what zipfile says."""

import io
import zipfile

import pytest

from mdlib.lessons.zip_bytes import hex_dump, zip_parts
from mdlib.loading.zip_writer import ShardWriter


@pytest.fixture
def archive(tmp_path) -> bytes:
    with ShardWriter(tmp_path / "small.zip", comment=b"made by hand") as writer:
        writer.add("a.txt", b"hello")
        writer.add("mask/b.png", bytes(range(100)))
    return (tmp_path / "small.zip").read_bytes()


def test_no_byte_is_left_out(archive):
    parts = zip_parts(archive)
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == len(archive)
    kinds = [part.kind for part in parts]
    assert kinds == ["local header", "name", "data"] * 2 + ["directory entry"] * 2 + ["end of directory"]


def test_parts_say_what_zipfile_says(archive):
    parts = zip_parts(archive)
    for info, entry in zip(zipfile.ZipFile(io.BytesIO(archive)).infolist(), parts[6:8], strict=True):
        assert entry.says == f"{info.filename}, {info.file_size} bytes, at {info.header_offset}"
    assert archive[parts[2].start : parts[2].end] == b"hello"


def test_hex_dump(archive):
    dump = hex_dump(archive, zip_parts(archive))
    assert "68 65 6c 6c 6f" in dump  # hello
    assert "... 68 more" in dump
    assert "<script" not in hex_dump(archive, [zip_parts(archive)[0]._replace(says="<script>")])


def test_what_is_no_archive():
    with pytest.raises(ValueError, match="no ZIP archive"):
        zip_parts(b"GIF89a")
