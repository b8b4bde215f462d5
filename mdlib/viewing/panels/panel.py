"""What all panels have: a heading, controls, a line that says what happens, pictures; errors become words."""

import html
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from mdlib.viewing.panels.pictures import PanelPicture, still, to_html

if TYPE_CHECKING:
    from ipywidgets import Widget

WORKING, DONE, NOTE, WARNING, PROBLEM = "Working", "Done", "Note", "Warning", "Problem"
EXPECTED = (ValueError, OSError, ImportError, ArithmeticError, RuntimeError, IndexError)

STYLE = f"<style>\n{Path(__file__).with_name('panel.css').read_text('utf-8')}</style>"


class Panel:
    """A panel displays itself as the last expression of a cell; `widget` is the box that it consists of.

    Subclasses give `title` and `about`, call `build` with their controls, do what a control asks for inside
    `attempt`, and show the result with `show`. They calculate nothing themselves.
    """

    title = ""
    about = ""

    def build(self, controls: Sequence["Widget"]) -> None:
        """Put the panel together."""
        import ipywidgets as widgets

        self.shown: list[PanelPicture] = []
        self.messages: list[tuple[str, str]] = []
        head = f"{STYLE}<h3>{html.escape(self.title)}</h3><p>{html.escape(self.about)}</p>"
        self.status, self.gallery, self.below = (widgets.HTML() for _ in range(3))
        self.widget = widgets.VBox([widgets.HTML(head), *controls, self.status, self.gallery, self.below])
        self.widget.add_class("mdlib-panel")
        self.widget.add_class(type(self).__name__)

    def attempt(self, work: Callable[[], Sequence[tuple[str, str]]], busy: str = "one moment ...") -> bool:
        """Do `work`, which returns (kind, sentence) messages, and tell them; whether it went well.

        A panel must go on whatever happens: every error becomes a sentence, and the pictures, which belong to
        an earlier state, disappear.
        """
        self.tell([(WORKING, busy)])
        self.widget.add_class("mdlib-busy")
        try:
            self.tell(work())
            return True
        except EXPECTED as error:
            self.show([])
            self.tell([(PROBLEM, str(error) or type(error).__name__)])
        except Exception as error:  # noqa: BLE001 - an error in a callback would vanish, and with it its reason
            self.show([])
            self.tell([(PROBLEM, f"Something unexpected went wrong ({type(error).__name__}: {error}).")])
        finally:
            self.widget.remove_class("mdlib-busy")
        return False

    def tell(self, messages: Sequence[tuple[str, str]]) -> None:
        """Show sentences, each of a kind such as WARNING."""
        self.messages = list(messages)
        lines = (
            f'<div class="mdlib-{kind}"><b>{kind}:</b> {html.escape(text)}</div>' for kind, text in messages
        )
        self.status.value = (
            f'<div class="mdlib-status" role="status" aria-live="polite">{"".join(lines)}</div>'
        )

    def show(self, pictures: Sequence[PanelPicture], links: str = "") -> None:
        """Show pictures, and HTML such as links below them."""
        self.shown = list(pictures)
        self.gallery.value = to_html(self.shown)
        self.below.value = links

    def still(self) -> Figure:
        """What the panel shows now as a figure, for pages on which no program runs."""
        settings = self.settings()
        lines = [*([settings] if settings else []), *(f"{kind}: {text}" for kind, text in self.messages)]
        return still(self.title, "\n".join(textwrap.fill(line, 110) for line in lines), self.shown)

    def settings(self) -> str:
        """How the controls stand, in words."""
        return ""

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)


def row(*children: "Widget") -> "Widget":
    """Widgets side by side, as many as fit."""
    import ipywidgets as widgets

    box = widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap", align_items="center"))
    box.add_class("mdlib-wrap")
    return box


def slider(label: str, value: int, low: int, high: int, name: str, unit: str = " %") -> "Widget":
    """A slider over whole numbers with its label; `name` is the class by which a page finds it."""
    import ipywidgets as widgets

    made = widgets.IntSlider(
        value=value,
        min=low,
        max=high,
        description=label + (f" ({unit.strip()})" if unit.strip() else ""),
        style={"description_width": "155px"},
        layout=widgets.Layout(width="400px", max_width="100%"),
    )
    made.add_class(name)
    return made


def button(label: str, tooltip: str, name: str, press: Callable[[], object], **more: object) -> "Widget":
    """A button that calls `press()`; `name` as in `slider`, `more` as in ipywidgets.Button."""
    import ipywidgets as widgets

    made = widgets.Button(description=label, tooltip=tooltip, **more)
    made.add_class(name)
    made.on_click(lambda made: press())
    return made


def heading(text: str) -> "Widget":
    """A small heading among controls."""
    import ipywidgets as widgets

    return widgets.HTML(f"<h4>{html.escape(text)}</h4>")
