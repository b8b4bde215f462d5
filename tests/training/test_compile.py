"""A network that torch.compile trained is an ordinary one: saved, resumed and loaded as such."""

import shutil

import pytest
import torch
from torch._inductor import config as inductor

from mdlib.modeling.registry import load_model
from mdlib.training.checkpoint import Checkpoints, read
from mdlib.training.trainer import TrainConfig, new_model

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a C++ compiler"
)


@pytest.mark.parametrize("name", ["conv2-mask", pytest.param("mdnet", marks=pytest.mark.slow)])
def test_a_compiled_run_is_the_run_of_an_uncompiled_network(fit, tmp_path, monkeypatch, name):
    monkeypatch.setattr(inductor, "compile_threads", 1)  # others would start first, which takes longer
    settings = {"loss": "BCE + L1", "optimizer": "sgd", "checks": 0}
    for run, ways in (("plain", (False, False)), ("compiled", (True, False))):
        for steps, way in zip((2, 4), ways, strict=True):
            model = new_model(TrainConfig(tmp_path, model=name))
            assert fit(tmp_path / run, model=model, steps=steps, compile=way, **settings).step == steps
            assert (tmp_path / run / "model.safetensors").exists()
    plain, compiled = (
        read(Checkpoints(tmp_path / run / "checkpoints").paths()[-1]) for run in ("plain", "compiled")
    )
    assert plain.tensors.keys() == compiled.tensors.keys()
    for name, tensor in plain.tensors.items():
        torch.testing.assert_close(compiled.tensors[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    weights = load_model(tmp_path / "compiled").state_dict()
    assert all(torch.equal(weight, compiled.tensors[f"average.{name}"]) for name, weight in weights.items())
