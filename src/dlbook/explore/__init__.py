"""One drawing function, three lives: dragged in JupyterLab, dragged in the static book, printed.

``explore(draw, lr=FloatLogSlider(...), momentum=[0.0, 0.9], alt="...")`` has the signature of ipywidgets' ``interact``.
With a kernel, ``draw`` runs at each change. When the book is built (the Sphinx extension ``dlbook.explore.extension``
sets ``DLBOOK_STATIC``), it runs once for every combination of values, and the page carries all the pictures.
"""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import SelectionSlider, fixed
from matplotlib.figure import Figure

from .controls import RANGE, read_control
from .frames import ExplorerError
from .live import show_live
from .page import show_static

__all__ = ["ExplorerError", "explore", "slider"]


def explore(draw: Callable[..., Figure], *, alt: str, play: str | None = None, hint: str = "", **controls: Any) -> None:
    """Let the reader drag the arguments of ``draw`` and see its picture follow.

    Args:
        draw: Maps the controls' values to a matplotlib Figure of one constant size. The first line of its docstring
            is the caption, its name the explorer's id in the page.
        alt: What the picture shows, for someone who cannot see it.
        play: Name of the control that is time (a step, an epoch, a layer); it gets a Play button.
        hint: What to drag and what to watch for; shown after the word "Try".
        **controls: One for each parameter of ``draw``: an ipywidgets slider, dropdown or toggle, or one of
            ``interact``'s abbreviations (tuple, list, dict, bool); ``fixed(x)`` for what is not to be dragged.
            A widget's ``description`` is its label.

    Raises:
        TypeError: If ``draw`` cannot take the controls, or a control's values cannot be listed.
        ValueError: If the caption, ``alt`` or ``controls`` is missing, or ``play`` names no slider.
        ExplorerError: If a static explorer exceeds its budget, or ``draw`` fails for some values.

    Example:
        >>> from dlbook import figures
        >>> def line(slope):
        ...     '''A line turns about the origin.'''
        ...     fig, axes = figures.panels()
        ...     axes.plot([-1, 1], [-slope, slope])
        ...     return fig
        >>> explore(line, slope=(-2.0, 2.0), alt="A straight line through the origin.")  # doctest: +ELLIPSIS
        VBox(...)

    Source: ipywidgets' ``interact``. Chapter: every one.
    """
    caption = (inspect.getdoc(draw) or "").split("\n\n")[0].replace("\n", " ")
    if not caption:
        raise ValueError("draw: expected a docstring, whose first paragraph is the caption; got none")
    if not alt.strip():
        raise ValueError("alt: expected what the picture shows, in words; got an empty text")
    constant = {name: given.value for name, given in controls.items() if isinstance(given, fixed)}
    defaults = _parameters(draw, controls)
    read = [read_control(name, given, defaults[name]) for name, given in controls.items() if name not in constant]
    if not read:
        raise ValueError("controls: expected at least one thing to drag; got none")
    if play is not None and play not in {control.name for control in read if control.kind == RANGE}:
        raise ValueError(f"play: expected the name of a slider; got {play!r}")
    show = show_static if os.environ.get("DLBOOK_STATIC") == "1" else show_live
    show(_unregistered(draw), read, constant, caption=caption, alt=alt, hint=hint, play=play)


def slider(values: Sequence[Any], value: Any, description: str, labels: Sequence[str] | None = None) -> SelectionSlider:
    """A slider over chosen values, each shown as people write it.

    Args:
        values: Where it can stop, in order.
        value: Where it starts; one of them.
        description: Its label: words or a mathematical symbol.
        labels: How each value reads; ``3e-4`` as ``0.0003`` by default.

    Raises:
        ValueError: If ``value`` is not among the values, or the labels are not as many.

    Example:
        >>> slider([1, 10, 100], 10, "batch size").options
        (('1', 1), ('10', 10), ('100', 100))

    Source: ipywidgets' ``SelectionSlider``. Chapter: every one.
    """
    if value not in values:
        raise ValueError(f"value: expected one of {list(values)}; got {value!r}")
    if labels is None:
        labels = [f"{v:g}" if isinstance(v, int | float) else str(v) for v in values]
    if len(labels) != len(values):
        raise ValueError(f"labels: expected {len(values)}, one a value; got {len(labels)}")
    return SelectionSlider(options=list(zip(labels, values, strict=True)), value=value, description=description)


def _parameters(draw: Callable, controls: dict[str, Any]) -> dict[str, Any]:
    """The default of each parameter that ``draw`` takes from a control."""
    signature = inspect.signature(draw)
    try:
        signature.bind(**controls)
    except TypeError as error:
        raise TypeError(
            f"draw: expected controls for {draw.__name__}{signature}; got {', '.join(controls) or 'none'} ({error})"
        ) from None
    return {
        name: signature.parameters[name].default if name in signature.parameters else inspect.Parameter.empty
        for name in controls
    }


def _unregistered(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """``draw``, with its figures taken off pyplot's list: a notebook would show them a second time."""

    def drawn(**values: Any) -> Figure:
        figure = draw(**values)
        if "matplotlib.pyplot" in sys.modules and isinstance(figure, Figure):
            sys.modules["matplotlib.pyplot"].close(figure)
        return figure

    drawn.__name__ = draw.__name__
    return drawn
