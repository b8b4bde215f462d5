"""Copies of data sets that lie on a slow drive. A folder becomes one by a table of mounts that says so."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mdlib.loading.dataset import open_dataset
from mdlib.loading.local import slow_mount, to_local

COLAB = """overlay / overlay rw,relatime,lowerdir=/a:/b 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0
drive /content/drive fuse.drive rw,nosuid,nodev,relatime,user_id=0 0 0
"""


@pytest.fixture
def drive(tmp_path, hand_made):
    """(folder "on Drive" with a data set `rooms` in it, table of mounts, local cache folder)."""
    folder = tmp_path / "My Drive"
    shutil.copytree(hand_made[0], folder / "rooms")
    (folder / "rooms/recipe.json").write_text("{}")
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\ndrive {str(folder).replace(' ', chr(92) + '040')} fuse.drive rw 0 0\n"
    )
    return folder, mounts, tmp_path / "cache"


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_local_data_set_stays_where_it_is(hand_made, tmp_path, capsys):
    assert to_local(hand_made[0], tmp_path / "cache") == hand_made[0]
    assert not (tmp_path / "cache").exists()
    assert capsys.readouterr().out == ""


def test_data_set_on_drive_is_copied_with_the_reason(drive, capsys):
    folder, mounts, cache = drive
    copy = to_local(folder / "rooms", cache, mounts)
    assert copy.parent == cache
    original, copied = open_dataset(folder / "rooms"), open_dataset(copy)
    assert copied.dataset_id == original.dataset_id
    assert copied[7]["fg_bg"].equal(original[7]["fg_bg"])
    assert names(copy) == names(folder / "rooms")  # no parts, no notes
    said = capsys.readouterr().out
    assert "on a mounted drive (fuse.drive), where a read at a random place takes" in said
    assert f"are copied to {copy} first" in said


def test_copy_is_used_again_and_changed_data_copied_beside_it(drive, capsys, make_dataset):
    folder, mounts, cache = drive
    first = to_local(folder / "rooms", cache, mounts)
    before = {path: path.stat().st_ino for path in first.iterdir()}
    capsys.readouterr()
    assert to_local(folder / "rooms", cache, mounts) == first
    assert capsys.readouterr().out == ""
    assert before == {path: path.stat().st_ino for path in first.iterdir()}
    shutil.rmtree(folder / "rooms")
    make_dataset(folder / "rooms", seed=1)
    second = to_local(folder / "rooms", cache, mounts)
    assert second != first
    assert open_dataset(second).dataset_id != open_dataset(first).dataset_id


def test_interrupted_copy_goes_on(drive):
    """A disk that is full, here a limit on the size of files, stops it in the middle of a shard."""
    folder, mounts, cache = drive
    shard = (folder / "rooms/shard-00000.zip").stat().st_size
    code = f"""
