"""The panel *Effects*: what can be made of mask and depth."""

from typing import TYPE_CHECKING

import numpy as np

from mdlib.loading.codec import encode_png
from mdlib.viewing import effects
from mdlib.viewing.panels.pair_panel import PairPanel
from mdlib.viewing.panels.panel import DONE, NOTE, heading, row, slider
from mdlib.viewing.panels.picture_input import PictureSlot
from mdlib.viewing.panels.pictures import PanelPicture, file_link
from mdlib.viewing.uploads import read_upload

if TYPE_CHECKING:
    from ipywidgets import Widget

NEW, BLUR, POP, PARALLAX, CLOUD = EFFECTS = (
    "new background",
    "portrait blur",
    "colour pop",
    "parallax",
    "3D point cloud",
)
NEEDS_DEPTH = (BLUR, PARALLAX, CLOUD)


class EffectsPanel(PairPanel):
    """`EffectsPanel(predictor, samples=None)`: choose `effect`, one of EFFECTS, and move its slider.

    `strength` (0 to 100) is that of blur, colour and parallax, `turn` (-60 to 60 degrees) that of the points;
    a new background is uploaded, or that of another sample. See PredictPanel for samples.
    """

    title = "What mask and depth are good for"
    longest_px = 512  # an animation of a photograph would take a minute
    about = "Everything here is made of the two pictures, the mask and the depth that the network found."

    def controls(self) -> list["Widget"]:
        """Which effect, how strong, and the new background."""
        import ipywidgets as widgets

        self.new_background: np.ndarray | None = None
        self.effect = widgets.Dropdown(options=EFFECTS, value=BLUR, layout={"width": "220px"})
        self.effect.add_class("effect")
        self.strength = slider("Strength", 80, 0, 100, "effect-strength")
        self.turn = slider("Seen from", 25, -60, 60, "effect-turn", "°")
        self.slot = PictureSlot("New background", "new-bg", self._take_background, self.attempt)
        self.effect.observe(self._chosen, "value")
        self.strength.observe(self.redraw, "value")
        self.turn.observe(self.redraw, "value")
        self._lay_out()
        return [heading("Effect"), row(self.effect, self.strength, self.turn), self.slot.widget]

    def draw(self) -> list[tuple[str, str]]:
        """Show the scene and the chosen effect on it, with a link to save it."""
        if self.effect.value in NEEDS_DEPTH and self.prediction.depth is None:
            raise ValueError(
                f"{self.effect.value} needs depth, but this network finds none: choose another effect"
            )
        picture, link, words = self._made()
        self.show([PanelPicture("fg-bg", "Scene", self.pair.fg_bg_img), picture], link and f"To save: {link}")
        return [(DONE, words)]

    def settings(self) -> str:
        return f"{super().settings()} Effect: {self.effect.value}."

    def _made(self) -> tuple[PanelPicture, str, str]:
        """The effect as a picture, a link to its file, and what it is in words."""
        (bg, fg_bg), (mask, depth), kind = self.pair[:2], self.prediction, self.effect.value
        strength = self.strength.value / 100
        if kind == PARALLAX:
            frames = effects.parallax(bg, fg_bg, mask, depth, strength)
            gif = effects.write_gif(frames)
            shown = PanelPicture("effect", "Parallax: the camera moves", frames[0], encoded=("gif", gif))
            return shown, file_link("parallax.gif", "image/gif", gif), f"{len(frames)} pictures, moving."
        if kind == CLOUD:
            cloud = effects.point_cloud(fg_bg, depth)
            seen = effects.view_points(cloud, mask.shape, self.turn.value, 8)
            link = file_link("points.ply", "application/octet-stream", effects.ply_bytes(cloud))
            words = f"{len(cloud.xyz):,} points in space; what the camera did not see stays empty."
            return PanelPicture("effect", f"Seen from {self.turn.value}° aside", seen), link, words
        if kind == NEW:
            img = effects.replace_background(bg, fg_bg, mask, self._new_background())
            words = "The object stands in front of another place."
        elif kind == POP:
            img, words = effects.colour_pop(fg_bg, mask, strength), "Only the object keeps its colours."
        else:
            img = effects.portrait_blur(bg, fg_bg, mask, depth, strength)
            words = "In focus at the distance of the object; the rest is blurred as its depth demands."
        name = kind.replace(" ", "_") + ".png"
        return (
            PanelPicture("effect", kind.capitalize(), img),
            file_link(name, "image/png", encode_png(img)),
            words,
        )

    def _new_background(self) -> np.ndarray:
        """The one that was brought, or the empty place of the next sample; of a single one, mirrored."""
        if self.new_background is not None:
            return self.new_background
        count = len(self.samples)
        other = self.arrays((self.sample.value + 1) % count)
        return other["bg_img"] if count > 1 else np.ascontiguousarray(other["bg_img"][:, ::-1])

    def _take_background(self, data: bytes, name: str) -> list[tuple[str, str]]:
        upload = read_upload(data, name)
        self.new_background = upload.img
        return [*((NOTE, note) for note in upload.notes), *self.pair.messages, *self.draw()]

    def _chosen(self, change: dict) -> None:
        self._lay_out()
        self.redraw()

    def _lay_out(self) -> None:
        """Show the controls that the effect has, and no others."""
        kind = self.effect.value
        shown = {self.strength: kind in (BLUR, POP, PARALLAX), self.turn: kind == CLOUD}
        for widget, wanted in {**shown, self.slot.widget: kind == NEW}.items():
            widget.layout.display = None if wanted else "none"
