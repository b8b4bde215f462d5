"""Panels without a browser: what their controls do, and that nothing makes them stop."""

import base64
import io
import re
import threading
from datetime import datetime, timezone

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib.loading.codec import decode, encode_jpeg
from mdlib.modeling.networks.base import MaskDepth
from mdlib.modeling.registry import create_model
from mdlib.training.config import TrainConfig
from mdlib.training.trainer import Trainer
from mdlib.viewing.panels.data import DataPanel
from mdlib.viewing.panels.effects import CLOUD, EFFECTS, NEW, PARALLAX, EffectsPanel
from mdlib.viewing.panels.panel import DONE, NOTE, PROBLEM, WARNING
from mdlib.viewing.panels.picture_input import uploaded_files
from mdlib.viewing.panels.predict import PredictPanel, StressPanel
from mdlib.viewing.panels.training import TrainingPanel
from mdlib.viewing.predict import Predictor
from mdlib.viewing.scenes import packaged_scene

PAIR_PANELS = [PredictPanel, StressPanel, EffectsPanel]


def encoded(img: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(img).save(file, kind)
    return file.getvalue()


def reduced(factor: int = 2) -> dict[str, np.ndarray]:
    """The packaged sample at a fraction of its size."""
    whole = packaged_scene()
    small = {k: np.asarray(Image.fromarray(whole[k]).reduce(factor)) for k in ("bg_img", "fg_bg_img")}
    return small | {k: np.ascontiguousarray(whole[k][::factor, ::factor]) for k in ("mask", "depth")}


@pytest.fixture(scope="module")
def room() -> dict[str, np.ndarray]:
    return reduced()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    return Predictor(create_model("mdnet"), "cpu")


@pytest.fixture(scope="module")
def panels(predictor, room) -> dict[type, object]:
    """One panel of each kind, used by one test after the other: they must bear it."""
    return {kind: kind(predictor, [room, room]) for kind in PAIR_PANELS}


def choose(button, data: bytes, name: str) -> None:
    """Give an upload button a file, as a browser does with the ipywidgets at hand, 7 or 8."""
    when = datetime(2026, 1, 1, tzinfo=timezone.utc)
    about = {"name": name, "type": "image/png", "size": len(data)}
    if isinstance(button.value, dict):
        button.metadata, button.data = [about], [data]
        button._counter += 1
    else:
        button.value = (about | {"last_modified": when, "content": memoryview(data)},)


def upload(panel, slot: int, data: bytes, name: str) -> None:
    """Bring a file to one of the two places for pictures."""
    choose(panel.chooser.slots[slot].upload, data, name)


def kinds(panel) -> list[str]:
    return [kind for kind, _ in panel.messages]


def words(panel) -> str:
    return " ".join(text for _, text in panel.messages)


def picture(panel, name: str) -> np.ndarray:
    """A picture as the page gets it."""
    address = re.search(
        rf'class="mdlib-{name}"[^>]* src="data:image/\w+;base64,([^"]+)"', panel.gallery.value
    )
    return decode(base64.b64decode(address[1]))


def test_uploads_are_predicted_as_the_predictor_does(predictor, room):
    panel = PredictPanel(predictor, [room])
    turned = [np.ascontiguousarray(room[k][:, ::-1]) for k in ("bg_img", "fg_bg_img")]
    upload(panel, 0, encoded(turned[0]), "empty.png")
    assert kinds(panel) == [NOTE] and "Now the picture of the scene" in words(panel)
    upload(panel, 1, encoded(turned[1]), "scene.png")
    assert kinds(panel)[-1] == DONE
    expected = predictor(*turned)
    np.testing.assert_array_equal(picture(panel, "mask"), np.rint(expected.mask * 255))
    np.testing.assert_array_equal(panel.prediction.depth, expected.depth)
    assert panel.pair.name == "your pictures"
    panel.chooser.again.click()
    assert panel.pair.name == "sample 0"


def test_both_shapes_of_uploads():
    assert uploaded_files(({"name": "a", "content": memoryview(b"xyz")},)) == [("a", b"xyz")]
    assert uploaded_files({"a": {"metadata": {}, "content": b"xyz"}}) == [("a", b"xyz")]
    assert uploaded_files(()) == uploaded_files({}) == []


def test_paths_work_like_uploads(predictor, room, tmp_path):
    panel = PredictPanel(predictor, [room])
    for slot, key in enumerate(("bg_img", "fg_bg_img")):
        (tmp_path / f"{key}.png").write_bytes(encoded(room[key]))
        panel.chooser.slots[slot].path.value = f' "{tmp_path}/{key}.png" '
    assert panel.pair.name == "your pictures" and kinds(panel)[-1] == DONE
    panel.chooser.slots[0].path.value = str(tmp_path / "missing.png")
    assert kinds(panel) == [PROBLEM] and "missing.png was not found" in words(panel)


def test_the_camera_sends_a_data_url(predictor, room):
    panel = PredictPanel(predictor, [room])
    for slot, key in enumerate(("bg_img", "fg_bg_img")):
        jpeg = base64.b64encode(encode_jpeg(room[key])).decode()
        panel.chooser.slots[slot].camera.box.value = f"data:image/jpeg;base64,{jpeg}"
    assert panel.pair.name == "your pictures" and kinds(panel)[-1] == DONE
    panel.chooser.slots[0].camera.box.value = "data:image/jpeg;base64,%%%"
    assert kinds(panel) == [PROBLEM] and "not a picture" in words(panel)


@pytest.mark.parametrize("kind", PAIR_PANELS)
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "x is not a picture"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (encoded(np.zeros((10, 10, 3), np.uint8)), "10 x 10 pixels"),
    ],
    ids=["text", "heic", "tiny"],
)
def test_bad_files_are_told_and_the_panel_goes_on(panels, kind, data, sentence):
    panel = panels[kind]
    upload(panel, 0, data, "x")
    assert kinds(panel) == [PROBLEM] and sentence in words(panel)
    assert panel.shown == []
    panel.chooser.again.click()
    assert kinds(panel) == [DONE] and panel.shown


