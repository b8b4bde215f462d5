"""Options that make no sense together are refused in words."""

import dataclasses
from pathlib import Path

import pytest

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bg": None}, "give backgrounds one way: --bg DIR for pictures, or --rooms N"),
        ({"rooms": 2}, "give backgrounds one way"),
        ({"fg": None}, "give cut-outs one way: --fg DIR for pictures, or --props N"),
        ({"props": 2}, "give cut-outs one way"),
        ({"fg": None, "props": 2, "fg_mask": Path("m")}, "--fg-mask holds masks of the pictures in --fg"),
        ({"placements": 0}, "placements is 0; it must be from 1 to"),
        ({"workers": 0}, "workers is 0"),
        ({"size": 8}, "height is 8; it must be from 16 to 4096"),
        ({"seed": -1}, "seed is -1"),
        ({"encoding": "zip"}, "encoding is 'zip'; there are 'exact' and 'fast'"),
        ({"jpeg_quality": 101}, "jpeg_quality is 101"),
        ({"scale": (0.9, 0.2)}, "scale"),
        ({"min_inside": 1.0}, "min_inside"),
        ({"objects": 0}, "objects is 0"),
        ({"objects": 2, "preset": "tiny"}, "single objects; leave out --objects"),
        ({"size": 128}, "room0.png is 120 x 90 pixels, smaller than the 128 x 128 .*--upscale"),
    ],
)
def test_options_that_make_no_sense(pictures, tmp_path, options, sentence):
    config = dataclasses.replace(CreateConfig(out=tmp_path / "set", **pictures), **options)
    with pytest.raises(ValueError, match=sentence):
        create(config, progress=False)
    assert not list(tmp_path.glob("set/*.zip"))
