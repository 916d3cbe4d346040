"""The palette, the style, and empty panels in the book's sizes."""

from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

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


def frame(columns: int = 2, rows: int = 1, *, size: tuple[float, float] | None = None, **options: Any):
    """Panels at fixed places, for an explorer: nothing jumps from picture to picture, and drawing takes half the time.

    Args:
        columns: Panels side by side.
        rows: Rows of panels.
        size: Width and height in inches, as for ``panels``.
        **options: Margins as shares of the figure (``left right bottom top``), gaps as shares of a panel (``wspace
            hspace``), ``width_ratios``, ``height_ratios``; and further arguments of ``Figure.subplots``.

    Returns:
        The figure, and one ``Axes`` (a single panel) or an array of them.

    Raises:
        ValueError: If there is no panel.

    Example:
        >>> fig, (left, right) = frame(left=0.1)
        >>> round(float(left.get_position().x0), 3)
        0.1

    Source: matplotlib's ``GridSpec``. Chapter: every one.
    """
    margins = {"left": 0.085, "right": 0.97, "bottom": 0.17, "top": 0.88, "wspace": 0.24, "hspace": 0.4}
    grid = margins | {name: options.pop(name) for name in _GRID & options.keys()}
    fig, axes = panels(columns, rows, size=size, gridspec_kw=grid, **options)
    fig.set_layout_engine(None)
    return fig, axes


_GRID = {"left", "right", "bottom", "top", "wspace", "hspace", "width_ratios", "height_ratios"}
