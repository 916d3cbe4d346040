"""From a figure to the page: inline SVG that follows the theme."""

import html
import io
import math
import re

import matplotlib
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation

from dlbook.figures.canvas import INK
from dlbook.figures.marks import power


def show(figure: Figure, caption: str, alt: str) -> None:
    """Put a still figure on the page, with its caption and its text alternative.

    Args:
        figure: The picture.
        caption: One sentence under it that says the finding.
        alt: What someone who cannot see it needs to know.

    Raises:
        ValueError: If caption or alt is empty.

    Example:
        >>> from dlbook import figures
        >>> fig, axes = figures.panels()
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
_UNUSED_ID = re.compile(r'(<g) id="[^"]*"| id="image[0-9a-f]+"')


def to_svg(figure: Figure, salt: str) -> str:
    """The figure as an ``<svg>`` element: ink as ``currentColor``, the page's font, short numbers.

    Args:
        figure: The picture.
        salt: Pictures with one salt share the names of their clip paths, so that they can replace each other;
            two pictures on one page need two salts.

    Returns:
        One element, a line of markup a line of text, that scales to the width of its box.

    Example:
        >>> from dlbook import figures
        >>> fig, axes = figures.panels()
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
    text = _UNUSED_ID.sub(r"\1", text)
    text = _FONT.sub("var(--dl-sans, sans-serif)", _NO_TURN.sub("", text))
    return "\n".join(_round(line) for line in text.strip().split("\n"))


def _plain_powers(figure: Figure) -> None:
    """Write a log axis's ticks as text, 10⁻³: matplotlib's own run its formula parser, half the time of a frame."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if type(axis.get_major_formatter()) is LogFormatterSciNotation:
            axis.set_major_formatter(FuncFormatter(lambda value, _: _whole_power(value)))


def _whole_power(value: float) -> str:
    """1, 10, 10², 10⁻³; a tick between two powers of ten stays without a label."""
    exponent = math.log10(value)
    if abs(exponent - round(exponent)) > 1e-9:
        return ""
    small = {0: "1", 1: "10"}
    return small.get(round(exponent)) or power(value)


def _round(line: str) -> str:
    """Two decimals of a point are beyond what an eye sees; a scale factor is multiplied, so it keeps more."""
    digits = 5 if "matrix" in line or "scale" in line else 2
    if "base64" in line:
        return line
    # What a reader sees stays as it was written: 0.600 is not 0.6.
    tag, end, text = line.partition(">") if "</text>" in line or "</tspan>" in line else (line, "", "")
    return _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.{digits}f}".rstrip("0").rstrip("."), tag) + end + text
