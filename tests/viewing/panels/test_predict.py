"""The panels Predict and Stress."""

import numpy as np
import torch

from mdlib import EffectsPanel, Predictor, PredictPanel, StressPanel
from mdlib.loading.codec import decode, encode_jpeg
from mdlib.modeling.networks.base import MaskDepth
from mdlib.viewing.panels.effects import NEW
from mdlib.viewing.panels.panel import DONE, PROBLEM


def test_stress_moves_both_pictures(panels, room, hand):
    panel = panels[StressPanel]
    panel.again.click()
    clean = hand.picture(panel, "bg")
    panel.sliders["exposure"].value = 100
    bright = hand.picture(panel, "bg")
    assert bright.mean() > clean.mean() + 20
    np.testing.assert_array_equal(hand.picture(panel, "fg-bg"), decode(encode_jpeg(room["fg_bg_img"], 92)))
    assert "IoU" in hand.words(panel) and "true mask" in hand.words(panel)
    for slider in panel.sliders.values():
        slider.value = 40
    assert hand.kinds(panel) == [DONE]
    panel.reset.click()
    assert all(slider.value == 0 for slider in panel.sliders.values())
    np.testing.assert_array_equal(hand.picture(panel, "bg"), clean)


def test_stress_without_truth_compares_with_the_undisturbed(predictor, room, hand):
    panel = StressPanel(predictor, [room | {"mask": None, "depth": None}])
    assert "IoU 1.00 with the mask of the undisturbed" in hand.words(panel)
    panel.sliders["shadow"].value = 50
    assert hand.kinds(panel) == [DONE]


def test_a_network_without_depth(room, hand):
    class MaskOnly(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(1))

        def forward(self, bg, fg_bg):
            return MaskDepth((fg_bg - bg).abs().amax(1, keepdim=True) * 20 - 2 + self.bias, None)

    predictor = Predictor(MaskOnly(), "cpu")
    assert [shown.name for shown in PredictPanel(predictor, [room]).shown] == [
        "bg", "fg-bg", "overlay", "mask", "cutout"
    ]  # fmt: skip
    panel = EffectsPanel(predictor, [room])
    assert hand.kinds(panel) == [PROBLEM] and "needs depth" in hand.words(panel)
    panel.effect.value = NEW
    assert hand.kinds(panel) == [DONE]
