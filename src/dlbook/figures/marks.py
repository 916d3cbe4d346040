"""What the book's figures have in common: labels at lines, powers of ten, heat maps, paths over a surface."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dlbook.figures.canvas import BLUE, DIVERGING


def decades(axes: Axes, low: int, high: int, *, every: int = 2) -> None:
    """Ticks for a vertical axis whose data are powers of ten; matplotlib's own logarithmic axis draws ten times slower.

    Args:
        axes: Its data are exponents, as ``log10`` gives them.
        low: Exponent at the bottom.
        high: Exponent at the top.
        every: Exponents from one tick to the next.

    Example:
        >>> from dlbook import figures
        >>> fig, axes = figures.panels()
        >>> decades(axes, -4, 0)
        >>> [tick.get_text() for tick in axes.get_yticklabels()]
        ['10⁻⁴', '10⁻²', '1']

    Source: written for this book. Chapter: optimizers.
    """
    exponents = range(low, high + 1, every)
    axes.set_ylim(low, high)
    axes.set_yticks(exponents, [{0: "1", 1: "10"}.get(k) or power(10.0**k) for k in exponents])


def power(value: float) -> str:
    """A number as people write it, with one digit: 3 × 10⁻⁵.

    Args:
        value: Any number.

    Example:
        >>> power(0.000031), power(100)
        ('3 × 10⁻⁵', '10²')

    Source: ISO 80000-1. Chapter: optimizers.
    """
    digit, exponent = f"{value:.0e}".split("e")
    raised = str(int(exponent)).translate(_SUPERSCRIPT)
    ten = f"10{raised}"
    return ten if digit == "1" else f"{digit} × {ten}"


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
        >>> from dlbook import figures
        >>> fig, axes = figures.panels()
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
        >>> from dlbook import figures
        >>> fig, axes = figures.panels()
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
        >>> from dlbook import figures
        >>> fig, axes = figures.panels()
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
