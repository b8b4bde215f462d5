import threading
from collections import deque

import pytest
import torch

from mdlib.training.checkpoint import Checkpoints
from mdlib.training.file_image import file_image
from mdlib.training.saver import Saver, Snapshot


class Gate(Checkpoints):
    """Checkpoints that are written only while the gate is open."""

    def __init__(self, folder, keep=9):
        super().__init__(folder, keep)
        self.open, self.begun = threading.Event(), threading.Event()

    def save(self, step, *content):
        self.begun.set()
        assert self.open.wait(30)
        return super().save(step, *content)


def snapshot(step: int, score: float | None = None) -> Snapshot:
    return Snapshot(step, file_image({"weight": torch.full((2,), float(step))}), {"score": score}, b"")


def steps(checkpoints: Checkpoints) -> list[int]:
    return [int(path.name[5:]) for path in checkpoints.paths()]


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "checkpoints")


def new_saver(checkpoints, saved=lambda: None):
    return Saver(checkpoints, deque(), saved)


def test_the_newest_waits_and_older_ones_give_way(gate):
    with new_saver(gate) as saver:
        saver.offer(snapshot(1))
        assert gate.begun.wait(30)
        for step in (2, 3, 4):  # none of these waits for the disk
            saver.offer(snapshot(step))
        gate.open.set()
        saver.finish()
        assert steps(gate) == [1, 4]


def test_one_with_a_score_does_not_give_way(gate):
    with new_saver(gate) as saver:
        saver.offer(snapshot(1))
        assert gate.begun.wait(30)
        saver.offer(snapshot(2, score=0.9))
        threading.Timer(0.2, gate.open.set).start()
        saver.offer(snapshot(3))
    assert steps(gate) == [1, 2, 3]


def test_leaving_waits_for_the_last_one(gate):
    threading.Timer(0.2, gate.open.set).start()
    with new_saver(gate) as saver:
        saver.offer(snapshot(1))
    assert steps(gate) == [1]


def test_also_after_an_exception(gate):
    gate.open.set()
    with pytest.raises(ZeroDivisionError), new_saver(gate) as saver:
        saver.offer(snapshot(1))
        raise ZeroDivisionError
    assert steps(gate) == [1]


def test_it_tells_what_was_saved_and_what_was_not(gate, tmp_path):
    gate.open.set()
    saved = []
    (tmp_path / "checkpoints").write_text("a file in the way")
    with new_saver(gate, lambda: saved.append(1)) as saver:
        saver.offer(snapshot(1))
        with pytest.raises(OSError):
            saver.finish()
        (problem,) = saver.problems
        assert problem.startswith("step 1 is not saved (")
        assert saved == []
        (tmp_path / "checkpoints").unlink()
        saver.finish()  # there is room now
        assert (steps(gate), saved) == ([1], [1])


def test_a_mistake_in_the_program_is_not_hidden(gate):
    gate.open.set()
    with new_saver(gate, saved=lambda: 1 / 0) as saver:
        saver.offer(snapshot(1))
        with pytest.raises(ZeroDivisionError):
            saver.finish()


def test_it_can_be_entered_again(gate):
    gate.open.set()
    saver = new_saver(gate)
    for step in (1, 2):
        with saver:
            saver.offer(snapshot(step))
    assert steps(gate) == [1, 2]
