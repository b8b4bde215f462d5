"""Cut-outs from photographs: a segmentation network of torchvision finds the object and its soft edge.

Good enough for people, pets, chairs, bottles and the like before any background. What it misses is better cut
out by hand, or given as a picture with a mask (`create --fg-mask`).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from tqdm.auto import tqdm

from mdlib.creation.sources.pictures import folder_pictures
from mdlib.files import write_whole
from mdlib.loading import codec
from mdlib.loading.pictures import read_picture

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "table", "dog",
    "horse", "motorbike", "person", "plant", "sheep", "sofa", "train", "monitor",
)  # fmt: skip
_SHORTER_PX = 520  # side of the pictures that the network was trained on
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SURE = 0.9  # probability from which a pixel counts as wholly of the object; 1 - _SURE as wholly not
_LEAST_AREA = 0.005  # of a picture; smaller finds are mostly wrong


@dataclass(frozen=True)
class CutoutConfig:
    """Cuts the largest object out of each photograph of a folder, as PNG files for create --fg."""

    photos: Path
    """Folder with photographs, one object in each."""
    out: Path
    """Folder for the cut-outs, which get the names of their photographs."""
    weights: Path | None = None
    """File with the weights (state dict) of torchvision's deeplabv3_mobilenet_v3_large; without it they are
    downloaded, 42 MB."""
    classes: tuple[str, ...] = CLASSES
    """What counts as an object."""
    longest_px: int = 1024
    """Photographs whose longer side exceeds this many pixels are made that small."""


def cut_out(config: CutoutConfig, progress: bool = True) -> list[Path]:
    """Write the cut-outs that `config` describes; returns them. Photographs without any are told on stderr.

    Raises FileNotFoundError or ValueError for photographs, weights or classes that cannot be used, OSError
    where the weights cannot be downloaded.
    """
    unknown = [name for name in config.classes if name not in CLASSES]
    if unknown or not config.classes:
        raise ValueError(f"classes are {', '.join(config.classes)}; there are {', '.join(CLASSES)}")
    if config.longest_px < 64:
        raise ValueError(f"longest_px is {config.longest_px}; cut-outs need pictures of 64 pixels or more")
    photos = folder_pictures(config.photos, "photographs")
    twice = sorted({p.name for p in photos if [q.stem for q in photos].count(p.stem) > 1})
    if twice:
        raise ValueError(f"{config.photos}: {', '.join(twice)} would get the same name; rename all but one")
    model = _segmenter(config.weights)
    channels = [1 + CLASSES.index(name) for name in config.classes]
    config.out.mkdir(parents=True, exist_ok=True)
    written = []
    for photo in tqdm(photos, unit=" photographs", desc="cutout", disable=not progress):
        img = Image.fromarray(read_picture(photo, enough_px=2 * config.longest_px))
        img.thumbnail((config.longest_px, config.longest_px), Image.Resampling.LANCZOS)
        rgba = cut(np.asarray(img), model, channels)
        if rgba is None:
            tqdm.write(f"no object found in {photo}", sys.stderr)
            continue
        written.append(config.out / f"{photo.stem}.png")
        write_whole(written[-1], codec.encode_png(rgba, level=6))
    return written


def cut(img: np.ndarray, model: nn.Module, channels: Sequence[int]) -> np.ndarray | None:
    """The largest object of a picture (H,W,3 uint8) as (h,w,4) uint8, or None without any.

    `model` is a network of torchvision.models.segmentation; the object is what it takes for `channels`.
    """
    x = torch.from_numpy(img.copy()).permute(2, 0, 1)[None].float() / 255.0
    x = (x - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_STD)[:, None, None]
    scale = _SHORTER_PX / min(img.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in img.shape[:2])
    x = F.interpolate(x, size, mode="bilinear", antialias=True)
    with torch.inference_mode():
        object_share = model(x)["out"].softmax(1)[:, channels].sum(1, keepdim=True)  # (1, 1, h, w)
    object_share = F.interpolate(object_share, img.shape[:2], mode="bilinear", antialias=True)[0, 0]
    own = largest_part(object_share > 0.5)
    if own.float().mean() < _LEAST_AREA:
        return None
    # The soft edge belongs to the part it surrounds; other parts are at least a sure non-object away from it.
    possible = _grown(own, object_share > 1 - _SURE, max(2, round(max(img.shape) / 64)))
    alpha = ((object_share - (1 - _SURE)) / (2 * _SURE - 1)).clamp(0, 1) * possible
    rgba = np.dstack([img, np.rint(alpha.numpy() * 255).astype(np.uint8)])
    rows, columns = np.flatnonzero(rgba[..., 3].any(1)), np.flatnonzero(rgba[..., 3].any(0))
    return np.ascontiguousarray(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def largest_part(mask: torch.Tensor) -> torch.Tensor:
    """The connected part (8 neighbours) of a mask (H,W) bool that has the most pixels."""
    # Every pixel takes the highest number around it until nothing changes: one number per part is left.
    numbers = torch.arange(1, mask.numel() + 1, dtype=torch.float64).view(mask.shape) * mask
    while True:
        spread = F.max_pool2d(numbers[None, None], 3, stride=1, padding=1)[0, 0] * mask
        # Numbers name pixels: those of the pixel that a number names may be larger by now.
        at = (spread.flatten() - 1).clamp_min(0).long()
        spread = torch.maximum(spread, spread.flatten()[at].view(mask.shape)) * mask
        if torch.equal(spread, numbers):
            break
        numbers = spread
    found, counts = numbers[mask].unique(return_counts=True)
    return mask & (numbers == found[counts.argmax()]) if len(found) else mask


def _grown(part: torch.Tensor, allowed: torch.Tensor, steps: int) -> torch.Tensor:
    """`part` and what of `allowed` is reached from it in so many steps of one pixel."""
    part = part.float()[None, None]
    for _ in range(steps):
        part = torch.maximum(part, F.max_pool2d(part, 3, stride=1, padding=1) * allowed)
    return part[0, 0]


def _segmenter(weights: Path | None) -> nn.Module:
    from torchvision.models.segmentation import DeepLabV3_MobileNet_V3_Large_Weights as Published
    from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

    if weights is None:
        published = Published.DEFAULT
        try:
            state = published.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise OSError(
                f"the weights of the segmentation network could not be downloaded ({error}): get "
                f"{published.url} on a machine with a connection, and give the file with --weights FILE"
            ) from None
    else:
        if not weights.is_file():
            raise FileNotFoundError(f"{weights}: there is no such file; it should hold the weights")
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        except Exception as error:  # pickle and zip raise all kinds for a file that is something else
            raise ValueError(f"{weights} is no file of weights as torch.save writes them ({error})") from None
    auxiliary = isinstance(state, dict) and any(name.startswith("aux_classifier") for name in state)
    model = deeplabv3_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=1 + len(CLASSES), aux_loss=auxiliary
    )
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{weights or 'the download'} does not fit deeplabv3_mobilenet_v3_large with "
            f"{1 + len(CLASSES)} classes: {first}"
        ) from None
    return model.eval()
