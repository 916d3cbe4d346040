"""How every picture of the book looks, and how it gets onto a page.

Pictures are inline SVG. Ink (text, ticks, spines) is drawn in one reserved colour that becomes ``currentColor``, and
backgrounds are transparent, so that one picture serves the light page, the dark page and JupyterLab alike. The data
colours keep at least 3.4:1 on both. Figures are made without pyplot: nothing is registered, nothing shows twice.
"""

from dlbook.figures.canvas import (
    BLUE,
    COLORS,
    DIVERGING,
    GOLD,
    GREY,
    INK,
    ORANGE,
    ROSE,
    TEAL,
    frame,
    panels,
    use_style,
)
from dlbook.figures.marks import contour_with_path, decades, heatmap, label_line, power
from dlbook.figures.svg import show, to_svg

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
    "decades",
    "frame",
    "heatmap",
    "label_line",
    "panels",
    "power",
    "show",
    "to_svg",
    "use_style",
]