@pytest.mark.parametrize("kind", PAIR_PANELS)
def test_unfit_pairs_are_told_and_the_panel_goes_on(panels, kind, room):
    panel, bg, fg_bg = panels[kind], room["bg_img"], room["fg_bg_img"]

    def bring(first: np.ndarray, second: np.ndarray) -> None:
        panel.chooser.again.click()
        upload(panel, 0, encoded(first), "first.png")
        upload(panel, 1, encoded(second), "second.png")

    bring(fg_bg, bg)
    assert kinds(panel) == [WARNING, DONE] and "swapped" in words(panel)
    panel.chooser.swap.click()
    assert kinds(panel) == [DONE]
    assert [slot.name for slot in panel.chooser.slots] == ["second.png", "first.png"]
    np.testing.assert_array_equal(panel.pair.bg_img, bg)
    panel.chooser.again.click()
    panel.chooser.swap.click()
    assert kinds(panel) == [NOTE] and "nothing to swap" in words(panel)
    bring(bg, np.rot90(fg_bg))
    assert kinds(panel) == [WARNING, DONE] and "different places" in words(panel)
    bring(bg, fg_bg[:-20])
    assert kinds(panel) == [PROBLEM] and "differ in size" in words(panel)
    bring(bg, np.asarray(Image.fromarray(fg_bg).reduce(2)))
    assert kinds(panel) == [WARNING, DONE] and "differ in size" in words(panel)
    bring(np.dstack([bg, np.full(bg.shape[:2], 128, np.uint8)]), fg_bg)
    assert NOTE in kinds(panel) and kinds(panel)[-1] == DONE and "transparent" in words(panel)


