import torch
from torch import nn

from mdlib.training.average import AveragedModel


def test_the_average_follows_by_its_decay():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    average = AveragedModel(model, decay=0.5)
    nn.init.constant_(model.weight, 3.0)
    average.update(step=100)
    assert average.model.weight.item() == 2.0  # 1 + 0.5 * (3 - 1)
    average.update(step=101)
    assert average.model.weight.item() == 2.5


def test_early_steps_count_more():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = AveragedModel(model, decay=0.999)
    nn.init.constant_(model.weight, 1.0)
    average.update(step=0)
    torch.testing.assert_close(average.model.weight.item(), 0.9)  # decay (1 + 0) / (10 + 0)


def test_statistics_are_averaged_and_counts_copied():
    model = nn.BatchNorm1d(1)
    average = AveragedModel(model, decay=0.5)
    model.running_mean.fill_(4.0)
    model.num_batches_tracked.fill_(7)
    average.update(step=100)
    assert average.model.running_mean.item() == 2.0
    assert average.model.num_batches_tracked.item() == 7


def test_it_takes_no_gradient_and_stays_in_evaluation_mode():
    model = nn.BatchNorm1d(2).train()
    average = AveragedModel(model, decay=0.9)
    assert not average.model.training
    assert model.training
    assert not any(weight.requires_grad for weight in average.model.parameters())
    assert all(weight.requires_grad for weight in model.parameters())
