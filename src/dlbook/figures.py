"""How every picture of the book looks, and how it gets onto a page.

Pictures are inline SVG. Ink (text, ticks, spines) is drawn in one reserved colour that becomes ``currentColor``, and
backgrounds are transparent, so that one picture serves the light page, the dark page and JupyterLab alike. The data
colours keep at least 3.4:1 on both. Figures are made without pyplot: nothing is registered, nothing shows twice.
"""

import html
import io
import math
import re
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation

__all__ = [
    "BLUE",
    "COLORS",
    "DIVERGING",
    "GOLD",
    "GREY",
    "INK",
    "ORANGE",
    "ROSE",
    "TEAL",
    "contour_with_path",
    "heatmap",
    "label_line",
    "panels",
    "show",
    "to_svg",
    "use_style",
]

BLUE = "#2f7dd1"  # the thing explained
ORANGE = "#d4700f"  # what it is compared with
ROSE = "#c9437d"  # error, loss, danger
TEAL = "#128a9e"
GOLD = "#a8830a"
GREY = "#7b8089"  # context, never the subject
COLORS = (BLUE, ORANGE, ROSE, TEAL, GOLD, GREY)
INK = "#1b1c1d"  # reserved: becomes the page's own text colour
DIVERGING = LinearSegmentedColormap.from_list("blue_white_orange", [BLUE, "#f6f6f6", ORANGE])

# One dash pattern a colour: colour never speaks alone.
_DASHES = ["-", (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (5, 1.5, 1.2, 1.5)), (0, (9, 2)), "-"]

_STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.prop_cycle": cycler(color=COLORS, linestyle=_DASHES),
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "font.size": 10,
    "font.family": ["DejaVu Sans"],
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "image.cmap": "viridis",
    "image.interpolation": "none",
    "svg.fonttype": "none",
}


def use_style() -> None:
    """Set matplotlib's defaults to the book's look; call it once at the top of a chapter.

    Example:
        >>> use_style()
        >>> matplotlib.rcParams["svg.fonttype"]
        'none'

    Source: the palette's contrast was computed by WCAG 2.2's formula. Chapter: every one.
    """
    matplotlib.rcParams.update(_STYLE)


def panels(columns: int = 1, rows: int = 1, *, size: tuple[float, float] | None = None, **axes: Any):
    """A figure with its axes, in one of the book's two sizes.

    Args:
        columns: Panels side by side.
        rows: Rows of panels.
        size: Width and height in inches; by default 6.4 × 3.6 for one panel and 7.2 × 3.0 a row for more.
        **axes: Further arguments of ``Figure.subplots`` (``sharex``, ``width_ratios``, ...).

    Returns:
        The figure, and one ``Axes`` (a single panel) or an array of them.

    Raises:
        ValueError: If there is no panel.

    Example:
        >>> fig, (left, right) = panels(2)
        >>> fig.get_size_inches().tolist()
        [7.2, 3.0]

    Source: matplotlib's ``Figure.subplots``. Chapter: every one.
    """
    if columns < 1 or rows < 1:
        raise ValueError(f"columns, rows: expected at least one panel; got {columns} × {rows}")
    single = columns * rows == 1
    with matplotlib.rc_context(_STYLE):
        fig = Figure(figsize=size or ((6.4, 3.6) if single else (7.2, 3.0 * rows)), layout="constrained")
        return fig, fig.subplots(rows, columns, **axes)


def label_line(axes: Axes, x: float, y: float, text: str, color: str, **text_options: Any) -> None:
    """Write a line's name beside its end, in the line's colour: a legend that needs no looking up.

    Args:
        axes: Where the line is.
        x: The end's horizontal data coordinate.
        y: The end's vertical data coordinate.
        text: The name.
        color: The line's colour.
        **text_options: Passed on to ``Axes.annotate``.

    Example:
        >>> fig, axes = panels()
        >>> label_line(axes, 1.0, 0.5, "tanh", BLUE)
        >>> axes.texts[0].get_text()
        'tanh'

    Source: matplotlib's ``Axes.annotate``. Chapter: every one.
    """
    defaults: dict[str, Any] = {"textcoords": "offset points", "xytext": (5, 0), "va": "center", "fontsize": 9}
    axes.annotate(text, (x, y), color=color, annotation_clip=False, **(defaults | text_options))


