import pytest

from mdlib.training.stages import Stage, parse_stages


def test_stages_share_the_run():
    assert parse_stages("112:0.6,160:0.4", 16) == [Stage(0, 112, 0.0, 0.6, 16), Stage(1, 160, 0.6, 1.0, 16)]


def test_shares_are_divided_by_their_sum():
    stages = parse_stages("80:1,112:1,160:2", 16)
    assert [stage.end for stage in stages] == [0.25, 0.5, 1.0]
    assert [stage.start for stage in stages] == [0.0, 0.25, 0.5]
    assert parse_stages("80:1,80:1,80:1,80:3,80:4", 1)[2].end == 0.3


def test_a_stage_may_have_its_own_settings():
    first, second = parse_stages("112:1:32:freeze=mask_decoder, 160:1:lr=1e-3:freeze=a+b:loss=BCE + L1", 16)
    assert first == Stage(0, 112, 0.0, 0.5, 32, freeze=("mask_decoder",))
    assert second == Stage(1, 160, 0.5, 1.0, 16, lr=1e-3, loss="BCE + L1", freeze=("a", "b"))


@pytest.mark.parametrize(
    "text",
    ["112", "112:x", "a:1", "112:0.5,", "112:1:x", "1.5:1", "112:1:speed=2", "112:1:lr=fast", "112:1:2:3"],
)
def test_other_texts_are_errors(text):
    with pytest.raises(ValueError, match="expected size:share or size:share:batch_size"):
        parse_stages(text, 16)


@pytest.mark.parametrize(
    "text", ["8:1", "112:0", "112:-1,160:2", "112:nan", "112:inf", "112:1:0", "112:1:lr=0", "112:1:lr=nan"]
)
def test_other_numbers_are_errors(text):
    with pytest.raises(ValueError, match="expected sizes of 16 px or more, and shares"):
        parse_stages(text, 16)
