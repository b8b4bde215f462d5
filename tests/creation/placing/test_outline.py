"""What placing knows of backgrounds and cut-outs."""

from dataclasses import replace

import numpy as np
import pytest

from mdlib.creation.placing.outline import Ground


def test_a_room_without_floor_is_refused(room):
    background = room()
    nowhere = replace(background, floor=np.zeros_like(background.floor))
    with pytest.raises(ValueError, match="room has depth but shows no floor"):
        Ground(nowhere)
