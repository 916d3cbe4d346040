"""What a reader can drag: ipywidgets' controls, read as a finite list of values with their labels."""

import math
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
from ipywidgets.widgets.interaction import interactive
from ipywidgets.widgets.widget_selection import _Selection

RANGE = "range"
SELECT = "select"
CHECKBOX = "checkbox"


@dataclass(frozen=True)
class Control:
    """One parameter of ``draw``, the values it takes, and how they read.

    Attributes:
        name: The parameter.
        label: What the reader sees.
        kind: ``"range"``, ``"select"`` or ``"checkbox"``: the native control of the static page.
        values: Every value, in order.
        labels: One read-out a value.
        start: Index of the first value shown.
        widget: The ipywidget that shows it where there is a kernel.
    """

    name: str
    label: str
    kind: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]
    start: int
    widget: Any


def read_control(name: str, given: Any, default: Any) -> Control:
    """The control that ``interact`` would make of ``given``, as a list of values.

    Args:
        name: The parameter's name.
        given: A widget, or one of ``interact``'s abbreviations (tuple, list, dict, bool, number).
        default: The parameter's default value, or ``inspect.Parameter.empty``.

    Raises:
        TypeError: If ``given`` is no control, or one whose values cannot be listed (a text box, a range slider).
        ValueError: If the control has no values.
    """
    widget: Any = given if isinstance(given, widgets.ValueWidget) else interactive.widget_from_abbrev(given, default)
    if widget is None:
        raise TypeError(
            f"{name}: expected a slider, dropdown, toggle or one of interact's abbreviations "
            f"(tuple, list, dict, bool, number); got {type(given).__name__} {given!r}"
        )
    kind, values, labels = _values_of(name, widget)
    if not values:
        raise ValueError(f"{name}: expected a control with at least one value; got none")
    label = widget.description or name.replace("_", " ")
    widget.description = label
    return Control(name, label, kind, tuple(values), tuple(labels), _nearest(values, widget.value), widget)


def _values_of(name: str, widget: Any) -> tuple[str, list, list[str]]:
    if isinstance(widget, (widgets.Checkbox, widgets.ToggleButton)):
        return CHECKBOX, [False, True], ["off", "on"]
    if isinstance(widget, _Selection):
        kind = RANGE if isinstance(widget, widgets.SelectionSlider) else SELECT
        options: list[tuple[str, Any]] = list(widget._options_full or ())
        return kind, [value for _, value in options], [label for label, _ in options]
    if isinstance(widget, widgets.FloatLogSlider):
        exponents = _steps(widget.min, widget.max, widget.step or 0.1)
        values = [widget.base**exponent for exponent in exponents]
    elif isinstance(widget, (widgets.FloatSlider, widgets.BoundedFloatText)):
        values = _steps(widget.min, widget.max, widget.step or 0.1)
    elif isinstance(widget, (widgets.IntSlider, widgets.BoundedIntText)):
        values = list(range(widget.min, widget.max + 1, widget.step))
    else:
        raise TypeError(
            f"{name}: expected a control whose values can be listed (slider, dropdown, toggle); "
            f"got {type(widget).__name__}"
        )
    readout = getattr(widget, "readout_format", ".3g")
    return RANGE, values, [format(value, readout) for value in values]


def _steps(low: float, high: float, step: float) -> list[float]:
    """low, low + step, ... up to high; rounded, so that 0.1 + 0.2 reads 0.3."""
    count = math.floor((high - low) / step + 1e-9) + 1
    return [round(low + k * step, 10) for k in range(count)]


def _nearest(values: list, value: Any) -> int:
    """Where ``value`` is among ``values``; the nearest, since a slider may start between two steps."""
    if value in values:
        return values.index(value)
    return min(range(len(values)), key=lambda index: abs(values[index] - value))
