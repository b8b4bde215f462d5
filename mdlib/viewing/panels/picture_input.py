"""A control that takes one picture: a button that uploads, a box for a path, a camera."""

import html
from collections.abc import Callable

from mdlib.viewing.panels.camera import Camera
from mdlib.viewing.uploads import file_bytes


class PictureSlot:
    """Calls `take(data, name)` with the bytes of a picture file, by whichever way it came.

    `attempt(work)` is the panel's: errors become sentences there. `name` is a class of the widgets
    ("up-NAME" the button, "path-NAME" the box, "cam-NAME" the camera), `label` what people read.
    """

    def __init__(self, label: str, name: str, take: Callable[[bytes, str], list], attempt: Callable):
        import ipywidgets as widgets

        self.label, self.take, self.attempt = label, take, attempt
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="Upload", layout=widgets.Layout(width="118px")
        )
        self.upload.add_class(f"up-{name}")
        # Not continuous: the path counts when Enter is pressed or the box is left.
        self.path = widgets.Text(
            description="or a path",
            placeholder="room.jpg, then Enter",
            continuous_update=False,
            style={"description_width": "60px"},
            layout=widgets.Layout(width="250px"),
        )
        self.path.add_class(f"path-{name}")
        self.camera = Camera(name, label, lambda data: self._got(data, "the camera's picture"))
        self.title = widgets.HTML()
        self.name_it("")
        # ipywidgets 7 counts uploads; its value stays as it is where the same file comes again.
        self.upload.observe(self._uploaded, "_counter" if self.upload.has_trait("_counter") else "value")
        self.path.observe(self._named, "value")
        controls = widgets.HBox(
            [self.upload, self.path, *self.camera.widgets],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center"),
        )
        self.widget = widgets.VBox([self.title, controls], layout=widgets.Layout(max_width="100%"))

    def _uploaded(self, change: dict) -> None:
        files = uploaded_files(self.upload.value)
        if not files:
            return
        name, data = files[-1]
        self._got(data, name)
        if isinstance(self.upload.value, tuple):
            self.upload.value = ()  # so that the same file can be uploaded again

    def _named(self, change: dict) -> None:
        path = change["new"].strip().strip("\"'")
        if path:
            self._try(lambda: self.take(file_bytes(path), path), path)

    def _got(self, data: bytes, name: str) -> None:
        self._try(lambda: self.take(data, name), name)

    def _try(self, work: Callable[[], list], name: str) -> None:
        if self.attempt(work, f"reading {name} ..."):
            self.name_it(name)

    def name_it(self, name: str) -> None:
        """Say which picture is in here; "" for none."""
        self.name = name
        told = f": {html.escape(name)}" if name else ""
        self.title.value = f"<b>{html.escape(self.label)}</b>{told}"


def uploaded_files(value: tuple | dict) -> list[tuple[str, bytes]]:
    """(name, content) of the files in FileUpload.value, a dict by name in ipywidgets 7, a tuple in 8."""
    if isinstance(value, dict):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]
