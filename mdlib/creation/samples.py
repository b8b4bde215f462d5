"""Samples as tensors, exactly as they get encoded: the one path of stored and of live data."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mdlib.creation.compose import compose
from mdlib.creation.placing import Placements
from mdlib.creation.sources import Background
from mdlib.creation.sprites import Sprite
from mdlib.loading import codec


class Scene(NamedTuple):
    """Backgrounds as tensors, ready for compose.

    bg (B,3,H,W) uint8; z (B,1,H,W) float32 metres, nan unknown; floor (B,1,H,W) bool; depth (B,1,H,W), z as
    it gets stored. The last three are None for photographs.
    """

    bg: torch.Tensor
    z: torch.Tensor | None
    floor: torch.Tensor | None
    depth: torch.Tensor | None

    def expand(self, count: int) -> "Scene":
        """The same single background `count` times, in the same memory."""
        return Scene(*(part if part is None else part.expand(count, -1, -1, -1) for part in self))

    def pick(self, numbers: torch.Tensor) -> "Scene":
        """The backgrounds `numbers` (int64, on any device)."""
        return Scene(*(part if part is None else part[numbers.to(part.device)] for part in self))

    def to(self, device: torch.device) -> "Scene":
        """The same backgrounds on `device`."""
        return Scene(*(part if part is None else part.to(device) for part in self))


def scene_of(backgrounds: Sequence[Background], recipe: dict) -> Scene:
    """The backgrounds as tensors. ValueError where one has unknown depth that the encoding cannot store."""
    if recipe["encoding"] == "fast":
        for background in backgrounds:
            if background.z is not None and torch.tensor(background.z).isnan().any():
                raise ValueError(
                    f"background {background.name} has pixels of unknown depth, which encoding 'fast' cannot "
                    f"store: use --encoding exact"
                )
    bg = torch.stack([torch.tensor(background.rgb) for background in backgrounds]).permute(0, 3, 1, 2)
    z, floor = (_stacked([getattr(b, name) for b in backgrounds]) for name in ("z", "floor"))
    return Scene(bg, z, floor, None if z is None else _stored_depth(z, recipe["encoding"]))


def composed(
    recipe: dict, sprites: Sequence[Sprite], scene: Scene, placements: Placements
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The samples that `placements` describe, the b-th smallest sample number on background b of `scene`.

    Returns fg_bg (B,3,H,W) uint8, mask (B,1,H,W) uint8 and, where the scene has depth, depth (B,1,H,W),
    uint16 millimetres or uint8 closeness, all on the device of `scene` and `sprites`; and, apart from these,
    the `box` (B,4) of `compose`, outside which all of them are those of the background.
    """
    made = compose(scene.bg, sprites, placements, scene.z, scene.floor, recipe["feather_px"])
    stored = {name: made[name] for name in ("fg_bg", "mask")}
    if scene.z is None:
        return stored, made["box"]
    depth = scene.depth.clone(memory_format=torch.contiguous_format)
    for b, (top, bottom, left, right) in enumerate(made["box"].tolist()):
        depth[b, :, top:bottom, left:right] = _stored_depth(
            made["z"][b, :, top:bottom, left:right], recipe["encoding"]
        )
    return stored | {"depth": depth}, made["box"]


def _stored_depth(z: torch.Tensor, encoding: str) -> torch.Tensor:
    """z as it gets encoded: uint16 millimetres, or uint8 closeness."""
    if encoding == "exact":
        return codec.z_to_mm(z)
    return (codec.z_to_closeness(z) * 255.0).round().to(torch.uint8)


def _stacked(maps: list) -> torch.Tensor | None:
    """Maps (H,W) as (B,1,H,W); None where there is none at all."""
    if any(one is None for one in maps):
        return None
    return torch.stack([torch.tensor(one) for one in maps])[:, None]
