"""The pictures of a panel on a page without a browser."""

from mdlib import PredictPanel


def test_stills(panels, tmp_path, hand):
    for kind, panel in panels.items():
        panel.again.click()
        figure = panel.still()
        figure.savefig(tmp_path / f"{kind.__name__}.png")
        assert figure._suptitle.get_text() == panel.title
    hand.upload(panels[PredictPanel], 0, b"", "x")
    panels[PredictPanel].still().savefig(tmp_path / "problem.png")  # without any picture
