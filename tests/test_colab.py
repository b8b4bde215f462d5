"""Where a notebook runs, told by what the system says about itself."""

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
    with pytest.raises(RuntimeError, match="only be connected on Colab"):
        colab.mount_drive()
