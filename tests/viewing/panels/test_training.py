"""The panel Training: a run is started, stopped, resumed and watched."""

import threading

import pytest

from mdlib import TrainConfig, Trainer, TrainingPanel
from mdlib.viewing.panels.panel import DONE, NOTE, PROBLEM


@pytest.fixture
def watched(tiny_dataset, tmp_path, monkeypatch):
    """A config, and a trainer that waits once after its second step, so that a test can press Stop there."""
    config = TrainConfig(
        data=tiny_dataset, run=tmp_path / "run", steps=6, batch_size=2, size=32, checks=1, check_pairs=2,
        log_every=1, device="cpu", workers=1,
    )  # fmt: skip
    reached, go_on = threading.Event(), threading.Event()
    log_if_due = Trainer.log_if_due

    def log_and_wait(self):
        log_if_due(self)
        if self.at.step == 2 and not go_on.is_set():
            reached.set()
            go_on.wait(120)

    monkeypatch.setattr(Trainer, "log_if_due", log_and_wait)
    return config, reached, go_on


def test_training_is_stopped_and_resumed(watched, tmp_path, hand):
    config, reached, go_on = watched
    panel = TrainingPanel(config, every_s=0.05)
    assert (panel.start.disabled, panel.stop.disabled) == (False, True)
    panel.start.click()
    assert reached.wait(120)
    assert (panel.start.disabled, panel.stop.disabled) == (True, False)
    panel.start.click()  # a second click changes nothing
    panel.stop.click()
    go_on.set()
    assert panel.wait(120)
    assert hand.kinds(panel) == [NOTE] and "saved at step 2" in hand.words(panel)
    assert panel.start.description == "Resume" and not panel.start.disabled
    panel.start.click()
    assert panel.wait(120)
    assert hand.kinds(panel) == [DONE] and "finished after 6 steps" in hand.words(panel)
    assert panel.bar.value == 1
    assert panel.shown[0].name == "curves"
    panel.still().savefig(tmp_path / "still.png")


def test_a_training_that_fails_is_told(tmp_path, hand):
    panel = TrainingPanel(TrainConfig(tmp_path, tmp_path / "run"))
    panel.start.click()
    assert panel.wait(60)
    assert hand.kinds(panel) == [PROBLEM] and "dataset.json" in hand.words(panel)
    assert not panel.start.disabled
