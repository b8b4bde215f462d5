"""What tests of panels share: a small scene, an untrained network, panels, and a hand that uses them."""

import base64
import re
from datetime import datetime, timezone
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib import EffectsPanel, Predictor, PredictPanel, StressPanel
from mdlib.loading.codec import decode
from mdlib.modeling.registry import create_model
from mdlib.viewing.scenes import packaged_scene


@pytest.fixture(scope="session")
def room() -> dict[str, np.ndarray]:
    """The packaged sample at half its size."""
    whole = packaged_scene()
    small = {k: np.asarray(Image.fromarray(whole[k]).reduce(2)) for k in ("bg_img", "fg_bg_img")}
    return small | {k: np.ascontiguousarray(whole[k][::2, ::2]) for k in ("mask", "depth")}


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    torch.manual_seed(0)
    return Predictor(create_model("mdnet"), "cpu")


@pytest.fixture(scope="session")
def panels(predictor, room) -> dict[type, object]:
    """One panel of each kind, used by one test after the other: they must bear it."""
    return {kind: kind(predictor, [room, room]) for kind in (PredictPanel, StressPanel, EffectsPanel)}


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
    choose(panel.slots[slot].upload, data, name)


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


@pytest.fixture(scope="session")
def hand() -> SimpleNamespace:
    """The functions above: what a person does with a panel, and sees of it."""
    return SimpleNamespace(choose=choose, upload=upload, kinds=kinds, words=words, picture=picture)
