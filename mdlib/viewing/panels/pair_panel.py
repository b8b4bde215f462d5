"""What the panels that look at two pictures of a place share: samples, own pictures, what a network sees."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mdlib.colours import depth_colours
from mdlib.loading.dataset import SceneDataset
from mdlib.viewing.figures import overlay
from mdlib.viewing.pair_check import check_pair
from mdlib.viewing.panels.panel import NOTE, WARNING, Panel, button, heading, row
from mdlib.viewing.panels.picture_input import PictureSlot
from mdlib.viewing.panels.pictures import PanelPicture
from mdlib.viewing.predict import Prediction, Predictor
from mdlib.viewing.scenes import packaged_scene, scene
from mdlib.viewing.uploads import LONGEST_PX, Upload, fit_pair, read_upload

if TYPE_CHECKING:
    from ipywidgets import Widget


class Pair(NamedTuple):
    """The two pictures at hand, (H,W,3) uint8, what is known of them, and what they are called."""

    bg_img: np.ndarray
    fg_bg_img: np.ndarray
    mask: np.ndarray | None
    depth: np.ndarray | None
    name: str
    messages: Sequence[tuple[str, str]] = ()  # about the files, as long as these pictures are looked at


class PairPanel(Panel):
    """A panel about a pair of pictures and what `predictor` sees in them.

    The pictures are those of `sample`, a number of one of the `samples`, or come through two `slots` for
    pictures of one's own, which are made no larger than `longest_px`. Subclasses draw `pair` and `prediction`
    in `draw`, which returns messages, and give their own controls.
    """

    longest_px = LONGEST_PX

    def __init__(self, predictor: Predictor, samples: SceneDataset | Sequence[dict] | None = None):
        import ipywidgets as widgets

        self.predictor = predictor
        self.samples = [packaged_scene()] if samples is None else samples
        if len(self.samples) == 0:
            raise ValueError(
                "there are no samples to choose from: give at least one, or None for the packaged one"
            )
        self.pair: Pair | None = None
        self.prediction: Prediction | None = None
        self.own: dict[str, Upload] = {}
        last = len(self.samples) - 1
        self.sample = widgets.BoundedIntText(
            value=0,
            min=0,
            max=last,
            description=f"Sample 0 to {last}",
            style={"description_width": "initial"},
            layout=widgets.Layout(width="240px"),
        )
        self.sample.add_class("sample")
        if last == 0:
            self.sample.layout.display = "none"  # nothing to choose
        self.sample.observe(lambda change: self.take_sample(), "value")
        back, other = "Back from own pictures to the sample", "The empty place is the other one"
        self.again = button("Show the sample", back, "show-sample", self.take_sample)
        self.swap = button("Swap the two", other, "swap", lambda: self.attempt(self._swap, "swapping ..."))
        self.slots = [
            PictureSlot("Empty place", "bg", self._taker("bg"), self.attempt),
            PictureSlot("Scene with the object", "fg-bg", self._taker("fg_bg"), self.attempt),
        ]
        self.build(
            [
                row(self.sample, self.again),
                heading("Or two pictures of yours, from the same spot, without and with the object:"),
                row(*(slot.widget for slot in self.slots), self.swap),
                *self.controls(),
            ]
        )
        self.take_sample()

    def take_sample(self) -> None:
        """Use the sample that is chosen."""
        self.attempt(self._use_sample, "looking at the sample ...")

    def arrays(self, number: int) -> dict[str, np.ndarray | None]:
        """Sample `number` as `viewing.scenes.scene` gives it."""
        from_set = isinstance(self.samples, SceneDataset)
        return scene(self.samples, number) if from_set else self.samples[number]

    def controls(self) -> list["Widget"]:
        """The panel's own controls."""
        return []

    def pictures(
        self, bg_img: np.ndarray, fg_bg_img: np.ndarray, found: Prediction, how: str = ""
    ) -> list[PanelPicture]:
        """The two pictures and what is seen in them; `how`: what was done with them, in words."""
        shown = [
            PanelPicture("bg", f"Empty place{how}", bg_img),
            PanelPicture("fg-bg", f"Scene{how}", fg_bg_img),
            PanelPicture("overlay", "Found, outlined", overlay(fg_bg_img, found.mask)),
            PanelPicture("mask", "Mask: white was added", found.mask),
        ]
        if found.depth is not None:
            shown.append(PanelPicture("depth", "Depth", depth_colours(found.depth), depth=True))
        return shown

    def draw(self) -> list[tuple[str, str]]:
        """Show what is to be seen of the pair; returns messages."""
        raise NotImplementedError

    def redraw(self, *change: object) -> None:
        """After a control was moved: draw the pair at hand anew."""
        if self.pair is not None:
            self.attempt(lambda: [*self.pair.messages, *self.draw()], "drawing ...")

    def settings(self) -> str:
        return "" if self.pair is None else f"Shown: {self.pair.name}."

    def _use_sample(self) -> list:
        number = self.sample.value
        sample = self.arrays(number)
        self.own = {}
        for slot in self.slots:
            slot.name_it("")
        known = (sample[kind] for kind in ("bg_img", "fg_bg_img", "mask", "depth"))
        return self._use(Pair(*known, f"sample {number}"))

    def _taker(self, which: str) -> Callable[[bytes, str], list]:
        other, missing = ("fg_bg", "scene with the object") if which == "bg" else ("bg", "empty place")

        def take(data: bytes, name: str) -> list:
            self.own[which] = read_upload(data, name, self.longest_px)
            if other not in self.own:
                return [(NOTE, f"{name} is there. Now the picture of the {missing}.")]
            return self._use_own()

        return take

    def _swap(self) -> list:
        if len(self.own) < 2:
            return [(NOTE, "There is nothing to swap: bring two pictures of yours first.")]
        self.own = {"bg": self.own["fg_bg"], "fg_bg": self.own["bg"]}
        bg_slot, scene_slot = self.slots
        names = [slot.name for slot in self.slots]
        bg_slot.name_it(names[1])
        scene_slot.name_it(names[0])
        return self._use_own()

    def _use_own(self) -> list:
        bg, fg_bg = self.own["bg"], self.own["fg_bg"]
        bg_img, fg_bg_img, notes = fit_pair(bg.img, fg_bg.img)
        messages = [(NOTE, note) for note in [*bg.notes, *fg_bg.notes]] + [(WARNING, note) for note in notes]
        messages += [(WARNING, hint) for hint in check_pair(bg_img, fg_bg_img).hints]
        return self._use(Pair(bg_img, fg_bg_img, None, None, "your pictures", messages))

    def _use(self, pair: Pair) -> list[tuple[str, str]]:
        self.prediction = self.predictor(pair.bg_img, pair.fg_bg_img)
        self.pair = pair
        return [*pair.messages, *self.draw()]
