"""Scenes as arrays: taken from a data set, written as picture files, with what a network sees in them."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from matplotlib.figure import Figure

from mdlib.evaluation.metrics import mask_metrics
from mdlib.loading.codec import decode, depth_to_closeness, encode_png, to_unit
from mdlib.loading.pictures import read_picture
from mdlib.viewing.figures import overlay, panel, sample_grid
from mdlib.viewing.predict import Prediction, Predictor

if TYPE_CHECKING:
    from mdlib.loading.dataset import SceneDataset

FULL_16 = 65535
PACKAGED = files("mdlib.assets") / "sample"


@dataclass(frozen=True)
class SampleConfig:
    """Writes a sample of a data set: bg.png, fg_bg.png, panel.png, mask.png, depth.png (16-bit closeness)."""

    data: Path
    """Folder of the data set."""
    set: Literal["train", "new_fg", "new_bg", "new_both", "all"] = "new_both"
    """Which backgrounds and cut-outs: seen in training or not."""
    index: int = 0
    """Number of the sample in this set."""
    out: Path = Path("sample")
    """Folder for the pictures."""


@dataclass(frozen=True)
class PredictConfig:
    """Writes mask.png, depth.png (16-bit closeness), overlay.png and panel.png of two pictures of a place."""

    bg: Path
    """Picture of the empty background."""
    fg_bg: Path
    """The same scene with something in it, same size."""
    weights: str = "mdnet"
    """Name of packaged weights, or folder of a run or saved model."""
    out: Path = Path("prediction")
    """Folder for the pictures."""


def sample(config: SampleConfig) -> list[Path]:
    """Write the sample; returns the files. Raises ValueError where the set has no sample of this number."""
    from mdlib.creation.live import open_stored_or_live

    dataset = open_stored_or_live(config.data)
    samples = dataset if config.set == "all" else dataset.split()[config.set]
    if not 0 <= config.index < len(samples):
        raise ValueError(f"--index {config.index}: {config.set} has the samples 0 to {len(samples) - 1}")
    return write_scene(config.out, scene(samples, config.index))


def predict(config: PredictConfig) -> list[Path]:
    """Write what the network finds in the two pictures; returns the files."""
    bg_img, fg_bg_img = read_picture(config.bg), read_picture(config.fg_bg)
    prediction = Predictor.load(config.weights)(bg_img, fg_bg_img)
    return write_prediction(config.out, bg_img, fg_bg_img, prediction)


def scene(dataset: "SceneDataset", index: int) -> dict[str, np.ndarray | None]:
    """Sample `index` as arrays: `bg_img` and `fg_bg_img` (H,W,3 uint8), `mask` (H,W float32, 0 to 1), `depth`
    (H,W float32 closeness, nan = unknown; None where the data set has none).

    Raises IndexError where there is no such sample.
    """
    sample = dataset[index]
    depth = sample.get("depth")
    return {
        "bg_img": sample["bg"].permute(1, 2, 0).numpy(),
        "fg_bg_img": sample["fg_bg"].permute(1, 2, 0).numpy(),
        "mask": to_unit(sample["mask"])[0].numpy(),
        "depth": None if depth is None else depth_to_closeness(depth)[0].numpy(),
    }


def packaged_scene() -> dict[str, np.ndarray | None]:
    """The sample that comes with the package (assets/sample), as `scene` gives one: a drawn room, 224 px."""
    data = {path.name.split(".")[0]: path.read_bytes() for path in PACKAGED.iterdir()}
    bg, fg_bg, mask, depth = (decode(data[name]) for name in ("bg", "fg_bg", "mask", "depth"))
    mask, depth = mask.astype(np.float32) / 255, depth.astype(np.float32) / FULL_16
    return {"bg_img": bg, "fg_bg_img": fg_bg, "mask": mask, "depth": depth}


def write_prediction(
    folder: str | Path, bg_img: np.ndarray, fg_bg_img: np.ndarray, prediction: Prediction
) -> list[Path]:
    """Write mask.png, depth.png, overlay.png and panel.png into `folder`, made where missing; their paths.

    mask.png is 8-bit gray, 255 = all object. depth.png is 16-bit gray: closeness times 65,535, so bright is
    near; it is left out where the network has no depth.
    """
    files = png_files(*prediction) | {"overlay.png": encode_png(overlay(fg_bg_img, prediction.mask))}
    return _write(folder, files, panel(bg_img, fg_bg_img, *prediction))


def write_scene(folder: str | Path, sample: dict[str, np.ndarray | None]) -> list[Path]:
    """Write bg.png, fg_bg.png, panel.png, and mask.png, depth.png as in `write_prediction` (0 = unknown)."""
    pair = {f"{name}.png": encode_png(sample[f"{name}_img"]) for name in ("bg", "fg_bg")}
    return _write(folder, pair | png_files(sample["mask"], sample["depth"]), sample_grid([sample]))


def _write(folder: str | Path, files: dict[str, bytes], figure: Figure) -> list[Path]:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    figure.savefig(folder / "panel.png")
    return [*(folder / name for name in files), folder / "panel.png"]


def png_files(mask: np.ndarray, depth: np.ndarray | None) -> dict[str, bytes]:
    """The contents of mask.png and depth.png, as `write_prediction` writes them."""
    made = {"mask.png": encode_png(np.rint(mask * 255).astype(np.uint8))}
    if depth is not None:
        made["depth.png"] = encode_png(np.rint(np.nan_to_num(depth) * FULL_16).astype(np.uint16))
    return made


def mask_iou(mask: np.ndarray, true_mask: np.ndarray) -> float:
    """IoU of two masks (H,W), 0 to 1, cut at 0.5; as evaluation.metrics has it."""
    pair = (torch.from_numpy(np.ascontiguousarray(x, np.float32))[None, None] for x in (mask, true_mask))
    return mask_metrics(*pair)["iou"].item()
