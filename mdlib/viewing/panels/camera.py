"""A camera in the browser: the first click starts it, the second takes the picture.

A widget cannot ask for the camera, but a button of HTML can: it writes the picture, as a data URL, into a
text box that is not seen, which is a widget. A picture of 1280 x 960 as JPEG stays far below the megabyte
above which Colab loses messages. Browsers lend the camera to pages of https:// and localhost only.
"""

import base64
import binascii
from collections.abc import Callable

# Without double quotes or line ends, since it stands in an attribute. `this` is the button.
_SCRIPT = """
const say = (t) => { this.nextElementSibling.textContent = ' ' + t; };
const box = this.closest('.mdlib-panel').querySelector('.CLASS textarea');
if (!navigator.mediaDevices) { say('no camera: the page is not https or localhost'); return; }
if (!this.video) {
  say('starting ...');
  const wish = {width: {ideal: 1280}, facingMode: 'environment'};
  navigator.mediaDevices.getUserMedia({video: wish}).then((s) => {
    const v = document.createElement('video');
    v.srcObject = s; v.muted = true; v.playsInline = true; v.style.width = '220px';
    this.parentElement.appendChild(v); this.video = v;
    v.play().then(() => { this.textContent = 'Take the picture'; say('look'); });
  }).catch((e) => say('no camera: ' + e.message));
} else {
  const v = this.video, c = document.createElement('canvas');
  c.width = v.videoWidth; c.height = v.videoHeight;
  c.getContext('2d').drawImage(v, 0, 0);
  v.srcObject.getTracks().forEach((t) => t.stop()); v.remove(); this.video = null;
  this.textContent = 'Camera'; say('taken');
  box.value = c.toDataURL('image/jpeg', 0.9);
  ['input', 'change'].forEach((n) => box.dispatchEvent(new Event(n, {bubbles: true})));
}
"""


class Camera:
    """`widgets` to be put beside each other; `taken(data)` is called with the bytes of a JPEG file."""

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
