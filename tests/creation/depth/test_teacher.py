"""Where a teacher is found, and what its values are taken for."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import spearmanr

from mdlib.creation.config import CreateConfig
from mdlib.creation.create import create
from mdlib.creation.depth import teacher


def quiet(out, **options):
    return create(CreateConfig(out, **{"workers": 1, **options}), progress=False)


def test_what_a_teacher_gives_is_settled_by_trial():
    assert teacher.settle("a", False, 0.8) == ("closeness", None)
    assert teacher.settle("a", True, -0.8) == ("metres", None)
    assert teacher.settle("a", False, -0.8)[0] == "distance"
    output, warning = teacher.settle("a", True, 0.8)
    assert output == "metres" and "what it says is nearer is not" in warning
    assert "no sense of depth" in teacher.settle("a", True, 0.0)[1]


def test_rank_correlation_agrees_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, (20, 30)), rng.standard_normal((20, 30))
    assert teacher.rank_correlation(a, a + b) == pytest.approx(spearmanr(a.ravel(), (a + b).ravel())[0])
    assert teacher.rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert teacher.rank_correlation(a, np.zeros((20, 30))) == 0


def test_a_folder_of_something_else_is_no_teacher(pictures, teachers, tmp_path):
    with pytest.raises(
        FileNotFoundError, match="there is no such folder; expected a folder with config.json"
    ):
        quiet(tmp_path / "set", **pictures, teacher=str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="holds no depth network"):
        quiet(tmp_path / "set", **pictures, teacher=str(pictures["bg"]))
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text('{"model_type": "bert"}')
    for name in ("preprocessor_config.json", "model.safetensors"):
        (bert / name).write_bytes((teachers("near") / name).read_bytes())
    with pytest.raises(ValueError, match="bert cannot be used as a teacher"):
        quiet(tmp_path / "set2", **pictures, teacher=str(bert))


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"HF_HUB_OFFLINE": "1"}, "offline mode"), ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "refused")],
)
def test_without_network_it_says_what_to_do_within_seconds(pictures, tmp_path, environment, reason):
    words = ["create", tmp_path / "set", "--bg", pictures["bg"], "--fg", pictures["fg"], "--depth", "teacher"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "mdlib", *map(str, words)], capture_output=True, text=True,
        env={**os.environ, "HF_HOME": str(tmp_path / "cache"), **environment},
    )  # fmt: skip
    assert done.returncode == 2 and time.monotonic() - started < 60
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: --teacher {teacher.DEFAULT}: there is no folder of that name here")
    assert reason in last and "give --teacher FOLDER" in last
    assert not (tmp_path / "set").exists()
