"""Evaluation mode, borrowed and given back."""

import pytest
from torch import nn

from mdlib.modeling.modes import evaluation_mode


@pytest.mark.parametrize("training", [True, False])
def test_every_part_gets_its_own_mode_back(training):
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).train(training)
    model[1].train(not training)
    with pytest.raises(RuntimeError, match="stop"), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError("stop")
    assert [m.training for m in model.modules()] == [training, training, not training]


def test_what_has_no_mode_is_left_alone():
    with evaluation_mode(abs):
        pass
