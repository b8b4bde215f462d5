"""The plain way gives the very samples of the data set; an archive is read in three ways in workers.

That zipfile fails when shared is a matter of chance.
"""

import sys

import pytest
import torch

from mdlib.lessons.loading_costs import (
    WAYS,
    PlainSamples,
    large_archive,
    plain_loader,
    reading_costs,
    samples_per_s,
)
from mdlib.loading.dataset import open_dataset


def test_plain_samples_are_those_of_the_data_set(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    plain = PlainSamples(dataset)
    assert len(plain) == len(dataset)
    for i in (0, 57, len(plain) - 1):
        sample = plain[i]
        assert torch.equal(sample["mask"], dataset[i]["mask"])
        assert torch.equal(sample["depth"].to(torch.int32), dataset[i]["depth"].to(torch.int32))
        # Decoders round differently.
        assert (sample["fg_bg"].int() - dataset[i]["fg_bg"].int()).abs().max() <= 4


def test_samples_per_second(tiny_dataset):
    assert samples_per_s(plain_loader(open_dataset(tiny_dataset), 16), seconds=0.05, warm=1) > 0
    with pytest.raises(ValueError, match="no batches"):
        samples_per_s([])


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
