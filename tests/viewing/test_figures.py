"""Figures: colours that mean something, and no trace in matplotlib's global state."""

import subprocess
import sys

import numpy as np
import pytest

from mdlib.viewing.figures import (
    OUTLINE_RGB,
    metre_ticks,
    overlay,
    panel,
    pictures,
    sample_grid,
    table,
)


@pytest.fixture
def room() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    mask = np.zeros((48, 64), np.float32)
    mask[10:40, 20:40] = 1
    return {
        "bg_img": rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
        "fg_bg_img": rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
        "mask": mask,
        "depth": np.linspace(0.1, 0.4, 48, dtype=np.float32)[:, None].repeat(64, 1),
    }


def brightness(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(float) @ [0.299, 0.587, 0.114]


def test_overlay_keeps_the_object_and_pales_the_rest(room):
    out = overlay(room["fg_bg_img"], room["mask"])
    inside = room["mask"] == 1
    np.testing.assert_array_equal(out[inside], room["fg_bg_img"][inside])
    np.testing.assert_array_equal(out[9, 20:40], np.tile(OUTLINE_RGB, (20, 1)))
    far = np.s_[:8, :10]
    assert (out[far].max(-1) - out[far].min(-1)).max() == 0
    assert out[far].min() >= 127
    with pytest.raises(ValueError, match=r"mask has the size \(3, 3\)"):
        overlay(room["fg_bg_img"], np.zeros((3, 3)))


def titles(figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_panel_shows_what_is_known(room):
    pictures = room["bg_img"], room["fg_bg_img"]
    full = panel(*pictures, room["mask"], room["depth"], room["mask"], room["depth"])
    assert titles(full)[:5] == ["background", "scene", "found", "mask", "depth"]
    assert titles(full)[6:] == ["truth", "true mask", "true depth"]
    labels = [text.get_text() for ax in full.axes for text in ax.get_yticklabels() if not ax.images]
    assert labels[-2:] == ["far", "near"]
    assert titles(panel(*pictures, room["mask"], None)) == ["background", "scene", "found", "mask"]
    with pytest.raises(ValueError, match="true_depth has the size"):
        panel(*pictures, room["mask"], room["depth"], room["mask"], room["depth"][:5])


def test_true_and_found_depth_share_their_colours(room):
    figure = panel(
        room["bg_img"], room["fg_bg_img"], room["mask"], room["depth"], room["mask"], room["depth"] / 2
    )
    shown = {ax.get_title(): ax.images[0].get_array() for ax in figure.axes if ax.images}
    assert brightness(shown["true depth"]).max() < brightness(shown["depth"]).max() / 1.5


def test_error_picture(room):
    found = np.roll(room["mask"], 2, axis=1)
    figure = panel(room["bg_img"], room["fg_bg_img"], found, None, room["mask"])
    error = next(ax.images[0].get_array() for ax in figure.axes if "missed" in ax.get_title())
    np.testing.assert_array_equal(error[20, 20], [0, 90, 200])  # missed
    np.testing.assert_array_equal(error[20, 41], OUTLINE_RGB)  # too much
    np.testing.assert_array_equal(error[20, 30], [255, 255, 255])


def test_sample_grid(room, tmp_path):
    figure = sample_grid([room, {**room, "depth": None}])
    assert titles(figure) == ["background", "scene", "mask", "depth"]
    figure.savefig(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="no samples"):
        sample_grid([])


def test_pyplot_and_its_backend_are_left_alone():
    code = """
import sys, matplotlib, numpy as np
before = dict.__getitem__(matplotlib.rcParams, "backend")
from mdlib.viewing.figures import panel
img = np.zeros((20, 20, 3), np.uint8)
panel(img, img, img[..., 0] / 255, None).savefig("/dev/null", format="png")
assert "matplotlib.pyplot" not in sys.modules
assert dict.__getitem__(matplotlib.rcParams, "backend") is before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_colour_bar_of_measured_depth_tells_metres(room):
    assert metre_ticks((0.1, 0.3)) == {0.1: "5 m", 0.125: "4 m", 0.5 / 3: "3 m", 0.25: "2 m"}
    bar = panel(room["bg_img"], room["fg_bg_img"], room["mask"], room["depth"], metric=True).axes[-1]
    assert [float(label.get_text().removesuffix(" m")) for label in bar.get_yticklabels()] == [
        pytest.approx(0.5 / place) for place in bar.get_yticks()
    ]


def test_pictures_in_rows():
    gray, rgb = np.zeros((4, 6)), np.full((4, 6, 3), 200, np.uint8)
    figure = pictures([[("gray", gray), None], [("colour", rgb), ("again", rgb)]], limits=(0.1, 0.9))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:4] == ["gray", "", "colour", "again"]
    assert [label.get_text() for label in figure.axes[-1].get_yticklabels()] == ["far", "near"]
    with pytest.raises(ValueError, match="nothing to show"):
        pictures([[None]])


def test_table():
    made = table(["a", "b", "c"], [["x", 1234567, 0.12345], ["y", 2, 12345.6]])
    assert made == "| a | b | c |\n| --- | ---: | ---: |\n| x | 1,234,567 | 0.123 |\n| y | 2 | 12,346 |"
    assert made._repr_markdown_() == made


@pytest.mark.parametrize("value", [float("nan")])
def test_a_number_that_is_not_known(value):
    assert "nan" in table(["a"], [[value]])
