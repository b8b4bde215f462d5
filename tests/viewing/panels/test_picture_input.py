"""One picture, by whichever way it comes."""

import base64

import numpy as np
import pytest

from mdlib import EffectsPanel, PredictPanel, StressPanel
from mdlib.loading.codec import encode_jpeg, encode_png
from mdlib.viewing.panels.panel import DONE, PROBLEM
from mdlib.viewing.panels.picture_input import uploaded_files


def test_both_shapes_of_uploads():
    assert uploaded_files(({"name": "a", "content": memoryview(b"xyz")},)) == [("a", b"xyz")]
    assert uploaded_files({"a": {"metadata": {}, "content": b"xyz"}}) == [("a", b"xyz")]
    assert uploaded_files(()) == uploaded_files({}) == []


def test_paths_work_like_uploads(predictor, room, tmp_path, hand):
    panel = PredictPanel(predictor, [room])
    for slot, key in enumerate(("bg_img", "fg_bg_img")):
        (tmp_path / f"{key}.png").write_bytes(encode_png(room[key]))
        panel.slots[slot].path.value = f' "{tmp_path}/{key}.png" '
    assert panel.pair.name == "your pictures" and hand.kinds(panel)[-1] == DONE
    panel.slots[0].path.value = str(tmp_path / "missing.png")
    assert hand.kinds(panel) == [PROBLEM] and "missing.png was not found" in hand.words(panel)


def test_the_camera_sends_a_data_url(predictor, room, hand):
    panel = PredictPanel(predictor, [room])
    for slot, key in enumerate(("bg_img", "fg_bg_img")):
        jpeg = base64.b64encode(encode_jpeg(room[key])).decode()
        panel.slots[slot].camera.box.value = f"data:image/jpeg;base64,{jpeg}"
    assert panel.pair.name == "your pictures" and hand.kinds(panel)[-1] == DONE
    panel.slots[0].camera.box.value = "data:image/jpeg;base64,%%%"
    assert hand.kinds(panel) == [PROBLEM] and "not a picture" in hand.words(panel)


@pytest.mark.parametrize("kind", [PredictPanel, StressPanel, EffectsPanel])
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "x is not a picture"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (encode_png(np.zeros((10, 10, 3), np.uint8)), "10 x 10 pixels"),
    ],
    ids=["text", "heic", "tiny"],
)
def test_bad_files_are_told_and_the_panel_goes_on(panels, kind, data, sentence, hand):
    panel = panels[kind]
    hand.upload(panel, 0, data, "x")
    assert hand.kinds(panel) == [PROBLEM] and sentence in hand.words(panel)
    assert panel.shown == []
    panel.again.click()
    assert hand.kinds(panel) == [DONE] and panel.shown
