"""The plain way gives the very samples of the data set."""

import pytest
import torch

from mdlib.lessons.loading_costs import PlainSamples, plain_loader, samples_per_s
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
