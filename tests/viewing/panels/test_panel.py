"""Every error becomes words, and no words become HTML."""

from mdlib import PredictPanel
from mdlib.viewing.panels.panel import PROBLEM


def test_an_error_that_nobody_expected_is_told_too(room, hand):
    def broken(bg, fg_bg):
        raise KeyError("lost")

    panel = PredictPanel(broken, [room])
    assert hand.kinds(panel) == [PROBLEM] and "KeyError" in hand.words(panel)


def test_words_from_files_are_no_html(panels, hand):
    panel = panels[PredictPanel]
    hand.upload(panel, 0, b"", "<script>alert(1)</script>.png")
    assert "<script" not in panel.status.value and "&lt;script" in panel.status.value
