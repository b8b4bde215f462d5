"""Pairs that people bring: what fits, what does not, and that nothing makes a panel stop."""

import numpy as np
import pytest
from PIL import Image

from mdlib import EffectsPanel, PredictPanel, StressPanel
from mdlib.loading.codec import encode_jpeg, encode_png
from mdlib.viewing.panels.panel import DONE, NOTE, PROBLEM, WARNING

PAIR_PANELS = [PredictPanel, StressPanel, EffectsPanel]


def test_uploads_are_predicted_as_the_predictor_does(predictor, room, hand):
    panel = PredictPanel(predictor, [room])
    turned = [np.ascontiguousarray(room[k][:, ::-1]) for k in ("bg_img", "fg_bg_img")]
    hand.upload(panel, 0, encode_png(turned[0]), "empty.png")
    assert hand.kinds(panel) == [NOTE] and "Now the picture of the scene" in hand.words(panel)
    hand.upload(panel, 1, encode_png(turned[1]), "scene.png")
    assert hand.kinds(panel)[-1] == DONE
    expected = predictor(*turned)
    np.testing.assert_array_equal(hand.picture(panel, "mask"), np.rint(expected.mask * 255))
    np.testing.assert_array_equal(panel.prediction.depth, expected.depth)
    assert panel.pair.name == "your pictures"
    panel.again.click()
    assert panel.pair.name == "sample 0"


@pytest.mark.parametrize("kind", PAIR_PANELS)
def test_unfit_pairs_are_told_and_the_panel_goes_on(panels, kind, room, hand):
    panel, bg, fg_bg = panels[kind], room["bg_img"], room["fg_bg_img"]

    def bring(first: np.ndarray, second: np.ndarray) -> None:
        panel.again.click()
        hand.upload(panel, 0, encode_png(first), "first.png")
        hand.upload(panel, 1, encode_png(second), "second.png")

    bring(fg_bg, bg)
    assert hand.kinds(panel) == [WARNING, DONE] and "swapped" in hand.words(panel)
    panel.swap.click()
    assert hand.kinds(panel) == [DONE]
    assert [slot.name for slot in panel.slots] == ["second.png", "first.png"]
    np.testing.assert_array_equal(panel.pair.bg_img, bg)
    panel.again.click()
    panel.swap.click()
    assert hand.kinds(panel) == [NOTE] and "nothing to swap" in hand.words(panel)
    bring(bg, np.rot90(fg_bg))
    assert hand.kinds(panel) == [WARNING, DONE] and "different places" in hand.words(panel)
    bring(bg, fg_bg[:-20])
    assert hand.kinds(panel) == [PROBLEM] and "differ in size" in hand.words(panel)
    bring(bg, np.asarray(Image.fromarray(fg_bg).reduce(2)))
    assert hand.kinds(panel) == [WARNING, DONE] and "differ in size" in hand.words(panel)
    bring(np.dstack([bg, np.full(bg.shape[:2], 128, np.uint8)]), fg_bg)
    assert NOTE in hand.kinds(panel) and hand.kinds(panel)[-1] == DONE and "transparent" in hand.words(panel)


def test_a_photo_of_40_megapixels(panels, hand):
    photo = (
        np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8).repeat(100, 0).repeat(100, 1)
    )
    data = encode_jpeg(photo, 60)
    panel = panels[PredictPanel]
    hand.upload(panel, 0, data, "one.jpg")
    hand.upload(panel, 1, data, "two.jpg")
    assert hand.kinds(panel)[:2] == [NOTE, NOTE] and hand.kinds(panel)[-1] == DONE
    assert "one.jpg has 40 megapixels" in hand.words(panel) and "nearly the same" in hand.words(panel)
    assert panel.pair.bg_img.shape == (640, 1024, 3)
    assert max(hand.picture(panel, "mask").shape) <= 480
