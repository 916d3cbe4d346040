"""The explorer of a running notebook: the ipywidgets themselves, and ``draw`` called at each change."""

import html
import traceback
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from IPython.display import display
from matplotlib.figure import Figure

from dlbook import figures

from .controls import Control
from .frames import draw_frame

_FRAME_MS = 150


def show_live(
    draw: Callable[..., Figure],
    controls: list[Control],
    fixed: dict[str, Any],
    *,
    caption: str,
    alt: str,
    hint: str,
    play: str | None,
) -> None:
    """Display the controls over a picture that follows them."""
    picture = widgets.HTML()
    picture.add_class("dl-picture")

    def update(_: object = None) -> None:
        values = {control.name: control.widget.value for control in controls} | fixed
        picture.value = _picture(draw, values, alt)

    def reset(_: object) -> None:
        for control in controls:
            control.widget.value = control.values[control.start]

    for control in controls:
        control.widget.style.description_width = "9em"
        control.widget.layout.width = "32em"
        control.widget.observe(update, "value")
    button = widgets.Button(description="Reset", layout={"width": "6em"})
    button.on_click(reset)
    rows = [widgets.HBox([c.widget, _player(c)]) if c.name == play else c.widget for c in controls]
    notes = (f"<p><strong>Try</strong> {html.escape(hint)}</p>" if hint else "") + f"<p>{html.escape(caption)}</p>"
    update()
    display(widgets.VBox([picture, *rows, button, widgets.HTML(notes)]))


def _picture(draw: Callable[..., Figure], values: dict[str, Any], alt: str) -> str:
    """The picture's markup, or the error in its place: the next drag may well work again."""
    try:
        svg = figures.to_svg(draw_frame(draw.__name__, draw, values), salt=draw.__name__)
    except Exception as error:
        trace = "".join(traceback.format_exception(error.__cause__ or error))
        message = html.escape(str(error)) + "\n\n" + html.escape(trace)
        return f'<pre role="alert" style="color: {figures.ROSE}">{message}</pre>'
    return f'<div role="img" aria-label="{html.escape(alt)}" style="max-width: 46em">{svg}</div>'


def _player(control: Control) -> widgets.Play:
    """Play steps through the control's values and stops at the last."""
    player = widgets.Play(
        value=control.start, min=0, max=len(control.values) - 1, interval=_FRAME_MS, show_repeat=False
    )

    def advance(change: dict) -> None:
        control.widget.value = control.values[change["new"]]

    def follow(change: dict) -> None:
        if change["new"] in control.values:
            player.value = control.values.index(change["new"])

    player.observe(advance, "value")
    control.widget.observe(follow, "value")
    return player
