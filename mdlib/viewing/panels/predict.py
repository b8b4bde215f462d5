"""The panels *Predict* and *Stress*: what is found in two pictures, also when they are disturbed."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from mdlib.evaluation.disturb import ADJUSTABLE, disturb_by
from mdlib.loading.codec import encode_png, to_imgs
from mdlib.viewing.effects import cut_out
from mdlib.viewing.panels.pair_panel import PairPanel
from mdlib.viewing.panels.panel import DONE, button, heading, row, slider
from mdlib.viewing.panels.pictures import PanelPicture, file_link
from mdlib.viewing.scenes import mask_iou, png_files

if TYPE_CHECKING:
    from ipywidgets import Widget

LABELS = {
    "camouflage": "Camouflage",
    "shadow": "Cast shadow",
    "vignette": "Dark corners",
    "homography": "Tilted camera",
    "shift": "Shifted camera",
    "rotate": "Turned camera",
    "blur": "Out of focus",
    "exposure": "Other exposure",
    "jitter": "Other colours",
    "noise": "Noise",
    "jpeg": "JPEG artefacts",
}


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
        files = png_files(mask, depth) | {"cutout.png": encode_png(cutout)}
        links = (file_link(name, "image/png", data) for name, data in files.items())
        shown = [*self.pictures(*pair[:2], self.prediction), PanelPicture("cutout", "Cut-out", cutout)]
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


class StressPanel(PairPanel):
    """`StressPanel(predictor, samples=None)`: how much can the pictures differ until the object is lost?

    `sliders[name]`, 0 to 100, for each name in evaluation.disturb.ADJUSTABLE; see PredictPanel for samples.
    """

    longest_px = 512  # what the network looks at, so that sliders stay quick
    title = "How much disturbance does it bear?"
    about = (
        "Each slider goes from nothing to the strongest that the evaluation draws; they add up. The IoU says "
        "how well the mask agrees with the true one: 1 is perfect, 0 is nothing in common."
    )

    def controls(self) -> list["Widget"]:
        """A slider per disturbance, and a button that sets all to nothing."""
        self.sliders = {name: slider(LABELS[name], 0, 0, 100, f"stress-{name}") for name in ADJUSTABLE}
        for one in self.sliders.values():
            one.observe(self.redraw, "value")
        self.reset = button("All to nothing", "Set every slider to 0", "stress-reset", self._reset)
        return [heading("Disturbances"), row(*self.sliders.values()), self.reset]

    def draw(self) -> list[tuple[str, str]]:
        """Show both pictures as disturbed, and what the network makes of them."""
        bg_img, fg_bg_img = self._disturbed()
        prediction = self.predictor(bg_img, fg_bg_img)
        self.show(self.pictures(bg_img, fg_bg_img, prediction, how=", disturbed"))
        if self.pair.mask is not None:
            return [(DONE, f"IoU {mask_iou(prediction.mask, self.pair.mask):.2f} with the true mask.")]
        iou = mask_iou(prediction.mask, self.prediction.mask)
        return [
            (DONE, f"The true mask is not known; IoU {iou:.2f} with the mask of the undisturbed pictures.")
        ]

    def settings(self) -> str:
        chosen = [f"{LABELS[name]} {one.value} %" for name, one in self.sliders.items() if one.value]
        return f"{super().settings()} {', '.join(chosen) or 'Nothing disturbed'}."

    def _disturbed(self) -> tuple[np.ndarray, np.ndarray]:
        pair = self.pair
        strengths = {name: one.value / 100 for name, one in self.sliders.items() if one.value}
        if not strengths:
            return pair.bg_img, pair.fg_bg_img
        mask = self.prediction.mask if pair.mask is None else pair.mask
        bg, fg_bg = (torch.from_numpy(np.array(img)).permute(2, 0, 1)[None] / 255 for img in pair[:2])
        made = disturb_by(strengths, bg, fg_bg, torch.from_numpy(np.array(mask, np.float32))[None, None])
        return tuple(to_imgs(x)[0] for x in made)

    def _reset(self) -> None:
        for one in self.sliders.values():
            one.unobserve(self.redraw, "value")  # one picture at the end, not eleven
            one.value = 0
            one.observe(self.redraw, "value")
        self.redraw()
