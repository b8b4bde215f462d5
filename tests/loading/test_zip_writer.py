"""Archives as they are written, held against Python's zipfile."""

import os
import zipfile

import pytest

from mdlib.loading.archive import Archive
from mdlib.loading.zip_writer import ShardWriter


def test_more_members_than_16_bits_count(tmp_path):
    path = tmp_path / "a.zip"
    with ShardWriter(path, b"comment") as writer:
        for i in range(70_000):
            writer.add(f"{i:06d}", b"%d" % i)
    ours = Archive(path)
    assert len(ours) == 70_000 and ours.comment() == b"comment"
    found = ours.find_many(["000000", "065536", "069999"])
    assert [ours.read(i) for i in found] == [b"0", b"65536", b"69999"]
    with zipfile.ZipFile(path) as theirs:
        assert theirs.testzip() is None and len(theirs.namelist()) == 70_000 and theirs.comment == b"comment"


def test_written_byte_for_byte_as_zipfile_would(tmp_path):
    members = {"bg/0.jpg": b"\xff" * 3000, "empty": b"", "Z\u00fcrich/\u96ea.png": b"snow", "a b": b"PK\5\6"}
    with zipfile.ZipFile(tmp_path / "theirs.zip", "w") as theirs:
        theirs.comment = b"which recipe"
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.create_system = 0o644 << 16, 3
            theirs.writestr(info, data, zipfile.ZIP_DEFLATED if "jpg" in name else None, 9)
    with ShardWriter(tmp_path / "ours.zip", b"which recipe") as ours:
        for name, data in members.items():
            ours.add(name, data, deflate="jpg" in name)
    assert (tmp_path / "ours.zip").read_bytes() == (tmp_path / "theirs.zip").read_bytes()


def test_members_written_beyond_4_gib(tmp_path):
    """A hole in the file stands for members that nobody wants to write in a test."""
    path = tmp_path / "large.zip"
    with ShardWriter(path) as writer:
        writer.add("first", b"in front")
        writer._offset = writer._stream.seek(5 << 30, os.SEEK_CUR)
        for i in range(3):
            writer.add(f"behind{i}", b"%d" % i * 9)
    ours, theirs = Archive(path), zipfile.ZipFile(path)
    assert ours.names() == theirs.namelist()
    assert [ours.read(i) for i in range(4)] == [theirs.read(name) for name in ours.names()]
    assert [ours.read(i) for i in range(4)] == [b"in front", b"0" * 9, b"1" * 9, b"2" * 9]


def test_a_member_that_fails_leaves_no_archive(tmp_path):
    with pytest.raises(ValueError, match="too large"), ShardWriter(tmp_path / "a.zip") as writer:
        writer.add("x", b"1")
        writer.add("n" * 70_000, b"2")
    assert not list(tmp_path.iterdir())
