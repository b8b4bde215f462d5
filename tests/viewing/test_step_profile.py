"""Where the time of a step goes: every phase is there, and together they are the step."""

import json
import statistics

import pytest

from mdlib.training import trainer as loop
from mdlib.training.step_clock import BETWEEN, CACHED, PHASES, READ, REAL, UNCOUNTED, Laps, TimedLoader
from mdlib.viewing.step_profile import OTHER, QUEUED, ProfileConfig, profile, profile_figure, queue_model
from mdlib.viewing.step_profile import write_profile as write

SECONDS = {"forward": 0.01, "losses": 0.002, "backward": 0.02, "optimizer": 0.004}


@pytest.fixture(scope="module")
def found(tiny_dataset):
    config = ProfileConfig(
        data=tiny_dataset, size=16, batch_size=4, steps=3, device="cpu", log_every=5, accumulate=2
    )
    functions = loop.resize, loop.augment
    result = profile(config)
    assert (loop.resize, loop.augment) == functions  # no clock is left behind
    return result


def test_the_phases_are_the_step(found):
    assert list(found.phases) == [*PHASES, READ, OTHER]
    assert all(found.phases[phase] > 0 for phase in PHASES)
    assert found.phases[OTHER] >= 0
    assert sum(found.phases.values()) == pytest.approx(found.step_s, rel=0.5)
    assert (found.batch_size, found.is_model) == (4, True)
    assert found.device.startswith("the CPU")


def test_it_is_told_and_drawn(found, tmp_path):
    table = found.table()
    for line in (*found.phases, "timed without waiting", "MODEL", "samples/s"):
        assert line in table
    paths = write(tmp_path / "new", found, {"size": 16})
    assert [path.name for path in paths] == ["profile.json", "profile.md", "profile.png"]
    content = json.loads(paths[0].read_text())
    assert content["phases"] == found.phases
    assert content["settings"] == {"size": 16}
    assert (
        len(profile_figure(found).findobj(lambda artist: hasattr(artist, "patches") and artist.patches)) >= 3
    )


def test_who_does_not_wait_blames_the_line_that_reads():
    """However slow the machine: a queue is filled at once and emptied by the reader."""
    blamed, true = queue_model(SECONDS)
    assert list(blamed) == list(true) == [*QUEUED, READ]
    assert max(blamed, key=blamed.get) == READ
    assert blamed[READ] >= 0.5 * sum(SECONDS.values())
    assert all(true[line] >= 0.99 * SECONDS[line] for line in QUEUED)
    assert max(true, key=true.get) != READ


class Batches:
    """A loader of 5 batches."""

    def __init__(self):
        self.read = 0

    def __len__(self):
        return 5

    def __iter__(self):
        for number in range(5):
            self.read += 1
            yield {"number": number}

    def to_float(self, batch, device):
        return batch


def test_real_and_cached_batches_take_turns():
    laps, batches = Laps(lambda: None), Batches()
    loader = TimedLoader(batches, laps, count=2)
    given = []
    for _ in range(4):
        for batch in loader:
            laps.around(loader.to_float, "seen")(batch, None)
            given.append(batch["number"])
    length = BETWEEN + 2
    assert given[: length + 1] == [0, 1, 2, 3, 4, 0, 1, 2, 0]  # the last one lay ready
    assert given[length : 2 * length] == [0] * length
    assert batches.read == 20 - length
    assert {kind: len(steps) for kind, steps in laps.steps.items()} == {
        UNCOUNTED: 2 * BETWEEN + 4,
        REAL: 2,
        CACHED: 2,
    }
    for step in laps.steps[REAL]:
        assert step["step"] >= step["wait for data"] + step["seen"]
    assert statistics.median(step.get("wait for data", 0.0) for step in laps.steps[CACHED]) == 0


def test_the_command(command_line, tiny_dataset, tmp_path):
    few = ("--size", 16, "--batch-size", 2, "--steps", 1, "--device", "cpu", "--run", tmp_path / "profile")
    done = command_line("profile", tiny_dataset, *few)
    assert done.code == 0, done.err
    assert "| backward |" in done.out
    assert done.out.splitlines()[-1] == str(tmp_path / "profile/profile.png")
