import math

import pytest

from mdlib.training.schedule import Stage, learning_rate, parse_stages


def test_stages_share_the_run():
    assert parse_stages("112:0.6,160:0.4") == [Stage(0, 112, 0.0, 0.6), Stage(1, 160, 0.6, 1.0)]


def test_shares_are_divided_by_their_sum():
    stages = parse_stages("80:1,112:1,160:2")
    assert [stage.end for stage in stages] == [0.25, 0.5, 1.0]
    assert [stage.start for stage in stages] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize("text", ["112", "112:x", "a:1", "112:0.5,", "112:1:2", "1.5:1"])
def test_other_texts_are_errors(text):
    with pytest.raises(ValueError, match="expected size:share,size:share"):
        parse_stages(text)


@pytest.mark.parametrize("text", ["8:1", "112:0", "112:-1,160:2", "112:nan", "112:inf"])
def test_other_numbers_are_errors(text):
    with pytest.raises(ValueError, match="expected sizes of 16 px or more and shares above 0"):
        parse_stages(text)


@pytest.mark.parametrize(
    ("progress", "kind", "expected"),
    [
        (0.0, "cosine", 0.0),
        (0.05, "cosine", 1.0),
        (0.1, "cosine", 2.0),
        (0.55, "cosine", 1.0),  # half of the cosine
        (0.325, "cosine", 1 + math.sqrt(0.5)),  # a quarter of it
        (1.0, "cosine", 0.0),
        (1.2, "cosine", 0.0),  # a run that ends by time may overshoot
        (0.05, "constant", 1.0),
        (0.9, "constant", 2.0),
    ],
)
def test_learning_rate(progress, kind, expected):
    assert learning_rate(progress, 2.0, kind, warmup=0.1) == pytest.approx(expected, abs=1e-12)


def test_no_warm_up_begins_at_the_top():
    assert learning_rate(0.0, 2.0, "cosine", warmup=0.0) == 2.0