import resource, sys
from pathlib import Path
from mdlib.loading.local import to_local
resource.setrlimit(resource.RLIMIT_FSIZE, ({shard // 2}, {shard // 2}))
to_local(*map(Path, sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, folder / "rooms", cache, mounts]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"File too large after {shard // 2:,} bytes of" in done.stderr.splitlines()[-1]
    (target,) = cache.iterdir()
    part = target / "shard-00000.zip.part"
    assert part.stat().st_size == shard // 2
    with pytest.raises(FileNotFoundError):
        open_dataset(target)  # not a data set before its dataset.json, which comes last
    inode = part.stat().st_ino
    copy = to_local(folder / "rooms", cache, mounts)
    assert (copy / "shard-00000.zip").stat().st_ino == inode
    assert [path.read_bytes() for path in sorted(copy.iterdir())] == [
        path.read_bytes() for path in sorted((folder / "rooms").iterdir())
    ]


def test_damaged_shard_is_named_and_never_gets_its_name(drive):
    folder, mounts, cache = drive
    shard = folder / "rooms/shard-00001.zip"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match=r"shard-00001.zip has the sha256 .*, expected"):
        to_local(folder / "rooms", cache, mounts)
    assert names(next(cache.iterdir())) == ["shard-00000.zip"]
    shard.write_bytes(data[:-1])
    with pytest.raises(ValueError, match=r"shard-00001.zip has .* bytes, but dataset.json says"):
        to_local(folder / "rooms", cache, mounts)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-00001.zip is missing"):
        to_local(folder / "rooms", cache, mounts)


def test_one_archive(drive):
    folder, mounts, cache = drive
    archive = folder / "rooms/shard-00002.zip"
    copy = to_local(archive, cache, mounts)
    assert copy.read_bytes() == archive.read_bytes()
    assert copy.suffix == ".zip"
    assert to_local(archive, cache, mounts) == copy
    shutil.copy(folder / "rooms/shard-00001.zip", archive)
    assert to_local(archive, cache, mounts).read_bytes() == archive.read_bytes()


def test_what_cannot_be_copied_is_a_sentence(drive):
    folder, mounts, cache = drive
    with pytest.raises(ValueError, match="is not on a local disk either"):
        to_local(folder / "rooms", folder / "cache", mounts)
    with pytest.raises(FileNotFoundError, match="no such data set"):
        to_local(folder / "nothing", cache, mounts)
    (folder / "pictures").mkdir()
    with pytest.raises(FileNotFoundError, match=r"it has no dataset.json"):
        to_local(folder / "pictures", cache, mounts)
    description = folder / "rooms/dataset.json"
    info = json.loads(description.read_text())
    info["shards"][0]["name"] = "../../up.zip"
    description.write_text(json.dumps(info))
    with pytest.raises(ValueError, match="is not a plain file name"):
        to_local(folder / "rooms", cache, mounts)
    description.write_text("[]")
    with pytest.raises(ValueError, match="damaged or of another format"):
        to_local(folder / "rooms", cache, mounts)
    assert not cache.exists()


def test_no_room_for_the_copy_is_said_first(drive):
    """A sparse file claims more than the disk has."""
    folder, mounts, cache = drive
    archive = folder / "huge.zip"
    with open(archive, "wb") as stream:
        try:
            stream.truncate(shutil.disk_usage(folder).free + (1 << 40))
        except OSError:
            pytest.skip("the disk is larger than its largest file")
    with pytest.raises(OSError, match="free some space"):
        to_local(archive, cache, mounts)
    assert names(cache) == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("host:/home {} nfs4 rw 0 0", "nfs4"),
        ("//host/share {} cifs rw 0 0", "cifs"),
        ("user@host: {} fuse.sshfs rw 0 0", "fuse.sshfs"),
        ("bucket {} fuse rw 0 0", "fuse"),
        ("/dev/sdb1 {} fuseblk rw 0 0", None),
        ("/dev/sdb1 {} ext4 rw 0 0", None),
        ("tmpfs {} tmpfs rw 0 0", None),
    ],
)
def test_kinds_of_mounts(tmp_path, line, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\n" + line.format(tmp_path) + "\n")
    assert slow_mount(tmp_path / "a/b", mounts) == kind


def test_innermost_and_last_mount_counts(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"host:/ / nfs rw 0 0\ntmpfs {tmp_path}/a tmpfs rw 0 0\nhost:/b {tmp_path}/a/b nfs rw 0 0\n"
    )
    assert slow_mount(tmp_path, mounts) == "nfs"
    assert slow_mount(tmp_path / "a/c", mounts) is None
    assert slow_mount(tmp_path / "a/b/c", mounts) == "nfs"
    assert slow_mount(tmp_path / "ab", mounts) == "nfs"
    mounts.write_text(mounts.read_text() + f"/dev/sdb {tmp_path}/a/b ext4 rw 0 0\n")
    assert slow_mount(tmp_path / "a/b/c", mounts) is None


def test_drive_on_colab(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(COLAB)
    assert slow_mount(Path("/content/drive/MyDrive/data"), mounts) == "fuse.drive"
    assert slow_mount(Path("/content/data"), mounts) is None
    assert slow_mount(Path("/content/drive/MyDrive/data"), tmp_path / "no table") == "Google Drive"
    assert slow_mount(tmp_path, tmp_path / "no table") is None