def heatmap(axes: Axes, values, *, cmap=None, limits: tuple[float, float] | None = None, numbers: bool = False):
    """Draw a matrix as cells, first row on top, without ticks.

    Args:
        axes: Where to draw.
        values: A matrix (height, width), or a picture (height, width, 3) in [0, 1].
        cmap: Colour map; the diverging one where ``limits`` are symmetric about zero, else viridis.
        limits: Values of the first and the last colour. Fix them in an explorer.
        numbers: Whether to write each cell's value into it.

    Returns:
        The image, for a colour bar.

    Raises:
        ValueError: If ``values`` is no matrix and no picture.

    Example:
        >>> fig, axes = panels()
        >>> heatmap(axes, [[0.0, 1.0]], limits=(-1, 1)).get_cmap().name
        'blue_white_orange'

    Source: matplotlib's ``Axes.imshow``. Chapter: convolution.
    """
    values = np.asarray(values)
    if values.ndim not in (2, 3):
        raise ValueError(f"values: expected (height, width) or (height, width, 3); got {values.shape}")
    low, high = limits or (None, None)
    if cmap is None:
        cmap = DIVERGING if limits and sum(limits) == 0 else "viridis"
    # Not resampled: the file keeps one pixel a cell and the browser enlarges it, sharp at every zoom.
    image = axes.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if numbers:
        middle = 0.5 * sum(image.get_clim())
        diverging = cmap is DIVERGING
        for (row, column), value in np.ndenumerate(values):
            dark = not diverging and value < middle
            axes.text(column, row, f"{value:g}", ha="center", va="center", color="#ffffff" if dark else "#101418")
    return image


def contour_with_path(
    axes: Axes, surface, path, *, x: tuple[float, float], y: tuple[float, float], levels=None, color: str = BLUE
) -> None:
    """Level lines of a surface over the plane, and a path across them from a ring to a dot.

    Points that left the plane, or are not finite, are left out.

    Args:
        axes: Where to draw.
        surface: Maps points (..., 2) to heights (...), both tensors.
        path: Points (steps, 2).
        x: Horizontal limits.
        y: Vertical limits.
        levels: Heights of the level lines; twelve by default.
        color: The path's colour.

    Raises:
        ValueError: If ``path`` is not (steps, 2).

    Example:
        >>> import torch
        >>> fig, axes = panels()
        >>> path = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
        >>> contour_with_path(axes, lambda p: (p**2).sum(-1), path, x=(-2, 2), y=(-2, 2))
        >>> axes.get_xlim() == (-2.0, 2.0)
        True

    Source: matplotlib's ``Axes.contour``. Chapter: optimizers.
    """
    import torch

    path = np.asarray(path, dtype=float)
    if path.ndim != 2 or path.shape[1] != 2:
        raise ValueError(f"path: expected (steps, 2); got {path.shape}")
    across, up = np.linspace(*x, 90), np.linspace(*y, 60)
    grid = torch.tensor(np.stack(np.meshgrid(across, up), -1), dtype=torch.float32)
    heights = surface(grid).numpy()
    axes.contour(
        across, up, heights, levels=12 if levels is None else levels, cmap="viridis", linewidths=0.8, alpha=0.75
    )
    # A diverged path may end at 1e30: far points would overflow the drawing, so it is cut a screen's width outside.
    reach = np.array([np.ptp(x), np.ptp(y)]) + np.array([np.mean(x), np.mean(y)]).__abs__()
    inside = np.cumprod(np.all(np.abs(path) < 2 * reach, axis=1)).astype(bool)
    path = path[inside]
    axes.plot(*path.T, "-", color=color, linewidth=1.4, marker="o", markersize=2.6)
    axes.plot(*path[:1].T, "o", color=color, markersize=8, fillstyle="none")
    axes.plot(*path[-1:].T, "o", color=color, markersize=6)
    axes.set(xlim=x, ylim=y)


