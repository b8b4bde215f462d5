"""A control that takes one picture: a button that uploads, a box for a path, a camera."""

import base64
import binascii
import html
from collections.abc import Callable
from pathlib import Path

from mdlib.viewing.uploads import file_bytes

# Without double quotes or // comments, since it stands in an attribute. `this` is the button.
_SCRIPT = Path(__file__).with_name("camera.js").read_text("utf-8")


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
        self.camera = WebCamera(name, label, lambda data: self._got(data, "the camera's picture"))
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


class WebCamera:
    """A camera in the browser: the first click starts it, the second takes the picture.

    A widget cannot ask for the camera, but a button of HTML can: it writes the picture, as a data URL, into a
    text box that is not seen, which is a widget. A picture of 1280 x 960 as JPEG stays far below the megabyte
    above which Colab loses messages. Browsers lend the camera to pages of https:// and localhost only.
    `widgets` are to be put beside each other; `taken(data)` is called with the bytes of a JPEG file.
    """

    def __init__(self, name: str, label: str, taken: Callable[[bytes], None]):
        import ipywidgets as widgets

        self.taken = taken
        script = " ".join(_SCRIPT.replace("CLASS", f"cam-{name}").split())
        kinds = f"jupyter-button widget-button cam-button-{name}"
        button = widgets.HTML(
            f'<span><button type="button" class="{kinds}" style="width: auto" aria-label="Camera: {label}" '
            f'onclick="(function () {{ {script} }}).call(this)">Camera</button>'
            f'<span role="status"></span></span>'
        )
        self.box = widgets.Textarea(continuous_update=True, layout=widgets.Layout(display="none"))
        self.box.add_class(f"cam-{name}")
        self.box.observe(self._received, "value")
        self.widgets = (button, self.box)

    def _received(self, change: dict) -> None:
        _, comma, encoded = change["new"].partition("base64,")
        if not comma:
            return
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            data = b""  # is told to be no picture
        self.box.value = ""
        self.taken(data)
