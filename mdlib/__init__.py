"""Finds what was added to a scene and how near everything is, from a picture with and without it.

The public names are loaded on first use, so `import mdlib` is quick and imports no torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "render_room": "mdlib.rooms.generate",
    "render_prop": "mdlib.rooms.generate",
    "open_dataset": "mdlib.loading.dataset",
    "make_loader": "mdlib.loading.loader",
    "CreateConfig": "mdlib.creation.config",
    "create": "mdlib.creation.create",
    "live_dataset": "mdlib.creation.live",
    "create_model": "mdlib.modeling.registry",
    "model_names": "mdlib.modeling.registry",
    "load_model": "mdlib.modeling.registry",
    "save_model": "mdlib.modeling.registry",
    "TrainConfig": "mdlib.training.config",
    "Trainer": "mdlib.training.trainer",
    "train": "mdlib.run",
    "evaluate": "mdlib.evaluation.protocol",
    "Predictor": "mdlib.viewing.predict",
    "LivePlot": "mdlib.viewing.live_plot",
    "PredictPanel": "mdlib.viewing.panels.predict",
    "StressPanel": "mdlib.viewing.panels.predict",
    "DataPanel": "mdlib.viewing.panels.data",
    "EffectsPanel": "mdlib.viewing.panels.effects",
    "TrainingPanel": "mdlib.viewing.panels.training",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the names of the table above


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'mdlib' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # found directly from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
