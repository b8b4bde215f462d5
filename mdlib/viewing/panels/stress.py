"""The panel *Stress*: a slider for every disturbance, and the prediction while they move."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from mdlib.evaluation.disturb import ADJUSTABLE, disturb_by
from mdlib.loading.codec import to_imgs
from mdlib.viewing.figures import depth_colours, overlay
from mdlib.viewing.panels.pair_panel import Pair, PairPanel
from mdlib.viewing.panels.panel import DONE, heading, row, slider
from mdlib.viewing.panels.pictures import Shown
from mdlib.viewing.scenes import mask_iou

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
        import ipywidgets as widgets

        self.sliders = {name: slider(LABELS[name], 0, 0, 100, f"stress-{name}") for name in ADJUSTABLE}
        for one in self.sliders.values():
            one.observe(self.redraw, "value")
        self.reset = widgets.Button(description="All to nothing", tooltip="Set every slider to 0")
        self.reset.add_class("stress-reset")
        self.reset.on_click(self._reset)
        return [heading("Disturbances"), row(*self.sliders.values()), self.reset]

    def draw(self) -> list[tuple[str, str]]:
        """Show both pictures as disturbed, and what the network makes of them."""
        bg_img, fg_bg_img = self._disturbed()
        mask, depth = self.predictor(bg_img, fg_bg_img)
        shown = [
            Shown("bg", "Empty place, disturbed", bg_img),
            Shown("fg-bg", "Scene, disturbed", fg_bg_img),
            Shown("overlay", "Found, outlined", overlay(fg_bg_img, mask)),
            Shown("mask", "Mask: white was added", mask),
        ]
        if depth is not None:
            shown.append(Shown("depth", "Depth", depth_colours(depth), depth=True))
        self.show(shown)
        if self.pair.mask is not None:
            return [(DONE, f"IoU {mask_iou(mask, self.pair.mask):.2f} with the true mask.")]
        iou = mask_iou(mask, self.prediction.mask)
        return [
            (DONE, f"The true mask is not known; IoU {iou:.2f} with the mask of the undisturbed pictures.")
        ]

    def settings(self) -> str:
        chosen = [f"{LABELS[name]} {one.value} %" for name, one in self.sliders.items() if one.value]
        return f"{super().settings()} {', '.join(chosen) or 'Nothing disturbed'}."

    def _disturbed(self) -> tuple[np.ndarray, np.ndarray]:
        pair: Pair = self.pair
        strengths = {name: one.value / 100 for name, one in self.sliders.items() if one.value}
        if not strengths:
            return pair.bg_img, pair.fg_bg_img
        mask = self.prediction.mask if pair.mask is None else pair.mask
        bg, fg_bg = (torch.from_numpy(np.array(img)).permute(2, 0, 1)[None] / 255 for img in pair[:2])
        made = disturb_by(strengths, bg, fg_bg, torch.from_numpy(np.array(mask, np.float32))[None, None])
        return tuple(to_imgs(x)[0] for x in made)

    def _reset(self, button: object) -> None:
        for one in self.sliders.values():
            one.unobserve(self.redraw, "value")  # one picture at the end, not eleven
            one.value = 0
            one.observe(self.redraw, "value")
        self.redraw()
