"""The pictures of an explorer: drawn, checked, and packed for a page.

An SVG is a list of lines, and two frames of one explorer share most of them. Each distinct line is kept once, in a
pool; a frame is a list of runs (first line, how many) through the pool. Deflated, a curve costs some 150 bytes a
frame. Pictures whose pixels change (large images) do not share lines; they are kept as WebP instead, when smaller.
"""

import base64
import gc
import io
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dlbook import figures

MAX_FRAMES = 400
MAX_BYTES = 600_000
MAX_SECONDS = 30.0  # of processor time: 15 s on 2 cores
# A vector picture follows the theme and stays sharp: below this weight, WebP is not even tried.
_VECTOR_IS_FINE = 150_000
_FRAMES_BETWEEN_COLLECTIONS = 40
_RASTER_INK = "#6f757d"  # a picture of pixels cannot follow the theme: an ink that reads on both


class ExplorerError(RuntimeError):
    """An explorer that cannot be put on the page: the message names it, the reason and the figure."""


def draw_frame(name: str, draw: Callable[..., Figure], values: Mapping[str, Any]) -> Figure:
    """``draw(**values)``, or an error that names the explorer and the values.

    Raises:
        ExplorerError: If ``draw`` raises, or returns anything but a matplotlib Figure.
    """
    where = ", ".join(f"{key}={value!r}" for key, value in values.items())
    try:
        figure = draw(**values)
    except Exception as error:
        raise ExplorerError(f"explorer {name!r}: draw raised {type(error).__name__}: {error} (at {where})") from error
    if not isinstance(figure, Figure):
        raise ExplorerError(
            f"explorer {name!r}: expected draw to return a matplotlib Figure; got {type(figure).__name__} (at {where})"
        )
    return figure


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Python's cyclic garbage collector, off: it would look through all of torch again and again, a sixth of the time.

    What is there already is frozen, so that a collection by hand sees the new figures alone.
    """
    was_on = gc.isenabled()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def render(name: str, draw: Callable[..., Figure], grid: list[dict[str, Any]], start: int) -> tuple[str, str, str]:
    """Draw every frame of the grid and pack them in the smaller of two ways.

    Args:
        name: The explorer's id; its frames share one salt.
        draw: Maps values to a figure.
        grid: The values of each frame.
        start: Index of the frame that the page opens with.

    Returns:
        The opening frame's markup (``<svg>`` or ``<img>``), its aspect ratio as CSS says it, and all frames packed.

    Raises:
        ExplorerError: If a budget is exceeded, ``draw`` fails, or the picture's size changes within the grid.
    """
    if len(grid) > MAX_FRAMES:
        raise ExplorerError(f"explorer {name!r}: {len(grid)} frames; at most {MAX_FRAMES}: give a control fewer steps")
    # The processor's time, not the clock's: chapters run side by side, and a busy machine is no fault of the page.
    began = time.process_time()
    pictures: list[str] = []
    with _collector_at_rest():
        for values in grid:
            pictures.append(figures.to_svg(draw_frame(name, draw, values), salt=name))
            box, first = _view_box(pictures[-1]), _view_box(pictures[0])
            if box != first:
                raise ExplorerError(f"explorer {name!r}: the picture's size changes from {first} to {box} at {values}")
            if (spent := time.process_time() - began) > MAX_SECONDS:
                raise ExplorerError(
                    f"explorer {name!r}: {spent:.0f} s after {len(pictures)} of {len(grid)} frames; "
                    f"at most {MAX_SECONDS:.0f} s of processor time for all: draw less, or give a control fewer steps"
                )
            if len(pictures) % _FRAMES_BETWEEN_COLLECTIONS == 0:
                gc.collect()
    opening, data = pictures[start], pack_lines(pictures)
    if len(data) > _VECTOR_IS_FINE and any("<image" in picture for picture in pictures):
        images = [_image(to_webp(draw_frame(name, draw, values))) for values in grid]
        if len(raster := pack_lines(images)) < len(data):
            opening, data = images[start], raster
    if (weight := len(opening) + len(data)) > MAX_BYTES:
        raise ExplorerError(f"explorer {name!r}: {weight / 1e3:.0f} KB; at most {MAX_BYTES / 1e3:.0f} KB")
    width, height = _view_box(pictures[start]).split()[2:]
    return opening, f"{width} / {height}", data


def _view_box(svg: str) -> str:
    return svg.split('viewBox="', 1)[1].split('"', 1)[0]


def pack_lines(pictures: list[str]) -> str:
    """Texts that share lines, as a pool of distinct lines and runs through it; deflated, base64."""
    place: dict[str, int] = {}
    frames = []
    for picture in pictures:
        runs: list[int] = []
        for line in picture.split("\n"):
            at = place.setdefault(line, len(place))
            if runs and at == runs[-2] + runs[-1]:
                runs[-1] += 1
            else:
                runs += [at, 1]
        frames.append(runs)
    packed = json.dumps({"pool": list(place), "frames": frames}, separators=(",", ":"))
    return base64.b64encode(zlib.compress(packed.encode(), 9)).decode()


def _image(webp: bytes) -> str:
    return f'<img alt="" src="data:image/webp;base64,{base64.b64encode(webp).decode()}">'


def to_webp(figure: Figure) -> bytes:
    """The figure as pixels, two for each point of the page."""
    for item in figure.findobj(lambda artist: hasattr(artist, "get_color") or hasattr(artist, "get_edgecolor")):
        for read, write in (("get_color", "set_color"), ("get_edgecolor", "set_edgecolor")):
            if getattr(item, read, lambda: None)() == figures.INK:
                getattr(item, write)(_RASTER_INK)
    figure.set_dpi(144)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, "webp", quality=82, method=4)
    return buffer.getvalue()
