"""The panel Effects: each effect is shown and can be saved."""

import numpy as np
import pytest

from mdlib import EffectsPanel
from mdlib.loading.codec import encode_png
from mdlib.viewing.panels.effects import CLOUD, EFFECTS, NEW, PARALLAX
from mdlib.viewing.panels.panel import DONE, PROBLEM


@pytest.mark.parametrize("effect", EFFECTS)
def test_every_effect_shows_a_picture_and_a_file(panels, effect, hand):
    panel = panels[EffectsPanel]
    panel.again.click()
    panel.effect.value = effect
    assert hand.kinds(panel) == [DONE]
    assert [shown.name for shown in panel.shown] == ["fg-bg", "effect"]
    assert 'download="' in panel.below.value
    visible = panel.strength.layout.display != "none", panel.turn.layout.display != "none"
    assert visible == (effect not in (NEW, CLOUD), effect == CLOUD)
    if effect == PARALLAX:
        assert "data:image/gif" in panel.gallery.value


def test_a_new_background_is_brought(panels, hand):
    panel = panels[EffectsPanel]
    panel.effect.value = NEW
    panel.again.click()
    green = encode_png(np.full((50, 70, 3), (0, 200, 0), np.uint8))
    hand.choose(panel.slot.upload, green, "green.png")
    assert hand.kinds(panel) == [DONE]
    dark = panel.prediction.mask < 0.01
    if dark.any():
        assert (panel.shown[1].img[dark][:, 1] > 150).all()
    hand.choose(panel.slot.upload, b"no picture", "x")
    assert hand.kinds(panel) == [PROBLEM] and "not a picture" in hand.words(panel)
    panel.redraw()
    assert hand.kinds(panel) == [DONE]
