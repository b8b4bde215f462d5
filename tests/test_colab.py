"""Where a notebook runs, told by what the system says about itself."""

import sys
import types
from pathlib import Path

import pytest

from mdlib import colab


@pytest.fixture(autouse=True)
def on_a_laptop(monkeypatch):
    for name in ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)


def test_place(monkeypatch):
    assert colab.place() == "local"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert colab.place() == "kaggle"
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    assert colab.place() == "colab"


def test_working_folder_on_a_laptop(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = colab.working_folder("course/data")
    assert folder == tmp_path / "course/data"
    assert folder.is_dir()
    assert colab.working_folder("course/data", keep_on_drive=True) == folder


def test_no_drive_on_a_laptop():
    assert colab.mount_drive() is None


@pytest.fixture
def drive_of_colab(monkeypatch, tmp_path):
    """What stands in for Colab's own module: mount(folder) makes MyDrive where the user allows it."""
    drive = types.ModuleType("google.colab.drive")
    drive.allowed, drive.asked = True, 0

    def mount(folder, force_remount=False):
        drive.asked += 1
        if drive.allowed:
            (Path(folder) / "MyDrive").mkdir(parents=True)

    drive.mount = mount
    package = types.ModuleType("google.colab")
    package.drive = drive
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setitem(sys.modules, "google.colab.drive", drive)
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive")
    return drive


def test_on_colab_drive_is_connected_once(drive_of_colab, tmp_path):
    assert colab.mount_drive() == tmp_path / "drive/MyDrive"
    assert colab.working_folder("course", keep_on_drive=True) == tmp_path / "drive/MyDrive/course"
    assert drive_of_colab.asked == 1


def test_without_permission_it_says_what_to_do(drive_of_colab):
    drive_of_colab.allowed = False
    with pytest.raises(RuntimeError, match="run the cell again and allow the access"):
        colab.mount_drive()
