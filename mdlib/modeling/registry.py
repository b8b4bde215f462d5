"""Networks by name, and weights in folders that say which network they belong to.

A saved model is a folder with `model.safetensors` (the tensors) and `config.json` (name, options, and
whatever the writer adds, such as the data set it was trained on). Weights that come with the package are a
pair of files in its assets/weights: `<name>.safetensors` and `<name>.json`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mdlib.files import write_whole

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"

# Imported when first asked for: the ResNet networks need torchvision, which loads slowly.
_NETWORKS = {
    "mdnet": ("mdnet", "MDNet"),
    "resnet18-upproj": ("resnet18", "ResNet18UpProj"),
    "unet-shared": ("unet", "UNetShared"),
    "unet-twin": ("unet", "UNetTwin"),
    "resnet18-autoencoder": ("resnet18", "ResNet18Autoencoder"),
    "conv2-mask": ("conv2_mask", "Conv2Mask"),
    "fcn": ("fcn", "FCN"),
}


def model_names() -> list[str]:
    """Names that `create_model` understands."""
    return list(_NETWORKS)


def create_model(name: str, **options: Any) -> nn.Module:
    """Build a network with fresh weights; it carries `.name` and `.options`, enough to build it again.

    `options` are the arguments of the network's class. Raises ValueError for an unknown name or option.
    """
    if name not in _NETWORKS:
        close = difflib.get_close_matches(str(name), _NETWORKS, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown model {name!r}; known models: {', '.join(model_names())}{hint}")
    module, cls = _NETWORKS[name]
    network = getattr(importlib.import_module(f"mdlib.modeling.networks.{module}"), cls)
    known = list(inspect.signature(network).parameters)
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; its options: {', '.join(known) or 'none'}")
    model = network(**options)
    model.name = name
    # `pretrained` says where weights came from, not what the network is: rebuilding must not download again.
    model.options = {key: value for key, value in options.items() if key != "pretrained"}
    return model


def save_model(model: nn.Module, folder: str | Path, extra: dict[str, Any] | None = None) -> Path:
    """Write a model made by `create_model` to `folder` (created if needed) and return the folder.

    `extra` is JSON-able and goes into config.json beside name and options. Existing files are replaced, each
    in one step, so a reader never sees half a file.
    """
    from safetensors.torch import save

    for attribute in ("name", "options"):
        if not hasattr(model, attribute):
            raise ValueError(
                f"{type(model).__name__} has no .{attribute}; save a model that create_model made"
            )
    taken = {"name", "options"} & set(extra or {})
    if taken:
        raise ValueError(f"extra must not contain {', '.join(sorted(taken))}; create_model decides them")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"name": model.name, "options": model.options, **(extra or {})}
    # Built before anything is written, so that an `extra` that is no JSON leaves the folder as it was.
    text = json.dumps(config, indent=2) + "\n"
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    # The weights last: where they are, the model is complete. Not by `save_file`, whose files nobody but
    # their owner may read.
    for name, data in ((CONFIG_NAME, text.encode()), (WEIGHTS_NAME, save(tensors))):
        write_whole(folder / name, data)
    return folder


def packaged_weights() -> dict[str, Path]:
    """Names of the weights that come with the package, and where they lie; `load_model` takes the names."""
    package = Path(__file__).resolve().parents[1]
    # Installed, assets are part of the package; in a checkout they lie beside it.
    assets = package / "assets" if (package / "assets").is_dir() else package.parent / "assets"
    return {path.stem: path for path in sorted((assets / "weights").glob("*.safetensors"))}


def load_model(name_or_path: str | Path) -> nn.Module:
    """Rebuild a model on the CPU and in evaluation mode: from a run folder, from the folder that `save_model`
    wrote, from a `.safetensors` file with its `.json` beside it, or by the name of packaged weights.

    A name, such as "mdnet", goes before a folder of the same name, which can be given as "./mdnet". Tensors
    stored in 16 bits become float32. Raises FileNotFoundError where a file is missing or the run is not
    finished, ValueError where a file is damaged, names an unknown network or holds other tensors than this
    network has.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    packaged = packaged_weights()
    path = packaged.get(name_or_path) if isinstance(name_or_path, str) else None
    path = path or Path(name_or_path)
    is_file = path.suffix == ".safetensors"
    config_path = path.with_suffix(".json") if is_file else path / CONFIG_NAME
    weights_path = path if is_file else path / WEIGHTS_NAME
    if not is_file and not path.exists():
        raise FileNotFoundError(
            f"{str(name_or_path)!r} is neither a folder of a run or saved model nor the name of weights "
            f"that come with the package, which are: {', '.join(packaged) or 'none'}"
        )
    if (path / "checkpoints").is_dir() and not weights_path.is_file():
        raise FileNotFoundError(
            f"{path} is a run that is not finished, its network was not saved yet: give the same train "
            f"command again to go on"
        )
    for file in (config_path, weights_path):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} does not exist; expected a folder with {CONFIG_NAME} and {WEIGHTS_NAME}, "
                "as save_model writes it"
            )
    try:
        config = json.loads(config_path.read_text())
        name, options = config["name"], dict(config["options"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{config_path} is no model description ({error!r}); expected JSON with name and options"
        ) from error
    try:
        model = create_model(name, **options)
    except ValueError as error:
        raise ValueError(f"{config_path}: {error}") from error
    try:
        tensors = load_file(weights_path)
    except SafetensorError as error:
        raise ValueError(f"{weights_path} is damaged ({error}); copy or download it again") from error
    if problem := misfit(model, tensors):
        raise ValueError(
            f"{weights_path} does not fit {name!r}: {problem}; "
            "the weights were saved by another network or version"
        )
    model.load_state_dict(tensors)
    return model.eval()


def misfit(model: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Which of the tensors do not fit the model, in a few words; nothing where all of them do."""
    expected = model.state_dict()
    wrong = [f"{key} is missing" for key in expected.keys() - tensors.keys()]
    wrong += [f"{key} is unknown" for key in tensors.keys() - expected.keys()]
    wrong += [
        f"{key} has shape {tuple(tensors[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in expected.keys() & tensors.keys()
        if tensors[key].shape != expected[key].shape
    ]
    return "; ".join(sorted(wrong)[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
