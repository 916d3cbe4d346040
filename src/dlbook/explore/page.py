"""The explorer of a static page: native controls, the first picture inline, all pictures packed beside it."""

import html
import json
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

from IPython.display import display
from matplotlib.figure import Figure

from .controls import CHECKBOX, SELECT, Control
from .frames import render

# How often a name was used: the same explorer twice on one page needs two ids. A page is one kernel, so it is also
# one process.
_uses: Counter[str] = Counter()


def unique_id(name: str) -> str:
    """The explorer's id in its page: the name of its draw function, numbered from the second use on."""
    base = name.strip("_<>").replace("_", "-")
    _uses[base] += 1
    return base if _uses[base] == 1 else f"{base}-{_uses[base]}"


def grid_of(controls: list[Control], fixed: dict[str, Any]) -> list[dict[str, Any]]:
    """The values of every frame; the last control changes fastest."""
    names = [control.name for control in controls]
    return [dict(zip(names, values, strict=True)) | fixed for values in product(*(c.values for c in controls))]


def show_static(
    draw: Callable[..., Figure],
    controls: list[Control],
    fixed: dict[str, Any],
    *,
    caption: str,
    alt: str,
    hint: str,
    play: str | None,
) -> None:
    """Render the whole grid and display the explorer as one piece of HTML."""
    identity = unique_id(draw.__name__)
    grid = grid_of(controls, fixed)
    start = 0
    for control in controls:
        start = start * len(control.values) + control.start
    opening, ratio, data = render(identity, draw, grid, start)
    described = ", ".join(f"{c.label} {c.labels[c.start]}" for c in controls)
    state = {"labels": [c.labels for c in controls], "alt": alt}
    display(
        {
            "text/html": f"""<figure class="dl-explorer" id="{identity}" data-ready="false">
<div class="dl-picture" role="img" aria-label="{html.escape(alt)} ({html.escape(described)})" \
style="aspect-ratio: {ratio}">{opening}</div>
<div class="dl-controls">
{"".join(_control(identity, control, play) for control in controls)}<div class="dl-actions">\
<button type="button" class="dl-reset">Reset</button><a class="dl-link" href="#{identity}">Link to this state</a></div>
</div>
<p class="dl-values">Shown: {html.escape(described)}.</p>
{f'<p class="dl-try"><strong>Try</strong> {html.escape(hint)}</p>' if hint else ""}
<figcaption>{html.escape(caption)}</figcaption>
<script type="application/json" class="dl-state">{_script_safe(json.dumps(state))}</script>
<script type="application/octet-stream" class="dl-frames">{data}</script>
</figure>"""
        },
        raw=True,
    )


def _script_safe(text: str) -> str:
    return text.replace("<", "\\u003c")


def _control(identity: str, control: Control, play: str | None) -> str:
    """Label, native control, read-out and, for time, a Play button."""
    name, label = html.escape(control.name), html.escape(control.label)
    this = f'id="{identity}-{name}" name="{name}"'
    if control.kind == SELECT:
        options = "".join(
            f'<option value="{i}"{" selected" if i == control.start else ""}>{html.escape(text)}</option>'
            for i, text in enumerate(control.labels)
        )
        native = f'<select {this} autocomplete="off">{options}</select>'
    elif control.kind == CHECKBOX:
        native = f'<input type="checkbox" {this} autocomplete="off"{" checked" if control.start else ""}>'
    else:
        native = (
            f'<input type="range" {this} min="0" max="{len(control.values) - 1}" step="1" value="{control.start}" '
            f'autocomplete="off" aria-valuetext="{label} {html.escape(control.labels[control.start])}">'
        )
    button = ""
    if control.name == play:
        button = f'<button type="button" class="dl-play" aria-label="Play {label}">Play</button>'
    return (
        f'<div class="dl-control dl-{control.kind}"><label for="{identity}-{name}">{label}</label>{native}'
        f'<output for="{identity}-{name}">{html.escape(control.labels[control.start])}</output>{button}</div>\n'
    )
