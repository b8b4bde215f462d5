"""A control that takes one picture: a button that uploads, a box for a path, a camera."""

import html
from collections.abc import Callable

from mdlib.viewing.uploads import file_bytes
from mdlib.viewing.widgets.camera import Camera


class PictureSlot:
    """Calls `take(data, name)` with the bytes of a picture file, by whichever way it came.

    `attempt(work)` is the panel's: errors become sentences there. `name` is a class of the widgets
    ("up-NAME" the button, "path-NAME" the box, "cam-NAME" the camera), `label` what people read.
    """

    def __init__(self, label: str, name: str, take: Callable[[bytes, str], list], attempt: Callable):
        import ipywidgets as widgets

        self.take, self.attempt = take, attempt
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="Upload", tooltip=f"Upload: {label}"
        )
        self.upload.add_class(f"up-{name}")
        # Not continuous: the path counts when Enter is pressed or the box is left.
        self.path = widgets.Text(
            placeholder="or a path, then Enter",
            continuous_update=False,
            layout=widgets.Layout(width="210px"),
        )
        self.path.add_class(f"path-{name}")
        self.camera = Camera(name, label, lambda data: self._got(data, "the camera's picture"))
        title = widgets.HTML(f"<b>{html.escape(label)}</b>", layout=widgets.Layout(min_width="150px"))
        self.upload.observe(self._uploaded, "value")
        self.path.observe(self._named, "value")
        controls = widgets.HBox(
            [self.upload, self.path, *self.camera.widgets],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center"),
        )
        self.widget = widgets.VBox([title, controls], layout=widgets.Layout(max_width="100%"))

    def _uploaded(self, change: dict) -> None:
        files = uploaded_files(change["new"])
        if not files:
            return
        name, data = files[-1]
        self._got(data, name)
        if isinstance(self.upload.value, tuple):
            self.upload.value = ()  # so that the same file can be uploaded again

    def _named(self, change: dict) -> None:
        path = change["new"].strip().strip("\"'")
        if path:
            self.attempt(lambda: self.take(file_bytes(path), path), f"reading {path} ...")

    def _got(self, data: bytes, name: str) -> None:
        self.attempt(lambda: self.take(data, name), f"reading {name} ...")


def uploaded_files(value: tuple | dict) -> list[tuple[str, bytes]]:
    """(name, content) of the files in FileUpload.value: a tuple of dicts in ipywidgets 8, a dict by name in 7."""
    if isinstance(value, dict):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]
