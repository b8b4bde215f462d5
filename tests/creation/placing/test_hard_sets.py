"""Hard sets keep what they promise, on the masks as they are stored."""

import numpy as np
import pytest
import torch
from PIL import Image

from mdlib.creation.composing.compose import compose
from mdlib.creation.composing.sprite import make_sprite
from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.items import Background, Cutout, Placements
from mdlib.creation.placing import hard_sets
from mdlib.creation.placing.candidates import Rules
from mdlib.creation.placing.outline import Outline
from mdlib.creation.writing.shard import Composer
from mdlib.evaluation.protocol import evaluate
from mdlib.loading.dataset import open_dataset
from mdlib.modeling.registry import create_model


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> dict:
    """3 backgrounds and 3 cut-outs of different shape."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "bg").mkdir(), (folder / "fg").mkdir()
    rng = np.random.default_rng(3)
    for i in range(3):
        room = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((100, 100))
        room.save(folder / f"bg/room{i}.png")
        h, w = (90, 30 + 40 * i)
        y, x = np.mgrid[:h, :w]
        alpha = np.clip((0.48 - np.hypot((y - h / 2) / h, (x - w / 2) / w)) * 30, 0, 1) * 255
        thing = np.dstack([rng.integers(0, 256, (h, w, 3)), alpha]).astype(np.uint8)
        Image.fromarray(thing).save(folder / f"fg/thing{i}.png")
    return {"bg": folder / "bg", "fg": folder / "fg"}


SOURCES = ["photographs", "rooms"]


@pytest.fixture(scope="module")
def made(photographs, tmp_path_factory):
    """made("tiny", "rooms") -> folder of such a data set, made once."""
    done = {}

    def make(preset, which):
        if (preset, which) not in done:
            out = tmp_path_factory.mktemp("preset") / "data"
            sources = photographs if which == "photographs" else {"rooms": 3, "props": 6}
            config = CreateConfig(out=out, **sources, preset=preset, placements=3, size=80, workers=1)
            done[preset, which] = create(config, progress=False)
        return done[preset, which]

    return make


def masks_of(folder) -> np.ndarray:
    data = open_dataset(folder)
    return data.batch(np.arange(len(data)))["mask"][:, 0].numpy()


def areas(composer, data, i) -> tuple[float, float]:
    """Mask area in pixels of the object of sample `i`, nothing hidden: all of it, and the part inside."""
    table, (height, width) = data.placements, data.size
    at, found = round(float(table["scale"][i]) * height), []
    for h, w, x, y in (
        (3 * at + 100, 9 * at + 100, 40, 40),
        (height, width, int(table["x_px"][i]), int(table["y_px"][i])),
    ):
        columns = (0, 0, int(data.fg[i]), bool(table["flip"][i]), x, y, at / h, np.nan, 0)
        row = Placements(*(np.array([value]) for value in columns))
        mask = compose(torch.zeros(1, 3, h, w, dtype=torch.uint8), composer.sprites, row)["mask"]
        found.append(mask.sum(dtype=torch.int64).item() / 255)
    return tuple(found)


@pytest.mark.parametrize("which", SOURCES)
def test_tiny_objects_cover_less_than_one_percent_and_can_be_seen(made, which):
    masks = masks_of(made("tiny", which))
    assert len(masks) == (54 if which == "photographs" else 108)
    own = (masks >= 128).sum((1, 2))
    assert (masks.mean((1, 2), dtype=np.float64) / 255 < 0.01).all()
    assert (own < 0.01 * 80 * 80).all() and (own >= 12).all()


@pytest.mark.parametrize("which", SOURCES)
def test_cropped_objects_show_less_than_half_of_themselves(made, which):
    folder = made("cropped", which)
    data, composer, masks = open_dataset(folder), Composer(folder), masks_of(folder)
    for i, mask in enumerate(masks):
        whole, inside = areas(composer, data, i)
        assert inside < 0.5 * whole  # by the border alone, not by furniture
        assert 0.045 * whole < mask.sum(dtype=np.int64) / 255 < 0.5 * whole
        assert (mask >= 128).sum() >= 12


@pytest.mark.parametrize("preset", ["tiny", "cropped"])
def test_in_rooms_they_stand_on_the_floor_as_large_as_their_distance_makes_them(made, preset):
    folder = made(preset, "rooms")
    data, composer = open_dataset(folder), Composer(folder)
    table = data.placements
    for i in range(len(data)):
        room, outline = composer.sources.background(int(data.bg[i])), composer.outlines[int(data.fg[i])]
        z, height = table["z_m"][i], round(float(table["scale"][i]) * 80)
        assert abs(height - room.focal_px * outline.height_m / z) < 0.6
        contact = int(table["y_px"][i]) + round(outline.foot_row * height) - 1
        rows, columns = np.nonzero(room.floor)
        inverse = np.polyfit(rows, 1 / room.z[rows, columns], 1)  # the floor goes on outside the picture
        assert abs(1 / np.polyval(inverse, contact) - z) < 0.003 * z
        assert z >= 1


@pytest.mark.parametrize("preset", ["tiny", "cropped"])
def test_models_of_things_keep_their_proportions(made, preset):
    standard, hard = Composer(made("standard", "rooms")), Composer(made(preset, "rooms"))
    factors = []
    for i in range(6):
        before, after = standard.sources.cutout(i), hard.sources.cutout(i)
        factor = after.height_m / before.height_m
        np.testing.assert_array_equal(after.rgba, before.rgba)
        np.testing.assert_allclose(after.relief, before.relief * factor, atol=0.0011)
        factors.append(factor)
    if preset == "tiny":
        assert max(factors) <= 1 and min(factors) < 0.7
    else:
        assert min(factors) == 1 and max(factors) > 1  # only what is too small to be cropped grows


def test_the_same_pictures_are_held_out_as_in_the_standard_set(made):
    for which in SOURCES:
        groups = []
        for preset in ("standard", "tiny", "cropped"):
            content = open_dataset(made(preset, which)).info
            groups.append([(e["name"], e["group"]) for k in ("backgrounds", "cutouts") for e in content[k]])
        assert groups[0] == groups[1] == groups[2]


@pytest.mark.parametrize("preset", ["tiny", "cropped"])
def test_they_can_be_evaluated_as_they_are(made, preset):
    model = create_model("mdnet").eval()
    result = evaluate(model, open_dataset(made(preset, "rooms")), pairs=2, conditions=["clean", "camouflage"])
    for found in [*result["sets"].values(), *result["conditions"].values()]:
        assert 0.1 < found["scores"]["best threshold"]["iou"] <= 1


def test_the_recipe_and_the_card_name_the_preset(made):
    folder = made("tiny", "photographs")
    assert Composer(folder).recipe["preset"] == "tiny"
    assert "- preset: tiny" in (folder / "card.md").read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"preset": "huge"}, "preset is 'huge'; there are standard, tiny, cropped"),
        ({"preset": "tiny", "scale": (0.1, 0.2)}, "chooses scale and min_inside itself"),
        ({"preset": "cropped", "min_inside": 0.2}, "chooses scale and min_inside itself"),
        ({"preset": "tiny", "size": 40}, "pictures of 64 x 64 pixels or more"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        CreateConfig(out=tmp_path, rooms=1, props=1, **options).check()


def test_an_object_behind_furniture_does_not_fit():
    z = np.full((80, 80), 2.0, np.float32)
    floor = np.zeros((80, 80), bool)
    z[70:], floor[70:] = 4.0, True
    background = Background("room", np.zeros((80, 80, 3), np.uint8), z, floor, 80.0)
    thing = Cutout("thing", np.full((40, 40, 4), 255, np.uint8), None, 1.0)
    fits = hard_sets.Fits("tiny", background, [make_sprite(thing.rgba)], [Outline(thing)], 0.0)
    assert fits(0, False, 20, 70, 7, 4.0)
    assert not fits(0, False, 20, 64, 7, 4.0)  # only its last row is seen
    assert not fits(0, False, 20, 64, 16, 1.0)  # more than 1 %
    assert not fits(0, False, 90, 70, 7, 4.0)  # outside


def test_rules():
    assert hard_sets.rules_of("standard", Rules(), (224, 224)) == Rules()
    assert hard_sets.rules_of("tiny", Rules(), (224, 224)).area == (0.001, 0.009)
    assert hard_sets.rules_of("cropped", Rules(), (224, 224)).max_inside < 0.5
