import json
import random
import shutil
import warnings

import pytest
import torch

from mdlib.training.checkpoint import (
    MANIFEST,
    METRICS,
    STATE,
    TENSORS,
    UNREADABLE,
    Checkpoints,
    read,
)

resource = pytest.importorskip("resource")


ALL = (TENSORS, STATE, METRICS, MANIFEST)


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", keep=2)


def save(checkpoints: Checkpoints, step: int, score: float | None = None, run_id: str = "mine"):
    tensors = {"weight": torch.full((3, 5), float(step)), "count": torch.tensor(step)}
    return checkpoints.save(step, tensors, {"run_id": run_id, "score": score}, b'{"step": 1}\n')


def steps(checkpoints: Checkpoints) -> list[int]:
    return [int(path.name[5:]) for path in checkpoints.paths()]


def test_what_was_saved_comes_back(checkpoints):
    path = save(checkpoints, 7)
    assert path.name == "step-00000007"
    found = checkpoints.latest("mine")
    assert found.path == path
    assert torch.equal(found.tensors["weight"], torch.full((3, 5), 7.0))
    assert found.tensors["count"].dtype == torch.int64
    assert found.state == {"run_id": "mine", "score": None, "step": 7}
    assert found.metrics == b'{"step": 1}\n'


def test_a_run_folder_that_left_is_not_made_again(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(Checkpoints(tmp_path / "drive/run/checkpoints"), 7)
    assert not list(tmp_path.iterdir())


def test_any_memory_layout_comes_back_with_its_values(checkpoints):
    weight = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    path = checkpoints.save(1, {"weight": weight, "part": weight[:, 1:]}, {})
    assert torch.equal(read(path).tensors["weight"], weight)
    assert torch.equal(read(path).tensors["part"], weight[:, 1:])


def test_every_kind_of_number_comes_back_bit_by_bit(checkpoints):
    generator = torch.Generator().manual_seed(0)
    kinds = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
    tensors = {kind: (torch.rand(3, 5, generator=generator) * 9).to(getattr(torch, kind)) for kind in kinds}
    tensors["nan"] = torch.tensor([float("nan"), float("-inf"), -0.0])
    tensors["number"], tensors["none"] = torch.tensor(7), torch.zeros(0, 4)
    tensors["weight"] = torch.nn.Parameter(torch.rand(3, generator=generator))
    found = read(checkpoints.save(1, tensors, {})).tensors
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        bits = [x.detach().reshape(-1, 1).view(torch.uint8) for x in (found[name], tensor)]
        assert torch.equal(*bits)  # also of nan


def test_the_same_tensors_give_the_same_bytes_in_any_order(checkpoints):
    tensors = {"a": torch.rand(3), "b": torch.rand(2, 2), "count": torch.tensor(1)}
    one = checkpoints.save(1, tensors, {})
    two = checkpoints.save(2, dict(reversed(tensors.items())), {})
    assert (one / TENSORS).read_bytes() == (two / TENSORS).read_bytes()


def test_the_latest_is_the_one_of_the_highest_step(checkpoints):
    checkpoints.keep = 9
    for step in (99_999_999, 5, 100_000_000, 20):
        save(checkpoints, step)
    assert checkpoints.latest().state["step"] == 100_000_000
    assert steps(checkpoints) == [5, 20, 99_999_999, 100_000_000]


def test_nothing_there_is_no_checkpoint(checkpoints):
    assert checkpoints.latest() is None
    assert checkpoints.paths() == []


def test_the_last_ones_and_the_best_stay(checkpoints):
    for step, score in ((1, None), (2, 0.5), (3, 0.9), (4, None), (5, 0.7), (6, None), (7, None)):
        save(checkpoints, step, score)
    assert steps(checkpoints) == [3, 6, 7]


def truncate(name, share):
    def harm(path):
        data = (path / name).read_bytes()
        (path / name).write_bytes(data[: int(share * len(data))])

    return harm


def truncate_somewhere(seed):
    rng = random.Random(seed)
    return truncate(rng.choice(ALL), rng.random())


def flip_a_bit(name, seed):
    def harm(path):
        data = bytearray((path / name).read_bytes())
        rng = random.Random(seed)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (path / name).write_bytes(data)

    return harm


def lose(name):
    return lambda path: (path / name).unlink()


def put_a_folder(path):
    (path / STATE).unlink()
    (path / STATE).mkdir()


def of_another_program(path):
    shutil.rmtree(path)
    path.mkdir()
    (path / MANIFEST).write_text('["weights"]')


HARMS = [truncate(name, share) for name in ALL for share in (0, 0.99)]
HARMS += [truncate_somewhere(seed) for seed in range(50)]
HARMS += [flip_a_bit(name, seed) for name in ALL for seed in range(8)]
HARMS += [lose(name) for name in ALL] + [put_a_folder, of_another_program]


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(checkpoints, harm):
    save(checkpoints, 1)
    good, bad = save(checkpoints, 2), save(checkpoints, 3)
    harm(bad)
    with pytest.warns(UserWarning, match=f"checkpoint .*{bad.name} is left out: "):
        found = checkpoints.latest("mine")
    assert found.path == good
    assert torch.equal(found.tensors["weight"], torch.full((3, 5), 2.0))
    save(checkpoints, 3)  # as a run does that goes on
    assert steps(checkpoints) == [2, 3]
    assert torch.equal(read(good).tensors["weight"], torch.full((3, 5), 2.0))
    assert bad.with_name("step-00000003.rejected-1").is_dir()


def test_no_flipped_bit_and_no_missing_end_is_overlooked(checkpoints):
    """Every length of every file, every bit of the manifest, a bit of every byte of the others."""
    path, rng = save(checkpoints, 1), random.Random(0)
    for name in ALL:
        whole = (path / name).read_bytes()
        bits = range(8) if name == MANIFEST else (rng.randrange(8),)
        for bit in (8 * byte + bit for byte in range(len(whole)) for bit in bits):
            data = bytearray(whole)
            data[bit // 8] ^= 1 << bit % 8
            (path / name).write_bytes(data)
            with pytest.raises(UNREADABLE):
                read(path)
        for length in range(len(whole)):
            (path / name).write_bytes(whole[:length])
            with pytest.raises(UNREADABLE):
                read(path)
        (path / name).write_bytes(whole)
        assert read(path).state["step"] == 1


@pytest.mark.parametrize("seed", range(12))
def test_whichever_are_damaged_the_newest_sound_one_is_taken_and_all_sound_ones_stay(checkpoints, seed):
    checkpoints.keep, rng = 6, random.Random(seed)
    paths = [save(checkpoints, step) for step in range(1, 7)]
    damaged = rng.sample(paths, rng.randint(1, 5))
    for path in damaged:
        rng.choice(HARMS)(path)
    sound = [path for path in paths if path not in damaged]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert checkpoints.latest("mine").path == sound[-1]
    assert len(warned) == len(damaged)
    save(checkpoints, 7)
    for path in sound:
        assert read(path).state["run_id"] == "mine"


def test_a_renamed_checkpoint_is_not_taken(checkpoints):
    save(checkpoints, 1)
    save(checkpoints, 2).rename(checkpoints.folder / "step-00000009")
    with pytest.warns(UserWarning, match="it is of step 2, not of the step in its name"):
        assert checkpoints.latest().state["step"] == 1


def test_a_foreign_checkpoint_is_not_taken_and_not_removed(checkpoints):
    save(checkpoints, 1)
    foreign = save(checkpoints, 3, run_id="other")
    with pytest.warns(UserWarning, match="it belongs to run other, this is run mine"):
        assert checkpoints.latest("mine").state["step"] == 1
    for step in (2, 3, 4, 5):
        save(checkpoints, step)
    assert steps(checkpoints) == [4, 5]
    moved = foreign.with_name("step-00000003.rejected-1")
    assert json.loads((moved / STATE).read_bytes())["run_id"] == "other"


def test_no_sound_checkpoint_at_all(checkpoints):
    lose(STATE)(save(checkpoints, 1))
    with pytest.warns(UserWarning, match="state.json is missing"):
        assert checkpoints.latest() is None


def test_damaged_ones_do_not_push_out_sound_ones(checkpoints):
    for step in (1, 2):
        save(checkpoints, step)
    bad = [shutil.copytree(checkpoints.paths()[0], checkpoints.folder / f"step-0000009{i}") for i in range(2)]
    with pytest.warns(UserWarning, match="is left out"):
        assert checkpoints.latest().state["step"] == 2
    save(checkpoints, 3)
    assert steps(checkpoints) == [2, 3, 90, 91]
    assert all(path.is_dir() for path in bad)


def test_saving_a_step_again_replaces_it(checkpoints):
    save(checkpoints, 4)
    save(checkpoints, 4, score=0.5)
    assert steps(checkpoints) == [4]
    assert checkpoints.latest().state["score"] == 0.5


def test_a_full_disk_leaves_nothing_half_written(checkpoints):
    save(checkpoints, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError):
            save(checkpoints, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in checkpoints.folder.iterdir()] == ["step-00000001"]
    assert checkpoints.latest().state["step"] == 1


def test_what_a_killed_process_left_is_removed_by_the_next(checkpoints):
    save(checkpoints, 1)
    left = checkpoints.folder / ".step-00000002.elsewhere.123.tmp"
    left.mkdir()
    (left / TENSORS).write_bytes(b"half")
    assert checkpoints.latest().state["step"] == 1
    save(checkpoints, 3)
    assert not left.exists()
