"""Mask and depth of any two pictures of the same place.

Sources are arrays (H,W,3 uint8 RGB), PIL images or paths; what comes back has their size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from mdlib.loading.pictures import Source, read_picture
from mdlib.modeling.networks.base import MIN_SIZE, evaluation_mode
from mdlib.modeling.registry import load_model
from mdlib.viewing.network.grad_cam import grad_cam

MIN_SIDE_PX, MAX_SIDE_PX = 128, 512


class Prediction(NamedTuple):
    """What a network sees in two pictures, at their size."""

    mask: np.ndarray  # (H,W) float32, 0 to 1: how much of each pixel belongs to what was added
    depth: np.ndarray | None  # (H,W) float32 closeness, 1 = nearest; None from a network without depth


class Predictor:
    """A network that takes pictures of any size and gives back arrays of that size.

    A picture whose longer side exceeds `max_side` pixels is shrunk to it before the network, and the result
    enlarged again (bilinear): edges are those of the smaller picture. More pixels than in training make
    masks better and depth slightly worse: a network trained at 128 px reached a mask IoU of 0.76 with
    `max_side` 128 and 0.93 with 512, and a depth error of 0.025 and 0.036, on drawn rooms of 512 px.
    A picture whose longer side is below `min_side` is enlarged to it, and the result shrunk again: at 128
    instead of 32 px a network trained at 112 and 160 px reached an IoU of 0.82 instead of 0.70 (photographs).
    Deterministic; the network's training mode is not changed.
    """

    def __init__(
        self,
        model: nn.Module,
        device: str | None = None,
        max_side: int = MAX_SIDE_PX,
        min_side: int = MIN_SIDE_PX,
    ):
        if max_side < MIN_SIZE:
            raise ValueError(f"max_side is {max_side}, but a network needs at least {MIN_SIZE} pixels")
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device)
        self.min_side, self.max_side = min(min_side, max_side), max_side

    @classmethod
    def load(cls, path: str | Path, device: str | None = None, max_side: int = MAX_SIDE_PX) -> "Predictor":
        """Predictor with packaged weights, such as "mdnet", or those of a folder; see `load_model`."""
        return cls(load_model(path), device, max_side)

    def __call__(self, bg: Source, fg_bg: Source) -> Prediction:
        """Mask and depth of the scene `fg_bg`, whose empty background is `bg`.

        Raises ValueError for two pictures of different size, pictures with a side under 16 pixels, and
        anything that is no picture; FileNotFoundError for a path without file.
        """
        pair, size = self._inputs(bg, fg_bg)
        with evaluation_mode(self.model), torch.inference_mode():
            mask_logits, depth = self.model(*pair)
        mask = _to_array(mask_logits.sigmoid(), size)
        return Prediction(mask, None if depth is None else _to_array(depth, size))

    def grad_cam(
        self, bg: Source, fg_bg: Source, layers: Mapping[str, str] | None = None
    ) -> dict[str, np.ndarray]:
        """Where the network looks for "mask" and "depth": (H,W) float32, 0 to 1; see network.grad_cam.

        layers: output -> name of a layer, by default the network's own choice.
        """
        pair, size = self._inputs(bg, fg_bg)
        return {name: _to_array(cam, size) for name, cam in grad_cam(self.model, *pair, layers).items()}

    def _inputs(self, bg: Source, fg_bg: Source) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[int, int]]:
        """Both pictures as the network gets them, (1,3,h,w) each, and the size (H, W) that they had."""
        bg_img, fg_bg_img = read_picture(bg, "bg"), read_picture(fg_bg, "fg_bg")
        _check_sizes(bg_img, fg_bg_img)
        size = bg_img.shape[:2]
        inner = _inner_size(size, self.min_side, self.max_side)
        return (self._tensor(bg_img, inner), self._tensor(fg_bg_img, inner)), size

    def _tensor(self, img: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
        """A picture as (1,3,h,w) of `size` on the device; one after the other, for photographs are large."""
        x = _to_tensor(img)[None].to(self.device)
        if size == img.shape[:2]:
            return x
        return interpolate(x, size, mode="bilinear", antialias=True).clamp(0, 1)


def _check_sizes(bg_img: np.ndarray, fg_bg_img: np.ndarray) -> None:
    (bg_h, bg_w), (h, w) = bg_img.shape[:2], fg_bg_img.shape[:2]
    if (bg_h, bg_w) != (h, w):
        raise ValueError(
            f"the two pictures differ in size: bg is {bg_w} x {bg_h} pixels, fg_bg {w} x {h}. Both must "
            f"show the same place from the same spot: take them with the same camera, or crop them alike"
        )
    if min(h, w) < MIN_SIZE:
        raise ValueError(
            f"the pictures are {w} x {h} pixels, but each side needs at least {MIN_SIZE}: use larger pictures"
        )


def _inner_size(size: tuple[int, int], min_side: int, max_side: int) -> tuple[int, int]:
    """The size at which the network runs: same aspect, longer side from `min_side` to `max_side`."""
    scale = min(max(max(size), min_side), max_side) / max(size)
    h, w = (max(MIN_SIZE, round(side * scale)) for side in size)
    return h, w


def _to_tensor(img: np.ndarray) -> torch.Tensor:
    return (
        torch.from_numpy(np.array(img)).permute(2, 0, 1).float().contiguous() / 255
    )  # copies: PIL arrays are read-only


def _to_array(result: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """(1,1,h,w) in [0,1] to (H,W) float32."""
    if result.shape[-2:] != size:
        result = interpolate(result, size, mode="bilinear", antialias=True)
    return result[0, 0].float().clamp(0, 1).cpu().numpy()
