"""The panel *Data*: a cut-out moved over a room by hand, with its mask and depth."""

from collections.abc import Sequence

import numpy as np

from mdlib.colours import depth_colours, depth_range
from mdlib.creation.items import Background, Cutout
from mdlib.creation.place_by_hand import Placed, Placer
from mdlib.creation.sources.pictures import prop_cutouts, room_backgrounds
from mdlib.viewing.panels.panel import DONE, NOTE, Panel, heading, row, slider
from mdlib.viewing.panels.picture_input import PictureSlot
from mdlib.viewing.panels.pictures import PanelPicture
from mdlib.viewing.uploads import read_cutout, read_upload

SIZE = (224, 224)
CUTOUT_PX = 512


class DataPanel(Panel):
    """`DataPanel(backgrounds=None, cutouts=None)`: how a sample comes about.

    Lists of creation.items.Background and Cutout; None: two drawn rooms and three drawn things, which takes
    a few seconds. Controls: `background`, `cutout` (numbers), `x`, `foot`, `scale` (in
    per cent), `true_size`, `flip`, `shadow`.
    """

    title = "How a training sample is made"
    about = (
        "Move, scale and mirror a cut-out over an empty place. The picture, its mask and its depth are made "
        "together, so all three fit exactly."
    )

    def __init__(
        self, backgrounds: Sequence[Background] | None = None, cutouts: Sequence[Cutout] | None = None
    ):
        import ipywidgets as widgets

        self.backgrounds = list(room_backgrounds(2, SIZE, seed=0) if backgrounds is None else backgrounds)
        self.cutouts = list(prop_cutouts(3, seed=0) if cutouts is None else cutouts)
        if not self.backgrounds or not self.cutouts:
            raise ValueError("the panel needs at least one background and one cut-out")
        self.placers: dict[tuple[int, int], Placer] = {}
        self.background, self.cutout = (
            widgets.Dropdown(options=_numbered(things), value=0, description=label, layout={"width": "300px"})
            for label, things in (("Place", self.backgrounds), ("Cut-out", self.cutouts))
        )
        self.background.add_class("data-background")
        self.cutout.add_class("data-cutout")
        self.x = slider("Left to right", 55, 0, 100, "data-x")
        self.foot = slider("Far to near", 85, 30, 110, "data-foot")
        self.scale = slider("Height", 50, 5, 120, "data-scale")
        self.true_size, self.flip, self.shadow = (
            widgets.Checkbox(value=value, description=label, indent=False, layout={"width": "170px"})
            for label, value in (("True size", True), ("Mirrored", False), ("Cast a shadow", True))
        )
        for name in ("true_size", "flip", "shadow"):
            getattr(self, name).add_class(f"data-{name}")
        self.controls = (
            *(self.background, self.cutout, self.x, self.foot, self.scale),
            *(self.true_size, self.flip, self.shadow),
        )
        for control in self.controls:
            control.observe(self.redraw, "value")
        self.scale.observe(self._sized, "value")
        slots = [
            PictureSlot("Empty place", "data-bg", self._take_background, self.attempt),
            PictureSlot("Cut-out (PNG with transparency)", "data-fg", self._take_cutout, self.attempt),
        ]
        self.build(
            [
                row(self.background, self.cutout),
                row(self.x, self.foot, self.scale),
                row(self.true_size, self.flip, self.shadow),
                heading("Or pictures of yours:"),
                row(*(slot.widget for slot in slots)),
            ]
        )
        self.redraw()

    def redraw(self, *change: object) -> None:
        """Compose and show what the controls say."""
        self.attempt(self._draw, "composing ...")

    def _sized(self, change: dict) -> None:
        """Who moves the height does not want the true one."""
        self.true_size.value = False

    def settings(self) -> str:
        names = self.background.label, self.cutout.label
        return f"{names[1]} in {names[0]}, foot at {self.x.value} % and {self.foot.value} %."

    def _draw(self) -> list[tuple[str, str]]:
        key = self.background.value, self.cutout.value
        if key not in self.placers:
            self.placers[key] = Placer(self.backgrounds[key[0]], self.cutouts[key[1]])
        placer = self.placers[key]
        scale = None if self.true_size.value else self.scale.value / 100
        placed = placer.place(
            self.x.value / 100, self.foot.value / 100, scale, self.flip.value, self.shadow.value
        )
        shown = [
            PanelPicture("bg", "Empty place", placer.background.rgb),
            PanelPicture("fg-bg", "Composed scene", placed.fg_bg_img),
            PanelPicture("mask", "Mask: white is the object", placed.mask),
        ]
        if placed.depth is not None:
            limits = depth_range(placed.depth)
            shown.append(
                PanelPicture("depth", "Depth of the scene", depth_colours(placed.depth, limits), depth=True)
            )
        self.show(shown)
        return [(DONE, _told(placer, placed)), *self._notes(placer, placed)]

    def _notes(self, placer: Placer, placed: Placed) -> list[tuple[str, str]]:
        notes = []
        if self.true_size.value and placer.true_scale(placed.z_m) is None:
            notes.append("The true size or distance is not known: half of the picture's height was taken.")
        if placed.mask.max() < 0.5:
            notes.append("The object is not seen: it stands behind something or outside. Move it nearer.")
        return [(NOTE, note) for note in notes]

    def _take_background(self, data: bytes, name: str) -> list[tuple[str, str]]:
        upload = read_upload(data, name, max(SIZE) * 2)
        self.backgrounds.append(Background(name, upload.img))
        self._choose(self.background, self.backgrounds)
        return [*((NOTE, note) for note in upload.notes), *self.messages]

    def _take_cutout(self, data: bytes, name: str) -> list[tuple[str, str]]:
        rgba, notes = read_cutout(data, name, CUTOUT_PX)
        self.cutouts.append(Cutout(name, rgba))
        self._choose(self.cutout, self.cutouts)
        return [*((NOTE, note) for note in notes), *self.messages]

    def _choose(self, dropdown, things: list) -> None:
        """Choose what was added last, which draws it."""
        dropdown.unobserve(self.redraw, "value")
        dropdown.options = _numbered(things)
        dropdown.value = len(things) - 1
        dropdown.observe(self.redraw, "value")
        self.tell(self._draw())


def _numbered(things: Sequence[Background | Cutout]) -> list[tuple[str, int]]:
    return [(f"{number}: {thing.name}", number) for number, thing in enumerate(things)]


def _told(placer: Placer, placed: Placed) -> str:
    words = (
        f"The object is {placed.height_px} px high and covers {(placed.mask > 0.5).mean():.1%} of the picture"
    )
    if not np.isfinite(placed.z_m):
        return words + "; its distance is not known, since the place has no depth."
    unit = " m" if placer.is_metric else " (no unit: this depth was guessed)"
    return words + f"; it stands at z = {placed.z_m:.2f}{unit}."
