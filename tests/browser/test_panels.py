"""Every panel in Chromium, shown by Voila: files are uploaded, sliders moved, pictures read from the page."""

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdlib.loading.codec import decode
from mdlib.viewing.predict import Predictor

WAIT_MS = 180_000  # for conditions, on a machine that is busy with other tests
PANELS = ("PredictPanel", "StressPanel", "EffectsPanel", "DataPanel", "TrainingPanel")


@pytest.fixture(scope="module")
def page(browser, voila):
    opened = open_page(browser, voila)
    yield opened
    opened.close()


def open_page(browser, voila: str):
    """The notebook with all panels, once all of them are there."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900}, permissions=["camera"])
    opened.set_default_timeout(WAIT_MS)
    opened.goto(f"{voila}panels.ipynb")
    opened.locator(".TrainingPanel .mdlib-Note").wait_for()
    for name in PANELS[:4]:
        opened.locator(f".{name} .mdlib-Done").wait_for()
    return opened


def choose(page, panel: str, button: str, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(f".{panel} .{button}").click()
    chooser.value.set_files(path)


def read(page, panel: str, name: str) -> np.ndarray:
    """The picture that the page shows."""
    address = page.locator(f".{panel} img.mdlib-{name}").get_attribute("src")
    return decode(base64.b64decode(address.partition("base64,")[2]))


def wait_for_words(page, panel: str, words: str) -> None:
    page.locator(f".{panel} .mdlib-status", has_text=words).wait_for()


def wait_for_change(page, panel: str, name: str, before: str) -> None:
    page.wait_for_function(
        "([where, before]) => ![before, undefined].includes(document.querySelector(where)?.src)",
        arg=[f".{panel} img.mdlib-{name}", before],
    )


def source(page, panel: str, name: str) -> str:
    return page.locator(f".{panel} img.mdlib-{name}").get_attribute("src")


def slide_to_end(page, panel: str, slider: str) -> None:
    """With the keyboard alone, as who has no mouse does it."""
    page.locator(f".{panel} .{slider} [role=slider]").focus()
    page.keyboard.press("End")


def keep(page, panel: str, folder: Path) -> None:
    """Screenshots of the panel on a narrow and a wide page; nothing may reach beyond the page."""
    for width in (600, 1200):
        page.set_viewport_size({"width": width, "height": 1500})
        box = page.locator(f".{panel}.mdlib-panel")
        box.screenshot(path=folder / f"{panel}-{width}.png")
        wider = box.evaluate(
            "box => [box, ...box.querySelectorAll('*')].filter((e) => e.offsetParent !== null"
            " && e.getBoundingClientRect().right > window.innerWidth + 1).map((e) => e.className)"
        )
        assert wider == [], f"{panel} at {width} px is wider than the page"


def drive_predict(page, studio: Path) -> None:
    choose(page, "PredictPanel", "up-bg", studio / "note.txt")
    wait_for_words(page, "PredictPanel", "note.txt is not a picture")
    choose(page, "PredictPanel", "up-bg", studio / "bg.png")
    wait_for_words(page, "PredictPanel", "Now the picture of the scene")
    choose(page, "PredictPanel", "up-fg-bg", studio / "fg_bg.png")
    wait_for_words(page, "PredictPanel", "Done:")
    expected = Predictor.load(studio / "weights", "cpu")(studio / "bg.png", studio / "fg_bg.png")
    found = read(page, "PredictPanel", "mask").astype(int)
    assert np.abs(found - np.rint(expected.mask * 255)).max() <= 1
    with page.expect_download() as download:
        page.locator(".PredictPanel a", has_text="depth.png").click()
    depth = np.asarray(Image.open(download.value.path())).astype(int)
    assert np.abs(depth - expected.depth * 65535).max() <= 2


def drive_stress(page, studio: Path) -> None:
    before, clean = source(page, "StressPanel", "bg"), read(page, "StressPanel", "bg")
    slide_to_end(page, "StressPanel", "stress-exposure")
    wait_for_change(page, "StressPanel", "bg", before)
    wait_for_words(page, "StressPanel", "IoU")
    assert read(page, "StressPanel", "bg").mean() > clean.mean() + 20
    page.locator(".StressPanel .stress-reset").click()
    page.wait_for_function(
        "([where, first]) => document.querySelector(where)?.src === first",
        arg=[".StressPanel img.mdlib-bg", before],
    )


def drive_effects(page, studio: Path) -> None:
    before = source(page, "EffectsPanel", "effect")
    page.locator(".EffectsPanel .effect select").select_option(label="parallax")
    wait_for_change(page, "EffectsPanel", "effect", before)
    assert source(page, "EffectsPanel", "effect").startswith("data:image/gif")
    before = source(page, "EffectsPanel", "effect")
    page.locator(".EffectsPanel .effect select").select_option(label="new background")
    wait_for_change(page, "EffectsPanel", "effect", before)
    choose(page, "EffectsPanel", "up-new-bg", studio / "note.txt")
    wait_for_words(page, "EffectsPanel", "note.txt is not a picture")
    choose(page, "EffectsPanel", "up-new-bg", studio / "bg.png")
    wait_for_words(page, "EffectsPanel", "in front of another place")


def drive_data(page, studio: Path) -> None:
    before = source(page, "DataPanel", "depth")
    slide_to_end(page, "DataPanel", "data-foot")
    wait_for_change(page, "DataPanel", "depth", before)
    wait_for_words(page, "DataPanel", " m.")
    before = source(page, "DataPanel", "mask")
    page.locator(".DataPanel .data-flip input").click()
    wait_for_change(page, "DataPanel", "mask", before)
    choose(page, "DataPanel", "up-data-fg", studio / "bg.png")
    wait_for_words(page, "DataPanel", "bg.png has no transparent part")
    page.locator(".DataPanel .data-flip input").click()
    wait_for_words(page, "DataPanel", "Done:")


def drive_training(page, studio: Path) -> None:
    start, stop = (page.locator(f".TrainingPanel .training-{name}") for name in ("start", "stop"))
    for _ in range(2):  # the second time it goes on
        start.click()
        page.locator(".TrainingPanel img.mdlib-curves").wait_for()
        page.locator(".TrainingPanel .mdlib-status", has_text="training, step").wait_for()
        stop.click()
        wait_for_words(page, "TrainingPanel", "Resume goes on")
        assert start.inner_text().strip() == "Resume"


DRIVES = {
    "PredictPanel": drive_predict,
    "StressPanel": drive_stress,
    "EffectsPanel": drive_effects,
    "DataPanel": drive_data,
    "TrainingPanel": drive_training,
}


@pytest.mark.parametrize("panel", PANELS)
def test_panel(page, studio, screenshots, panel):
    DRIVES[panel](page, studio)
    keep(page, panel, screenshots)


def test_camera(page, screenshots):
    """Chromium's fake camera shows a green picture; a click starts it, another one takes the picture."""
    page.locator(".PredictPanel .show-sample").click()
    wait_for_words(page, "PredictPanel", "Done:")
    for name in ("bg", "fg-bg"):
        button = page.locator(f".PredictPanel .cam-button-{name}")
        button.click()
        page.locator(f".PredictPanel .cam-button-{name}", has_text="Take the picture").click()
        wait_for_words(page, "PredictPanel", "Now the picture" if name == "bg" else "Done:")
    assert read(page, "PredictPanel", "fg-bg")[..., 1].mean() > 60


@pytest.mark.slow
@pytest.mark.parametrize("run", range(10))
def test_all_panels_again_in_a_new_page(browser, voila, studio, run):
    opened = open_page(browser, voila)
    try:
        for drive in DRIVES.values():
            drive(opened, studio)
    finally:
        opened.close()
