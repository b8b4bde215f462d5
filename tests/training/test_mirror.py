"""The mirror: what is there is whole, whatever happens to its folder."""

import json
import shutil
import subprocess
import time

import pytest
import torch

from mdlib.training.checkpoint import STATE, TENSORS, Checkpoints, read
from mdlib.training.mirror import Mirror
from mdlib.training.run_folder import Records

resource = pytest.importorskip("resource")


@pytest.fixture
def mirror(tmp_path):
    """A mirror of tmp_path/run in tmp_path/drive/run, which tries again every 50 ms."""
    (tmp_path / "drive").mkdir()
    return new_mirror(tmp_path)


def new_mirror(tmp_path, run="run", keep=2) -> Mirror:
    (tmp_path / run).mkdir(exist_ok=True)
    mirror = Mirror(Checkpoints(tmp_path / run / "checkpoints", keep), tmp_path / "drive/run")
    mirror.retry_s, mirror.patience_s = 0.05, 0.3
    return mirror


def begin(mirror):
    records = Records(mirror.run)
    found = mirror.begin(records, mirror.here.latest(records.found_id))
    records.begin({"run_id": records.run_id}, b"")
    return records, found


def save(mirror, records, step, score=None):
    state = {"run_id": records.run_id, "score": score}
    mirror.here.save(step, {"weight": torch.full((1000,), float(step))}, state)
    mirror.wake()


def steps(checkpoints: Checkpoints) -> list[int]:
    return [int(path.name[5:]) for path in checkpoints.paths()]


def test_everything_is_copied_and_pruned(mirror, capsys, wait_until):
    with mirror:
        records, found = begin(mirror)
        assert found is None
        for step, score in ((1, 0.9), (2, 0.5), (3, None), (4, None)):
            save(mirror, records, step, score)
            wait_until(lambda step=step: mirror.safe_step() == step)
        (mirror.run / "model.safetensors").write_bytes(b"weights")
    assert steps(mirror.there) == steps(mirror.here) == [1, 3, 4]
    for path in mirror.there.paths():
        assert torch.equal(read(path).tensors["weight"], torch.full((1000,), float(read(path).state["step"])))
    for name in ("model.safetensors", "config.json", "metrics.jsonl"):
        assert (mirror.folder / name).read_bytes() == (mirror.run / name).read_bytes()
    record = json.loads((mirror.run / "mirror.json").read_text())
    assert record["trouble"] is None
    assert [name for name in record["read_back"] if "step" in name] == [
        path.name for path in mirror.here.paths()
    ]
    assert "everything is in the mirror" in capsys.readouterr().out
    assert not mirror.problems


def break_by_a_file(folder):
    folder.rename(folder.with_name("away"))
    folder.write_text("a file in the way")


def repair_by_return(folder):
    folder.unlink(missing_ok=True)
    folder.with_name("away").rename(folder)


def break_by_removal(folder):
    shutil.rmtree(folder)


def repair_by_an_empty_folder(folder):
    folder.mkdir()


def break_inside(folder):
    (folder / "checkpoints").rename(folder / "kept")
    (folder / "checkpoints").write_text("a file in the way")


def repair_inside(folder):
    (folder / "checkpoints").unlink()
    (folder / "kept").rename(folder / "checkpoints")


def break_by_unmounting(folder):
    folder.parent.rename(folder.parent.with_name("unmounted"))


def repair_by_mounting(folder):
    folder.parent.with_name("unmounted").rename(folder.parent)


OUTAGES = [
    (break_by_a_file, repair_by_return),
    (break_by_removal, repair_by_an_empty_folder),
    (break_inside, repair_inside),
    (break_by_unmounting, repair_by_mounting),
]


