"""The panel Data: a cut-out is moved by hand."""

import re

import numpy as np
import pytest

from mdlib import DataPanel
from mdlib.creation.sources.pictures import prop_cutouts, room_backgrounds
from mdlib.loading.codec import encode_png
from mdlib.viewing.panels.panel import DONE, PROBLEM


@pytest.fixture(scope="module")
def data_panel() -> DataPanel:
    return DataPanel(room_backgrounds(2, (64, 80), 0), prop_cutouts(2, 0))


def test_data_moves_scales_and_mirrors(data_panel, hand):
    panel = data_panel
    assert re.search(r"z = \d\.\d\d m", hand.words(panel))
    panel.shadow.value, panel.true_size.value, panel.scale.value, panel.foot.value = False, False, 30, 98
    low = [hand.picture(panel, name) for name in ("mask", "fg-bg", "depth")]
    panel.x.value = 20
    assert (hand.picture(panel, "mask") != low[0]).any() and (hand.picture(panel, "depth") != low[2]).any()
    before = hand.picture(panel, "mask").mean()
    panel.true_size.value = True
    panel.scale.value = 60
    assert not panel.true_size.value
    assert hand.picture(panel, "mask").mean() > 2 * before
    panel.flip.value, panel.background.value, panel.cutout.value = True, 1, 1
    assert hand.kinds(panel)[0] == DONE
    panel.still()


def test_data_takes_own_pictures_and_tells_bad_ones(data_panel, hand):
    panel, rgba = data_panel, np.zeros((40, 30, 4), np.uint8)
    rgba[5:35, 5:25] = (200, 20, 20, 255)
    panel._take_cutout(encode_png(rgba), "red.png")
    assert panel.cutout.label == "2: red.png"
    panel._take_background(encode_png(np.full((64, 80, 3), 99, np.uint8)), "gray.png")
    assert panel.background.label == "2: gray.png"
    assert "no depth" in hand.words(panel) and [s.name for s in panel.shown] == ["bg", "fg-bg", "mask"]
    for take, data, sentence in (
        (panel._take_cutout, encode_png(np.zeros((40, 40, 3), np.uint8)), "no transparent part"),
        (panel._take_cutout, b"hello", "not a picture"),
        (panel._take_background, encode_png(np.zeros((10, 10, 3), np.uint8)), "10 x 10"),
    ):
        panel.attempt(lambda take=take, data=data: take(data, "x"))
        assert hand.kinds(panel) == [PROBLEM] and sentence in hand.words(panel)
        panel.redraw()
        assert hand.kinds(panel)[0] == DONE
