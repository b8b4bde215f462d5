"""Where the time of a step goes: every phase is there, and together they are the step."""

import json
import statistics

import pytest

from mdlib.viewing.step_profile import (
    BETWEEN,
    CACHED,
    OTHER,
    PHASES,
    READ,
    REAL,
    UNCOUNTED,
    ProfileConfig,
    StepClock,
    TimedLoader,
    profile,
    profile_figure,
)  # fmt: skip
from mdlib.viewing.step_profile import write_profile as write


@pytest.fixture(scope="module")
def found(tiny_dataset):
    config = ProfileConfig(
        data=tiny_dataset, size=16, batch_size=4, steps=3, device="cpu", log_every=5, accumulate=2
    )
    return profile(config)


def test_the_phases_are_the_step(found):
    assert list(found.phases) == [*PHASES, READ, OTHER]
    assert all(found.phases[phase] > 0 for phase in PHASES)
    assert found.phases[OTHER] >= 0
    assert sum(found.phases.values()) == pytest.approx(found.step_s, rel=0.5)
    assert (found.batch_size, found.blamed, found.true) == (4, {}, {})
    assert found.device.startswith("the CPU")


def test_it_is_told_and_drawn(found, tmp_path):
    table = found.table()
    for line in (*found.phases, "On a CPU", "samples/s"):
        assert line in table
    paths = write(tmp_path / "new", found, {"size": 16})
    assert [path.name for path in paths] == ["profile.json", "profile.md", "profile.png"]
    content = json.loads(paths[0].read_text())
    assert content["phases"] == found.phases
    assert content["settings"] == {"size": 16}
    assert (
        len(profile_figure(found).findobj(lambda artist: hasattr(artist, "patches") and artist.patches)) >= 2
    )


def test_who_does_not_wait_blames_the_line_that_reads(found):
    """On a GPU the table and the figure say so too."""
    blamed = {"forward": 0.001, "backward": 0.001, READ: 0.03}
    on_gpu = found._replace(blamed=blamed, true={**blamed, "backward": 0.02, READ: 0.001})
    assert "| backward | 1.0 | 20.0 |" in on_gpu.table()
    assert "seems to cost what all the lines before it cost" in on_gpu.table()
    figures = profile_figure(found), profile_figure(on_gpu)
    titles = [[ax.get_title() for part in figure.subfigs for ax in part.axes] for figure in figures]
    assert [len(each) for each in titles] == [2, 3]
    assert titles[1][2] == "the queue of the GPU"


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
    clock, batches = StepClock(lambda: None), Batches()
    loader = TimedLoader(batches, clock, count=2)
    given = []
    for _ in range(4):
        for batch in loader:
            with clock("seen"):
                loader.to_float(batch, None)
            given.append(batch["number"])
    length = BETWEEN + 2
    assert given[: length + 1] == [0, 1, 2, 3, 4, 0, 1, 2, 0]  # the last one lay ready
    assert given[length : 2 * length] == [0] * length
    assert batches.read == 20 - length
    assert {kind: len(steps) for kind, steps in clock.steps.items()} == {
        UNCOUNTED: 2 * BETWEEN + 4,
        REAL: 2,
        CACHED: 2,
    }
    for step in clock.steps[REAL]:
        assert step["step"] >= step["wait for data"] + step["seen"]
    assert statistics.median(step.get("wait for data", 0.0) for step in clock.steps[CACHED]) == 0


def test_the_command(command_line, tiny_dataset, tmp_path):
    few = ("--size", 16, "--batch-size", 2, "--steps", 1, "--device", "cpu", "--run", tmp_path / "profile")
    done = command_line("profile", tiny_dataset, *few)
    assert done.code == 0, done.err
    assert "| backward |" in done.out
    assert done.out.splitlines()[-1] == str(tmp_path / "profile/profile.png")
