"""Several objects in a sample."""

import numpy as np
import pytest

from mdlib.creation.candidates import Rules
from mdlib.creation.company import with_company
from mdlib.creation.create import CreateConfig, create
from mdlib.creation.outline import Ground, Outline
from mdlib.creation.placing import place_all
from mdlib.creation.sources import Background, Cutout
from mdlib.loading.archive import Archive
from mdlib.loading.dataset import open_dataset
from mdlib.loading.shard_format import read_objects


@pytest.fixture(scope="module")
def scene():
    z = np.broadcast_to(np.linspace(6, 1.5, 64)[:, None], (64, 64)).astype(np.float32)
    floor = np.zeros((64, 64), bool)
    floor[20:] = True
    ground = Ground(Background("a", np.zeros((64, 64, 3), np.uint8), z, floor, 60.0))
    outlines = [Outline(Cutout(str(k), np.full((20, 10 + k, 4), 255, np.uint8), None, 0.8)) for k in range(5)]
    return ground, outlines


def test_up_to_so_many_and_the_farthest_first(scene):
    alone = place_all(3, 0, *scene, [False, True], 20, Rules())
    several = with_company(alone, *scene, Rules(), most=3)
    counts = np.unique(several.sample, return_counts=True)[1]
    assert len(counts) == len(alone) == 200 and set(counts.tolist()) == {1, 2, 3}
    assert (np.bincount(counts)[1:] > 45).all()  # 67 expected of each
    assert (np.diff(several.sample) >= 0).all()
    same = np.diff(several.sample) == 0
    assert (np.diff(several.z_m)[same] <= 0).all()
    rows = {tuple(row) for row in zip(several.sample, several.fg, several.x_px, several.y_px, strict=True)}
    assert rows >= {tuple(row) for row in zip(alone.sample, alone.fg, alone.x_px, alone.y_px, strict=True)}
    assert set(several.fg.tolist()) == set(range(5)) and len(set(several.seed.tolist())) == len(several)


def test_one_object_is_one_object(scene):
    alone = place_all(3, 0, *scene, [False], 4, Rules())
    same = with_company(alone, *scene, Rules(), most=1)
    assert (same.sample == alone.sample).all() and (same.seed == alone.seed).all()


def test_a_sample_does_not_depend_on_the_others(scene):
    alone = place_all(3, 0, *scene, [False], 6, Rules())
    several = with_company(alone, *scene, Rules(), most=4)
    for k in (0, 7, 29):
        own = with_company(alone[np.array([k])], *scene, Rules(), most=4)
        expected = several[several.sample == alone.sample[k]]
        assert own.seed.tolist() == expected.seed.tolist() and own.x_px.tolist() == expected.x_px.tolist()


def test_data_set_with_several_objects(tmp_path):
    config = CreateConfig(tmp_path / "set", rooms=3, props=5, placements=2, size=64, objects=3, workers=1)
    create(config, progress=False)
    data = open_dataset(tmp_path / "set")
    assert len(data) == 3 * 5 * 2 * 2
    table = read_objects(Archive(tmp_path / "set/shard-00000.zip"), 0)
    assert len(table["sample"]) > 20 == len(set(table["sample"].tolist()))
    assert (data[0]["mask"] > 0).any()
    with pytest.raises(ValueError, match="single objects"):
        create(CreateConfig(tmp_path / "b", rooms=1, props=1, preset="tiny", objects=2), progress=False)