@pytest.mark.parametrize(("harm", "repair"), OUTAGES)
def test_an_outage_is_told_once_and_made_up_for(mirror, harm, repair, capsys, wait_until):
    with mirror:
        records, _ = begin(mirror)
        save(mirror, records, 1)
        wait_until(lambda: mirror.safe_step() == 1 and not mirror.missing())
        harm(mirror.folder)
        for step in (2, 3):
            save(mirror, records, step)
            wait_until(lambda: mirror.trouble)
            time.sleep(0.1)
        assert mirror.missing()[:2] == ["step-00000003", "step-00000002"]
        assert len(mirror.problems) == 1
        assert "does not work" in mirror.problems[0]
        assert "training goes on" in mirror.problems[0]
        assert json.loads((mirror.run / "mirror.json").read_text())["trouble"]
        repair(mirror.folder)
        wait_until(lambda: not mirror.missing() and not mirror.trouble)
    assert steps(mirror.there) == [2, 3]
    assert "works again: step 3 is safe there" in capsys.readouterr().out


def test_without_room_nothing_half_written_stays(mirror, wait_until):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with mirror:
        records, _ = begin(mirror)
        save(mirror, records, 1)
        wait_until(lambda: not mirror.missing())
        save(mirror, records, 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            mirror._safe.pop("step-00000002", None)  # it may have been quicker
            shutil.rmtree(mirror.there.folder / "step-00000002", ignore_errors=True)
            mirror.wake()
            wait_until(lambda: mirror.trouble)
            assert "step-00000002" in mirror.missing()
            assert steps(mirror.there) == [1]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        wait_until(lambda: not mirror.missing())
    assert steps(mirror.there) == [1, 2]
    assert list(mirror.folder.glob("**/.*")) == []


def test_what_is_not_there_at_the_end_is_named(mirror, capsys):
    with mirror:
        records, _ = begin(mirror)
        shutil.rmtree(mirror.folder)
        save(mirror, records, 7)
    said = capsys.readouterr().out
    assert "NOT known to be in the mirror" in said
    assert "step-00000007" in said
    assert "is gone: connect the drive or make the folder again" in said


def test_what_vanished_after_it_was_copied_is_not_claimed(mirror, capsys, wait_until):
    with mirror:
        records, _ = begin(mirror)
        save(mirror, records, 7)
        wait_until(lambda: not mirror.missing())
        shutil.rmtree(mirror.folder)
    assert "NOT known to be in the mirror" in capsys.readouterr().out


def test_a_lost_run_folder_goes_on_from_the_mirror(mirror, tmp_path):
    with mirror:
        first, _ = begin(mirror)
        save(mirror, first, 3)
    shutil.rmtree(mirror.run)
    again = new_mirror(tmp_path)
    with again:
        records, found = begin(again)
    assert (records.run_id, found.state["step"]) == (first.run_id, 3)
    assert steps(again.here) == [3]


def test_the_newest_whole_one_of_both_places_wins(mirror, tmp_path):
    with mirror:
        records, _ = begin(mirror)
        for step in (1, 2):
            save(mirror, records, step)
    (mirror.here.paths()[-1] / STATE).write_text("{")
    with pytest.warns(UserWarning, match="step-00000002 is left out"), new_mirror(tmp_path) as again:
        assert begin(again)[1].state["step"] == 2  # that of the mirror
    assert steps(again.here) == [1, 2]
    shutil.rmtree(again.there.paths()[-1])
    with new_mirror(tmp_path) as again:
        assert begin(again)[1].state["step"] == 2  # that of the run folder
    (again.there.paths()[-1] / TENSORS).write_bytes(b"")
    shutil.rmtree(again.here.paths()[-1])
    with pytest.warns(UserWarning, match="step-00000002 is left out"), new_mirror(tmp_path) as again:
        assert begin(again)[1].state["step"] == 1


def test_a_damaged_copy_is_made_anew(mirror, tmp_path):
    with mirror:
        records, _ = begin(mirror)
        save(mirror, records, 1)
    (mirror.there.paths()[0] / TENSORS).write_bytes(b"x")
    with new_mirror(tmp_path) as again:
        begin(again)
        again.wake()
    assert read(again.there.paths()[0]).state["step"] == 1


def test_a_damaged_checkpoint_here_does_not_stop_the_others(mirror, tmp_path, capsys):
    records = Records(mirror.run)
    for step in (1, 2):
        save(mirror, records, step)
    (mirror.here.paths()[0] / TENSORS).write_bytes(b"x")
    with mirror, pytest.warns(UserWarning, match="step-00000001 is left out"):
        begin(mirror)
        mirror.wake()
    assert steps(mirror.there) == [2]
    assert "everything is in the mirror" in capsys.readouterr().out


def test_another_run_in_the_mirror_is_left_alone(mirror, tmp_path):
    with mirror:
        records, _ = begin(mirror)
        save(mirror, records, 1)
    other = new_mirror(tmp_path, run="other")
    (other.run / "config.json").write_text('{"run_id": "mine"}')
    with pytest.raises(ValueError, match=f"holds run {records.run_id}, this is run mine"), other:
        begin(other)
    assert steps(mirror.there) == [1]


def test_a_run_does_not_begin_anew_where_the_mirror_is_out_of_reach(mirror, tmp_path, wait_until):
    mirror.folder.parent.rmdir()
    with pytest.raises(FileNotFoundError, match="drive is not there: connect the drive"), mirror:
        begin(mirror)
    save(mirror, Records(mirror.run), 1)
    with mirror:
        assert begin(mirror)[1].state["step"] == 1  # with a run here it goes on
        assert "connect the drive" in mirror.problems[0]
        mirror.folder.parent.mkdir()
        wait_until(lambda: not mirror.missing())
    assert steps(mirror.there) == [1]


def test_the_run_folder_is_no_mirror_of_itself(tmp_path):
    mirror = Mirror(Checkpoints(tmp_path / "checkpoints"), tmp_path)
    with pytest.raises(ValueError, match="is the run folder itself"), mirror:
        begin(mirror)


@pytest.mark.parametrize(("run", "mirror"), [("run", "run/copy"), ("drive/run", "drive")])
def test_run_and_mirror_do_not_lie_in_each_other(tmp_path, run, mirror):
    (tmp_path / run).mkdir(parents=True)
    mirror = Mirror(Checkpoints(tmp_path / run / "checkpoints"), tmp_path / mirror)
    with pytest.raises(ValueError, match="is in the other: part them"), mirror:
        begin(mirror)


def command(*words):
    subprocess.run([str(word) for word in words], check=True)


def test_a_full_or_read_only_or_disconnected_drive(small_drive, mirror_of_drive, wait_until):
    mirror = mirror_of_drive
    with mirror:
        records, _ = begin(mirror)
        save(mirror, records, 1)
        wait_until(lambda: not mirror.missing() and not mirror.trouble)
        filler = small_drive / "filler"
        with open(filler, "wb") as file, pytest.raises(OSError):
            file.write(bytes(2 << 20))
        save(mirror, records, 2)
        wait_until(lambda: "No space left" in (mirror.trouble or ""))
        filler.unlink()
        wait_until(lambda: not mirror.missing() and not mirror.trouble)
        command("mount", "-o", "remount,ro", small_drive)
        save(mirror, records, 3)
        wait_until(lambda: "Read-only" in (mirror.trouble or ""))
        command("mount", "-o", "remount,rw", small_drive)
        wait_until(lambda: not mirror.missing() and not mirror.trouble)
        assert mirror.safe_step() == 3
        command("umount", "-l", small_drive)
        (small_drive / "run").mkdir()  # what is behind the drive looks like it
        save(mirror, records, 4)
        wait_until(lambda: "is not connected any more" in (mirror.trouble or ""))
        assert len(mirror.problems) == 3
    assert mirror.safe_step() == 3
    assert list((small_drive / "run").iterdir()) == []


@pytest.fixture
def mirror_of_drive(small_drive, tmp_path):
    return new_mirror(tmp_path)