def test_a_photo_of_40_megapixels(panels):
    photo = (
        np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8).repeat(100, 0).repeat(100, 1)
    )
    data = encode_jpeg(photo, 60)
    panel = panels[PredictPanel]
    upload(panel, 0, data, "one.jpg")
    upload(panel, 1, data, "two.jpg")
    assert kinds(panel)[:2] == [NOTE, NOTE] and kinds(panel)[-1] == DONE
    assert "one.jpg has 40 megapixels" in words(panel) and "nearly the same" in words(panel)
    assert panel.pair.bg_img.shape == (640, 1024, 3)
    assert max(picture(panel, "mask").shape) <= 480


def test_stress_moves_both_pictures(panels, room):
    panel = panels[StressPanel]
    panel.chooser.again.click()
    clean = picture(panel, "bg")
    panel.sliders["exposure"].value = 100
    bright = picture(panel, "bg")
    assert bright.mean() > clean.mean() + 20
    np.testing.assert_array_equal(picture(panel, "fg-bg"), decode(encode_jpeg(room["fg_bg_img"], 92)))
    assert "IoU" in words(panel) and "true mask" in words(panel)
    for slider in panel.sliders.values():
        slider.value = 40
    assert kinds(panel) == [DONE]
    panel.reset.click()
    assert all(slider.value == 0 for slider in panel.sliders.values())
    np.testing.assert_array_equal(picture(panel, "bg"), clean)


def test_stress_without_truth_compares_with_the_undisturbed(predictor, room):
    panel = StressPanel(predictor, [room | {"mask": None, "depth": None}])
    assert "IoU 1.00 with the mask of the undisturbed" in words(panel)
    panel.sliders["shadow"].value = 50
    assert kinds(panel) == [DONE]


@pytest.mark.parametrize("effect", EFFECTS)
def test_every_effect_shows_a_picture_and_a_file(panels, effect):
    panel = panels[EffectsPanel]
    panel.chooser.again.click()
    panel.effect.value = effect
    assert kinds(panel) == [DONE]
    assert [shown.name for shown in panel.shown] == ["fg-bg", "effect"]
    assert 'download="' in panel.below.value
    visible = panel.strength.layout.display != "none", panel.turn.layout.display != "none"
    assert visible == (effect not in (NEW, CLOUD), effect == CLOUD)
    if effect == PARALLAX:
        assert "data:image/gif" in panel.gallery.value


def test_a_new_background_is_brought(panels):
    panel = panels[EffectsPanel]
    panel.effect.value = NEW
    panel.chooser.again.click()
    green = encoded(np.full((50, 70, 3), (0, 200, 0), np.uint8))
    choose(panel.slot.upload, green, "green.png")
    assert kinds(panel) == [DONE]
    dark = panel.prediction.mask < 0.01
    if dark.any():
        assert (panel.shown[1].img[dark][:, 1] > 150).all()
    choose(panel.slot.upload, b"no picture", "x")
    assert kinds(panel) == [PROBLEM] and "not a picture" in words(panel)
    panel.redraw()
    assert kinds(panel) == [DONE]


def test_a_network_without_depth(room):
    class MaskOnly(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(1))

        def forward(self, bg, fg_bg):
            return MaskDepth((fg_bg - bg).abs().amax(1, keepdim=True) * 20 - 2 + self.bias, None)

    predictor = Predictor(MaskOnly(), "cpu")
    assert [shown.name for shown in PredictPanel(predictor, [room]).shown] == [
        "bg", "fg-bg", "overlay", "mask", "cutout"
    ]  # fmt: skip
    panel = EffectsPanel(predictor, [room])
    assert kinds(panel) == [PROBLEM] and "needs depth" in words(panel)
    panel.effect.value = NEW
    assert kinds(panel) == [DONE]


