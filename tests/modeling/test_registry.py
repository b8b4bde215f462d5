"""Networks by name; saving and loading."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from mdlib.modeling.registry import create_model, load_model, model_names, packaged_weights, save_model


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    return save_model(create_model("conv2-mask"), tmp_path / "weights")


def outputs(model):
    pictures = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(*pictures)


@pytest.mark.parametrize(
    "name, options", [("mdnet", {}), ("resnet18-upproj", {"skips": True}), ("conv2-mask", {})]
)
def test_round_trip_gives_equal_outputs(tmp_path, name, options):
    model = create_model(name, **options)
    model(torch.rand(2, 3, 32, 64), torch.rand(2, 3, 32, 64))  # moves the statistics of BatchNorm
    assert save_model(model, tmp_path / "new" / "folder", {"seed": 3}) == tmp_path / "new" / "folder"
    again = load_model(str(tmp_path / "new" / "folder"))
    assert (again.name, again.options) == (name, options)
    assert not again.training
    for before, after in zip(outputs(model), outputs(again), strict=True):
        assert before is after is None or torch.equal(before, after)


def test_a_pair_of_files_is_loaded_too(saved):
    expected = outputs(load_model(saved))
    (saved / "model.safetensors").rename(saved / "mine.safetensors")
    (saved / "config.json").rename(saved / "mine.json")
    assert torch.equal(outputs(load_model(saved / "mine.safetensors")).mask_logits, expected.mask_logits)
    (saved / "mine.json").unlink()
    with pytest.raises(FileNotFoundError, match="mine.json does not exist"):
        load_model(saved / "mine.safetensors")


def test_packaged_weights_are_small_and_of_their_network(repository):
    packaged = packaged_weights()
    assert packaged == {"mdnet": repository / "assets/weights/mdnet.safetensors"}
    assert packaged["mdnet"].stat().st_size <= 6e6
    assert load_model(packaged["mdnet"]).name == "mdnet"
    assert packaged["mdnet"].with_suffix(".md").is_file()


def test_a_name_goes_before_a_folder_of_that_name(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved.rename(tmp_path / "mdnet")
    assert [load_model(path).name for path in ("mdnet", "./mdnet")] == ["mdnet", "conv2-mask"]
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="run is a run that is not finished"):
        load_model("run")
    with pytest.raises(FileNotFoundError, match="'mdnett' is neither .* which are: mdnet"):
        load_model("mdnett")


def test_weights_in_another_memory_layout_are_saved_too(tmp_path):
    model = create_model("conv2-mask").to(memory_format=torch.channels_last)
    again = load_model(save_model(model, tmp_path))
    for key, tensor in again.state_dict().items():
        assert tensor.is_contiguous()
        assert torch.equal(tensor, model.state_dict()[key])


def test_folder_holds_two_files_and_the_extra(saved):
    save_model(load_model(saved), saved, {"dataset": "abc"})
    assert sorted(p.name for p in saved.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((saved / "config.json").read_text())
    assert config == {"name": "conv2-mask", "options": {}, "dataset": "abc"}
    assert len({path.stat().st_mode for path in saved.iterdir()}) == 1  # who may read one may read the other


def test_names_are_listed_and_the_closest_is_offered():
    assert "mdnet" in model_names()
    with pytest.raises(
        ValueError, match="unknown model 'mdnett'; known models: mdnet, .*did you mean 'mdnet'"
    ):
        create_model("mdnett")


def test_unknown_option():
    with pytest.raises(
        ValueError, match="resnet18-upproj has no option 'depth'; its options: skips, pretrained"
    ):
        create_model("resnet18-upproj", depth=3)
    with pytest.raises(ValueError, match="fcn has no option 'skips'; its options: none"):
        create_model("fcn", skips=True)


def test_pretrained_loads_weights_but_is_not_part_of_what_a_network_is(tmp_path, monkeypatch):
    from torchvision.models import ResNet18_Weights, resnet18

    # Stands where torchvision keeps what it downloaded, so that nothing is downloaded here.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    kept = tmp_path / "hub" / "checkpoints" / ResNet18_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    kept.parent.mkdir(parents=True)
    weights = resnet18().state_dict()
    torch.save(weights, kept)
    model = create_model("resnet18-autoencoder", pretrained=True)
    assert torch.equal(model.encoder.layers[3][1].conv2.weight, weights["layer4.1.conv2.weight"])
    assert model.options == {}


def test_extra_is_checked_before_anything_is_written(saved, tmp_path):
    model = load_model(saved)
    with pytest.raises(ValueError, match="extra must not contain name"):
        save_model(model, tmp_path / "x", {"name": "other"})
    with pytest.raises(TypeError):
        save_model(model, tmp_path / "x", {"set": {1}})
    assert not (tmp_path / "x" / "model.safetensors").exists()


def test_model_that_create_model_did_not_make(tmp_path):
    with pytest.raises(ValueError, match="Linear has no .name; save a model that create_model made"):
        save_model(torch.nn.Linear(1, 1), tmp_path)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_missing_file(saved, missing):
    (saved / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"{missing} does not exist; expected a folder with"):
        load_model(saved)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["no json", "[]", '{"name": "mdnet"}', '{"name": "mdnet", "options": 3}'])
def test_damaged_config(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config.json is no model description"):
        load_model(saved)


def test_config_of_an_unknown_network(saved):
    (saved / "config.json").write_text('{"name": "gone", "options": {}}')
    with pytest.raises(ValueError, match="config.json: unknown model 'gone'; known models"):
        load_model(saved)


def test_truncated_weights(saved):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        load_model(saved)


def test_tensors_that_do_not_fit(saved):
    path = saved / "model.safetensors"
    tensors = load_file(path)
    tensors["other"] = tensors.pop("mask_decoder.0.bias")
    tensors["mask_decoder.4.weight"] = torch.zeros(1, 2, 1, 1)
    save_file(tensors, path)
    with pytest.raises(ValueError) as error:
        load_model(saved)
    for words in (
        "does not fit 'conv2-mask'",
        "mask_decoder.0.bias is missing",
        "other is unknown",
        "mask_decoder.4.weight has shape (1, 2, 1, 1), expected (1, 16, 1, 1)",
    ):
        assert words in str(error.value)