def show(figure: Figure, caption: str, alt: str) -> None:
    """Put a still figure on the page, with its caption and its text alternative.

    Args:
        figure: The picture.
        caption: One sentence under it that says the finding.
        alt: What someone who cannot see it needs to know.

    Raises:
        ValueError: If caption or alt is empty.

    Example:
        >>> fig, axes = panels()
        >>> show(fig, "An empty frame.", "Two axes without data.")  # doctest: +ELLIPSIS
        {'text/html': '<figure class="dl-figure">...</figure>'}

    Source: the HTML standard's figure element. Chapter: every one.
    """
    if not (caption.strip() and alt.strip()):
        raise ValueError("caption, alt: expected a sentence each; got an empty one")
    markup = (
        f'<figure class="dl-figure"><div class="dl-picture" role="img" aria-label="{html.escape(alt)}">'
        f"{to_svg(figure, salt=caption)}</div><figcaption>{html.escape(caption)}</figcaption></figure>"
    )
    display({"text/html": markup}, raw=True)


_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")
_NO_TURN = re.compile(r' transform="rotate\(-?0 [^"]*"')
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_GROUP_ID = re.compile(r'<g id="[^"]*"')


def to_svg(figure: Figure, salt: str) -> str:
    """The figure as an ``<svg>`` element: ink as ``currentColor``, the page's font, short numbers.

    Args:
        figure: The picture.
        salt: Pictures with one salt share the names of their clip paths, so that they can replace each other;
            two pictures on one page need two salts.

    Returns:
        One element, a line of markup a line of text, that scales to the width of its box.

    Example:
        >>> fig, axes = panels()
        >>> to_svg(fig, "a").startswith("<svg ")
        True

    Source: matplotlib's SVG backend. Chapter: every one.
    """
    _plain_powers(figure)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    # matplotlib's style element says "*": inline, it would restyle every icon of the page.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", text, flags=re.S)
    text = text.replace("<svg ", '<svg style="stroke-linejoin: round; stroke-linecap: butt" ', 1)
    text = re.sub(r' (?:width|height)="[\d.]+pt"| version="1.1"| xmlns(?::xlink)?="[^"]*"', "", text, count=5)
    text = text.replace("xlink:href", "href").replace(INK, "currentColor")
    text = _GROUP_ID.sub("<g", text)
    text = _FONT.sub("var(--dl-sans, sans-serif)", _NO_TURN.sub("", text))
    return "\n".join(_round(line) for line in text.strip().split("\n"))


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _plain_powers(figure: Figure) -> None:
    """Write a log axis's ticks as text, 10⁻³: matplotlib's own run its formula parser, half the time of a frame."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if type(axis.get_major_formatter()) is LogFormatterSciNotation:
            axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))


def _power(value: float) -> str:
    """1, 10, 10², 10⁻³; a tick between two powers of ten stays without a label."""
    exponent = math.log10(value)
    if abs(exponent - round(exponent)) > 1e-9:
        return ""
    small = {0: "1", 1: "10"}
    return small.get(round(exponent)) or "10" + str(round(exponent)).translate(_SUPERSCRIPT)


def _round(line: str) -> str:
    """Two decimals of a point are beyond what an eye sees; a scale factor is multiplied, so it keeps more."""
    digits = 5 if "matrix" in line or "scale" in line else 2
    if "base64" in line:
        return line
    return _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.{digits}f}".rstrip("0").rstrip("."), line)
