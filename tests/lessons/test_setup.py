"""What the notebooks share."""

from mdlib.lessons.setup import (
    data_folder,
    lesson_config,
    start_command,
    train,
    trained_run,
    work_folder,
)
from mdlib.loading.dataset import open_dataset


def test_files_go_below_the_current_folder(monkeypatch, tmp_path):
    for name in ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert str(work_folder()) == "mdlib-work"
    assert str(work_folder("mine/lessons")) == "mine/lessons"
    assert (tmp_path / "mine/lessons").is_dir()


def test_data_is_made_once_and_a_given_folder_is_taken_as_it_is(tmp_path, tiny_dataset):
    assert data_folder(tmp_path, 2, 2, 32, source=str(tiny_dataset)) == tiny_dataset
    assert not list(tmp_path.iterdir())
    made = data_folder(tmp_path, 2, 2, 32)
    assert len(open_dataset(made)) == 8
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    assert data_folder(tmp_path, 2, 2, 32) == made
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before
    assert data_folder(tmp_path, 2, 2, 32, seed=1) != made


def test_a_run_is_trained_once(tmp_path, tiny_dataset, capsys):
    config = lesson_config(tiny_dataset, tmp_path, 32, steps=2)
    assert [stage.size for stage in config.all_stages()] == [16, 32]
    assert trained_run(config) == config.run
    assert "finished after 2 steps" in capsys.readouterr().out
    assert trained_run(config) == config.run
    assert not capsys.readouterr().out
    assert train(config).step == 2


def test_a_command_runs_beside_the_notebook():
    assert start_command("--version").wait() == 0
    assert start_command("nonsense").wait() == 2
