"""The three ways to read an archive in workers; that zipfile fails when shared is a matter of chance."""

import sys

import pytest

from mdlib.lessons.zip_workers import WAYS, large_archive, reading_costs


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are forked, as on Linux")
def test_reading_costs(tmp_path):
    path = large_archive(tmp_path / "large.zip", 3000)
    assert large_archive(path, 3000).stat().st_mtime == path.stat().st_mtime
    found = reading_costs(path, reads=500)
    assert list(found) == list(WAYS)
    for way in WAYS:
        assert found[way]["open_s"] > 0 and found[way]["reads_per_s"] > 0
    assert found["in place"]["failed"] == found["zipfile, one each"]["failed"] == 0
    assert found["in place"]["memory_mb"] < found["zipfile, one each"]["memory_mb"]


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(RuntimeError, match="a.zip could not be measured"):
        reading_costs(tmp_path / "a.zip")
