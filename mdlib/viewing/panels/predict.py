"""The panel *Predict*: two pictures in, mask, depth and cut-out to be seen and saved."""

import numpy as np

from mdlib.viewing.effects import cut_out
from mdlib.viewing.figures import depth_colours, overlay
from mdlib.viewing.panels.pair_panel import PairPanel
from mdlib.viewing.panels.panel import DONE
from mdlib.viewing.panels.pictures import Shown, file_link, png_bytes
from mdlib.viewing.scenes import mask_iou, png_files


class PredictPanel(PairPanel):
    """`PredictPanel(predictor, samples=None)`: choose a sample or bring two pictures, see what was added.

    samples: a SceneDataset or a list of dicts as `viewing.scenes.scene` gives; None is the packaged one.
    """

    title = "What was added, and how near is it?"
    about = "The network compares an empty place with the same place with something in it."

    def draw(self) -> list[tuple[str, str]]:
        """Show both pictures and what was found."""
        pair, (mask, depth) = self.pair, self.prediction
        cutout = cut_out(pair.bg_img, pair.fg_bg_img, mask)
        shown = [
            Shown("bg", "Empty place", pair.bg_img),
            Shown("fg-bg", "Scene", pair.fg_bg_img),
            Shown("overlay", "Found, outlined", overlay(pair.fg_bg_img, mask)),
            Shown("mask", "Mask: white was added", mask),
            Shown("cutout", "Cut-out", cutout),
        ]
        if depth is not None:
            shown.insert(4, Shown("depth", "Depth", depth_colours(depth), depth=True))
        files = png_files(mask, depth) | {"cutout.png": png_bytes(cutout)}
        links = (file_link(name, "image/png", data) for name, data in files.items())
        self.show(shown, "To save: " + "".join(links))
        return [(DONE, self._summary(mask, depth))]

    def _summary(self, mask: np.ndarray, depth: np.ndarray | None) -> str:
        inside = mask > 0.5
        if not inside.any():
            return "Nothing new was found."
        words = f"{inside.mean():.1%} of the picture is new"
        if depth is not None:
            words += f"; its closeness is {depth[inside].mean():.2f} (1 = nearest, 0 = infinitely far)"
        if self.pair.mask is not None:
            words += f". The true mask is known: IoU {mask_iou(mask, self.pair.mask):.2f}"
        return words + "."