def test_an_error_that_nobody_expected_is_told_too(room):
    def broken(bg, fg_bg):
        raise KeyError("lost")

    panel = PredictPanel(broken, [room])
    assert kinds(panel) == [PROBLEM] and "KeyError" in words(panel)


def test_words_from_files_are_no_html(panels):
    panel = panels[PredictPanel]
    upload(panel, 0, b"", "<script>alert(1)</script>.png")
    assert "<script" not in panel.status.value and "&lt;script" in panel.status.value


def test_stills(panels, tmp_path):
    for kind, panel in panels.items():
        panel.chooser.again.click()
        figure = panel.still()
        figure.savefig(tmp_path / f"{kind.__name__}.png")
        assert figure._suptitle.get_text() == panel.title
    upload(panels[PredictPanel], 0, b"", "x")
    panels[PredictPanel].still().savefig(tmp_path / "problem.png")  # without any picture


@pytest.fixture(scope="module")
def data_panel() -> DataPanel:
    from mdlib.creation.sources.pictures import prop_cutouts, room_backgrounds

    return DataPanel(room_backgrounds(2, (64, 80), 0), prop_cutouts(2, 0))


def test_data_moves_scales_and_mirrors(data_panel):
    panel = data_panel
    assert re.search(r"z = \d\.\d\d m", words(panel))
    panel.shadow.value, panel.true_size.value, panel.scale.value, panel.foot.value = False, False, 30, 98
    low = [picture(panel, name) for name in ("mask", "fg-bg", "depth")]
    panel.x.value = 20
    assert (picture(panel, "mask") != low[0]).any() and (picture(panel, "depth") != low[2]).any()
    before = picture(panel, "mask").mean()
    panel.true_size.value = True
    panel.scale.value = 60
    assert not panel.true_size.value
    assert picture(panel, "mask").mean() > 2 * before
    panel.flip.value, panel.background.value, panel.cutout.value = True, 1, 1
    assert kinds(panel)[0] == DONE
    panel.still()


def test_data_takes_own_pictures_and_tells_bad_ones(data_panel):
    panel, rgba = data_panel, np.zeros((40, 30, 4), np.uint8)
    rgba[5:35, 5:25] = (200, 20, 20, 255)
    panel._take_cutout(encoded(rgba), "red.png")
    assert panel.cutout.label == "2: red.png"
    panel._take_background(encoded(np.full((64, 80, 3), 99, np.uint8)), "gray.png")
    assert panel.background.label == "2: gray.png"
    assert "no depth" in words(panel) and [s.name for s in panel.shown] == ["bg", "fg-bg", "mask"]
    for take, data, sentence in (
        (panel._take_cutout, encoded(np.zeros((40, 40, 3), np.uint8)), "no transparent part"),
        (panel._take_cutout, b"hello", "not a picture"),
        (panel._take_background, encoded(np.zeros((10, 10, 3), np.uint8)), "10 x 10"),
    ):
        panel.attempt(lambda take=take, data=data: take(data, "x"))
        assert kinds(panel) == [PROBLEM] and sentence in words(panel)
        panel.redraw()
        assert kinds(panel)[0] == DONE


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


def test_training_is_stopped_and_resumed(watched, tmp_path):
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
    assert kinds(panel) == [NOTE] and "saved at step 2" in words(panel)
    assert panel.start.description == "Resume" and not panel.start.disabled
    panel.start.click()
    assert panel.wait(120)
    assert kinds(panel) == [DONE] and "finished after 6 steps" in words(panel)
    assert panel.bar.value == 1
    assert panel.shown[0].name == "curves"
    panel.still().savefig(tmp_path / "still.png")


def test_a_training_that_fails_is_told(tmp_path):
    panel = TrainingPanel(TrainConfig(tmp_path, tmp_path / "run"))
    panel.start.click()
    assert panel.wait(60)
    assert kinds(panel) == [PROBLEM] and "dataset.json" in words(panel)
    assert not panel.start.disabled
