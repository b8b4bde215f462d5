"""Cut-outs made ready for composing: in linear light, with clean edges, at several sizes.

The colour is multiplied by alpha (Porter and Duff 1984), so that what is transparent never bleeds into an
edge. Soft edge pixels of a cut-out still hold some of the scene it was cut from; their colour is replaced by
that of the solid object beside them.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from mdlib.creation.composing.srgb import ALPHA, to_linear

_SOLID, _CLEAR = 0.998, 0.05  # alpha of pixels that show the object alone (255 of 255), or hardly anything
_CONTAMINATED = 0.7  # share of the unexplained that an old background must leave at most, to be believed
_PER_OCTAVE = 2  # sizes of a sprite from one to the next half as large
_SMALLEST_PX = 8  # longest side of the last one


class Sprite(NamedTuple):
    """A cut-out made ready by `make_sprite`.

    sizes: the same layers ever smaller. Each is (4,h,w) float32: linear light (in levels, see `srgb`) times
    alpha / ALPHA, and alpha from 0 to ALPHA; (5,h,w) with relief in metres last. height, width: of it.
    """

    sizes: tuple[torch.Tensor, ...]
    height: int
    width: int

    def to(self, device: torch.device | str) -> "Sprite":
        """The same sprite on `device`."""
        return self._replace(sizes=tuple(layers.to(device) for layers in self.sizes))

    def resized(self, height: int, flip: bool) -> torch.Tensor:
        """Its layers with `height` rows, (4 or 5,h,w); flipped afterwards, so mirror images are exact.

        From a size at most 1.5 times as large, two pixels in each direction are enough: a third of the time
        that averaging over the whole cut-out takes.
        """
        width, layers = max(1, round(self.width * height / self.height)), self.sizes[0]
        for smaller in self.sizes[1:]:
            _, rows, columns = smaller.shape
            if rows < height or columns < width:
                break
            layers = smaller
        if layers.shape[1:] != (height, width):
            layers = F.interpolate(layers[None], (height, width), mode="bilinear")[0]
        return layers.flip(-1) if flip else layers


def make_sprite(
    rgba: np.ndarray | torch.Tensor, relief: np.ndarray | None = None, tallest_px: int | None = None
) -> Sprite:
    """Prepare a cut-out: rgba (h,w,4) uint8 array or (4,h,w) uint8 tensor, alpha not premultiplied.

    relief (h,w): metres that each pixel lies behind the contact point, nan outside; None = flat. Sizes that
    are not needed for a height of up to `tallest_px` pixels are left out.
    """
    if isinstance(rgba, np.ndarray):
        rgba = torch.from_numpy(np.array(rgba)).permute(2, 0, 1)
    if rgba.dtype != torch.uint8 or rgba.ndim != 3 or rgba.shape[0] != 4:
        raise ValueError(f"a cut-out is (4,h,w) uint8, RGBA, but this is {tuple(rgba.shape)} of {rgba.dtype}")
    alpha = rgba[3:].float() / ALPHA  # (1, h, w)
    colour = _clean_edges(to_linear(rgba[:3]), alpha)
    layers = [colour * alpha, alpha * ALPHA]
    if relief is not None:
        metres = torch.from_numpy(np.array(relief, np.float32))[None].to(rgba.device)
        known = (~metres.isnan()).float()
        layers.append(_spread(metres.nan_to_num(), known, radii=(1, 2, 4, 8, 16))[0])
    return Sprite(tuple(_sizes(torch.cat(layers), tallest_px)), *alpha.shape[1:])


def _sizes(layers: torch.Tensor, tallest_px: int | None) -> list[torch.Tensor]:
    """The layers, and ever smaller averages of them."""
    height, width = layers.shape[1:]
    count = 1 + max(0, int(_PER_OCTAVE * np.log2(max(height, width) / _SMALLEST_PX)))
    scales = [2.0 ** (-k / _PER_OCTAVE) for k in range(count)]
    shapes = [(max(1, round(height * scale)), max(1, round(width * scale))) for scale in scales]
    if tallest_px is not None:
        enough = [k for k, (h, w) in enumerate(shapes) if h > tallest_px and w > tallest_px * width / height]
        shapes = shapes[max(enough, default=0) :]
    return [layers if shape == (height, width) else _shrunk(layers, shape) for shape in shapes]


def _shrunk(layers: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Light and alpha averaged over the new pixels; relief as it is at their centres."""
    averaged = F.interpolate(layers[None, :4], shape, mode="bilinear", antialias=True)[0]
    if len(layers) == 4:
        return averaged
    return torch.cat([averaged, F.interpolate(layers[None, 4:], shape, mode="bilinear")[0]])


def _clean_edges(colour: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Replace the colour of soft edge pixels by that of the solid object near them, where they need it.

    Only pixels between the object and the outside are edges: glass, hair or leaves far from solid parts or
    in their midst keep their own colour. So does a cut-out whose edges show no trace of an old background.
    colour (3,h,w) linear, alpha (1,h,w).
    """
    reach = min(8, max(4, round(max(alpha.shape[1:]) / 75)))
    solid = (alpha >= _SOLID).float()
    near, known = _spread(colour, solid, radii=tuple(range(1, reach + 1)))
    outside = F.pad((alpha < _CLEAR).float(), [reach] * 4, value=1.0)
    outside = F.max_pool2d(outside[None], 2 * reach + 1, stride=1)[0] > 0
    edge = (outside & known & (solid == 0))[0]
    if not _shows_old_background(colour[:, edge], near[:, edge], alpha[:, edge]):
        return colour
    return torch.where(edge, near, colour)


def _shows_old_background(colour: torch.Tensor, near: torch.Tensor, alpha: torch.Tensor) -> bool:
    """Whether edge colours are a mixture of the object (`near`) and one background (Smith, Blinn 1996).

    colour = alpha * near + (1 - alpha) * background, with the background that fits best, against
    colour = near; differences count as much as they would be seen. All (3,n) or (1,n).
    """
    through = 1.0 - alpha
    mixed = colour - alpha * near
    background = (alpha * through * mixed).sum(1) / (alpha * through.square()).sum().clamp_min(1e-12)
    left_if_mixed = (alpha * (mixed - through * background[:, None]).square()).sum()
    left_if_clean = (alpha * (colour - near).square()).sum()
    return bool(left_if_mixed < _CONTAMINATED * left_if_clean)


def _spread(
    values: torch.Tensor, known: torch.Tensor, radii: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Carry known values outward: (values with the unknown filled, where a value is known now)."""
    weighted = torch.cat([values * known, known])[None]  # (1, C + 1, h, w)
    filled, reached = values, known > 0
    for radius in radii:
        side = 2 * radius + 1  # rows first, then columns: the mean over the square
        mean = F.avg_pool2d(weighted, (side, 1), stride=1, padding=(radius, 0))
        mean = F.avg_pool2d(mean, (1, side), stride=1, padding=(0, radius))[0]
        found = (mean[-1:] > 1e-6) & ~reached
        filled = torch.where(found, mean[:-1] / mean[-1:], filled)
        reached = reached | found
    return filled, reached
