import json

import pytest

from mdlib.training.run_folder import Records

resource = pytest.importorskip("resource")
CONFIG = {"run_id": "mine"}


def rows(records: Records) -> list[int]:
    return [json.loads(line)["step"] for line in records.metrics_path.read_text("utf-8").splitlines()]


def test_it_goes_back_to_the_metrics_of_the_checkpoint(tmp_path):
    records = Records(tmp_path)
    records.begin(CONFIG, b"")
    for step in (1, 2):
        records.add_metrics({"step": step})
    kept = records.metrics
    records.add_metrics({"step": 3})
    with open(records.metrics_path, "a") as file:
        file.write('{"step": 4, "los')  # killed amid a row
    (tmp_path / ".config.json.elsewhere.12.tmp").write_text("{")  # and amid a file
    again = Records(tmp_path)
    assert again.run_id == "mine"
    again.begin(CONFIG, kept)
    assert rows(again) == [1, 2]
    again.add_metrics({"step": 3})
    assert rows(again) == [1, 2, 3]
    assert again.metrics == again.metrics_path.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "metrics.jsonl", "samples"}


def test_rows_that_a_full_disk_refused_are_written_later(tmp_path):
    records = Records(tmp_path)
    records.begin(CONFIG, b"")
    records.add_metrics({"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))  # room for half of the second row
    try:
        with pytest.warns(UserWarning, match="metrics.jsonl is not written .*; training goes on") as warned:
            for step in (2, 3):
                records.add_metrics({"step": step})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(warned) == 1
    assert len(records.metrics.splitlines()) == 3
    records.add_metrics({"step": 4})
    records.add_metrics({"step": 5})
    assert rows(records) == [1, 2, 3, 4, 5]
