"""The explorer's Python side: controls, frames, both modes and every way it can be misused."""

import base64
import gc
import json
import re
import zlib

import ipywidgets as widgets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlbook import figures
from dlbook.explore import ExplorerError, explore, frames, live, page, slider
from dlbook.explore.controls import CHECKBOX, RANGE, SELECT, read_control

EMPTY = type("no default", (), {})


def line(slope=1.0, dashed=False):
    """A line turns about the origin."""
    fig, axes = figures.panels()
    axes.plot([-1, 1], [-slope, slope], "--" if dashed else "-")
    axes.set(xlim=(-1, 1), ylim=(-3, 3))
    return fig


@pytest.fixture
def shown(monkeypatch):
    """What explore displays, in either mode."""
    out = []
    monkeypatch.setattr(page, "display", lambda bundle, raw: out.append(bundle["text/html"]))
    monkeypatch.setattr(live, "display", out.append)
    page._uses.clear()
    return out


@pytest.fixture
def static(monkeypatch, shown):
    monkeypatch.setenv("DLBOOK_STATIC", "1")
    return shown


@pytest.fixture
def alive(monkeypatch, shown):
    monkeypatch.delenv("DLBOOK_STATIC", raising=False)
    return shown


def unpack(markup: str) -> list[str]:
    """What player.js does: every frame's markup."""
    data = re.search(r'class="dl-frames">([^<]*)</script>', markup)[1]
    packed = json.loads(zlib.decompress(base64.b64decode(data)))
    return [
        "\n".join(
            line for at, count in zip(runs[::2], runs[1::2], strict=True) for line in packed["pool"][at : at + count]
        )
        for runs in packed["frames"]
    ]


@pytest.mark.parametrize(
    ("given_control", "kind", "values", "labels"),
    [
        ((0.0, 0.3, 0.1), RANGE, [0.0, 0.1, 0.2, 0.3], ["0.00", "0.10", "0.20", "0.30"]),
        ((2, 5), RANGE, [2, 3, 4, 5], ["2", "3", "4", "5"]),
        ([0.5, 0.9], SELECT, [0.5, 0.9], ["0.5", "0.9"]),
        ({"slow": 1, "fast": 2}, SELECT, [1, 2], ["slow", "fast"]),
        (True, CHECKBOX, [False, True], ["off", "on"]),
        (widgets.FloatLogSlider(min=-2, max=0, step=1), RANGE, [0.01, 0.1, 1.0], ["0.01", "0.1", "1"]),
        (widgets.SelectionSlider(options=["a", "b"]), RANGE, ["a", "b"], ["a", "b"]),
        (widgets.ToggleButtons(options=["a", "b"]), SELECT, ["a", "b"], ["a", "b"]),
        (widgets.IntSlider(min=0, max=7, step=3), RANGE, [0, 3, 6], ["0", "3", "6"]),
        (widgets.FloatSlider(min=0, max=1, step=0.25, readout_format=".1%"), RANGE, [0, 0.25, 0.5, 0.75, 1], None),
    ],
)
def test_a_control_lists_the_values_that_interact_would_offer(given_control, kind, values, labels):
    control = read_control("x", given_control, EMPTY)
    assert control.kind == kind
    assert list(control.values) == pytest.approx(values) if not isinstance(values[0], str) else values
    assert labels is None or list(control.labels) == labels
    assert control.values[control.start] == pytest.approx(control.widget.value)


def test_a_readout_is_formatted_as_the_slider_says():
    control = read_control("x", widgets.FloatSlider(min=0, max=1, step=0.5, readout_format=".1%"), EMPTY)
    assert control.labels == ("0.0%", "50.0%", "100.0%")


def test_a_description_is_the_label_and_the_name_stands_in_for_it():
    assert read_control("lr", widgets.IntSlider(description="learning rate"), EMPTY).label == "learning rate"
    assert read_control("batch_size", (1, 3), EMPTY).label == "batch size"


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30).map("\n".join), min_size=1, max_size=8))
def test_packing_loses_nothing(pictures):
    markup = f'class="dl-frames">{frames.pack_lines(pictures)}</script>'
    assert unpack(markup) == pictures


def test_the_static_page_holds_the_whole_grid_of_the_same_draw(static):
    explore(line, slope=(-1.0, 1.0, 0.5), dashed=False, alt="A line through the origin.")
    pictures = unpack(static[0])
    assert len(pictures) == 5 * 2
    expected = [figures.to_svg(line(s, d), salt="line") for s in (-1.0, -0.5, 0.0, 0.5, 1.0) for d in (False, True)]
    assert pictures == expected
    # The default of draw is where interact would start, and the picture without a script is that frame.
    assert f'aspect-ratio: 460.8 / 259.2">{expected[8]}</div>' in static[0]
    assert "Shown: slope 1.00, dashed off." in static[0]


def test_the_markup_keeps_the_contract(static):
    slider = widgets.FloatSlider(min=0, max=1, step=0.5, value=0.5, description="η")
    explore(line, slope=slider, dashed=[False, True], alt='A "line" <here>.', play="slope", hint="Drag η & look.")
    markup = static[0]
    assert '<figure class="dl-explorer" id="line" data-ready="false">' in markup
    assert '<label for="line-slope">η</label><input type="range" id="line-slope" name="slope" min="0" max="2"' in markup
    assert 'aria-valuetext="η 0.50"' in markup
    assert '<output for="line-slope">0.50</output>' in markup
    assert '<select id="line-dashed" name="dashed"' in markup
    assert (
        markup.count('class="dl-play"') == markup.count('class="dl-reset"') == markup.count('class="dl-picture"') == 1
    )
    assert "<strong>Try</strong> Drag η &amp; look." in markup
    assert "<figcaption>A line turns about the origin.</figcaption>" in markup
    assert 'aria-label="A &quot;line&quot; &lt;here&gt;. (η 0.50, dashed False)"' in markup
    assert "http" not in markup


def test_twice_on_a_page_gives_two_ids_and_no_shared_name(static):
    explore(line, slope=(0, 1), alt="A line.")
    explore(line, slope=(0, 1), alt="A line.")
    ids = [set(re.findall(r' id="([^"]+)"', markup)) for markup in static]
    assert "line" in ids[0]
    assert "line-2" in ids[1]
    assert not ids[0] & ids[1]


def test_a_fixed_argument_is_passed_and_not_shown(static):
    explore(line, slope=(0, 2), dashed=widgets.fixed(True), alt="A line.")
    assert len(unpack(static[0])) == 3
    assert 'name="dashed"' not in static[0]


def test_changing_pixels_become_webp_when_that_is_smaller(static):
    down, across = np.mgrid[0:240, 0:320] / 50

    def picture(k):
        """Waves."""
        fig, axes = figures.panels()
        figures.heatmap(axes, np.sin(across + k) * np.cos(down - k), limits=(-1, 1))
        return fig

    explore(picture, k=(0, 5), alt="Waves.")
    assert all(frame.startswith('<img alt="" src="data:image/webp;base64,') for frame in unpack(static[0]))
    assert len(set(unpack(static[0]))) == 6
    assert '<div class="dl-picture"' in static[0]


def test_live_draws_once_and_then_at_each_change(alive):
    calls = []

    def drawn(slope, dashed):
        """A line."""
        calls.append((slope, dashed))
        return line(slope, dashed)

    slider = widgets.FloatSlider(min=0, max=1, step=0.1, value=0.5)
    explore(drawn, slope=slider, dashed=True, alt="A line.", play="slope")
    picture = alive[0].children[0]
    assert calls == [(0.5, True)]
    first = picture.value
    slider.value = 0.9
    assert calls[-1] == (0.9, True)
    assert picture.value != first
    player = alive[0].children[1].children[1]
    player.value = 0
    assert slider.value == 0.0
    slider.value = 1.0
    assert player.value == 10
    button = next(child for child in alive[0].children if isinstance(child, widgets.Button))
    button.click()
    assert slider.value == 0.5
    assert picture.value == first


def test_live_an_error_takes_the_pictures_place_and_the_next_drag_recovers(alive):
    def fragile(k):
        """Breaks at two."""
        return line(1 / (k - 2))

    slider = widgets.IntSlider(min=0, max=4, value=2)
    explore(fragile, k=slider, alt="A line.")
    picture = alive[0].children[0]
    assert 'role="alert"' in picture.value
    assert "ZeroDivisionError" in picture.value
    assert "k=2" in picture.value
    slider.value = 3
    assert "<svg" in picture.value


def test_a_draw_that_raises_at_one_corner_fails_the_build_with_its_values(static):
    def fragile(k, loud):
        """Breaks at two."""
        return line(1 / (k - 2) if loud else 1.0)

    with pytest.raises(ExplorerError, match=r"'fragile': draw raised ZeroDivisionError.*at k=2, loud=True"):
        explore(fragile, k=(0, 4), loud=False, alt="A line.")
    assert static == []


@pytest.mark.parametrize("on", [True, False])
def test_rendering_leaves_the_garbage_collector_as_it_was(static, on):
    def draw(k):
        """Curves."""
        assert not gc.isenabled()
        return 1 / (k - 1) if k else figures.panels()[0]

    was_on, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.enable() if on else gc.disable()
    try:
        with pytest.raises(ExplorerError, match="ZeroDivisionError"):
            explore(draw, k=(0, 1), alt="Nothing.")
        assert gc.isenabled() is on
        assert gc.get_freeze_count() == frozen
    finally:
        gc.enable() if was_on else gc.disable()


def test_budgets_are_errors_that_name_the_explorer_and_the_figure(static, monkeypatch):
    with pytest.raises(ExplorerError, match="'line': 401 frames; at most 400"):
        explore(line, slope=(0, 400), alt="A line.")
    monkeypatch.setattr(frames, "MAX_BYTES", 3_000)
    with pytest.raises(ExplorerError, match=r"'line-2': \d+ KB; at most 3 KB"):
        explore(line, slope=(0, 2), alt="A line.")
    monkeypatch.setattr(frames, "MAX_SECONDS", 0.0)
    with pytest.raises(ExplorerError, match=r"'line-3': 0 s after 1 of 3 frames; at most 0 s of processor time"):
        explore(line, slope=(0, 2), alt="A line.")
    assert static == []


def test_a_picture_may_not_change_its_size(static):
    def jumpy(k):
        """Grows."""
        return figures.panels(size=(4 + k, 3))[0]

    with pytest.raises(ExplorerError, match="'jumpy': the picture's size changes"):
        explore(jumpy, k=(0, 1), alt="A picture.")


@pytest.mark.bad_input
def test_anything_but_a_figure_is_refused(static):
    def nothing(k):
        """Returns None."""

    with pytest.raises(ExplorerError, match=r"expected draw to return a matplotlib Figure; got NoneType \(at k=0\)"):
        explore(nothing, k=(0, 1), alt="Nothing.")


def test_misuse_is_explained(shown):
    with pytest.raises(ValueError, match="draw: expected a docstring"):
        explore(lambda k: line(k), k=(0, 1), alt="A line.")
    with pytest.raises(ValueError, match="alt: expected what the picture shows"):
        explore(line, slope=(0, 1), alt=" ")
    with pytest.raises(ValueError, match="play: expected the name of a slider; got 'dashed'"):
        explore(line, slope=(0, 1), dashed=True, alt="A line.", play="dashed")
    with pytest.raises(ValueError, match="controls: expected at least one thing to drag"):
        explore(line, alt="A line.")
    with pytest.raises(TypeError, match=r"expected controls for line\(slope=1.0, dashed=False\); got slop"):
        explore(line, slop=(0, 1), alt="A line.")
    with pytest.raises(TypeError, match=r"slope: expected a control whose values can be listed.*got Text"):
        explore(line, slope="much", alt="A line.")
    with pytest.raises(TypeError, match=r"slope: expected a control whose values can be listed.*FloatRangeSlider"):
        explore(line, slope=widgets.FloatRangeSlider(), alt="A line.")
    with pytest.raises(TypeError, match=r"slope: expected a slider, dropdown.*got object"):
        explore(line, slope=object(), alt="A line.")
    with pytest.raises(ValueError, match="slope: expected a control with at least one value"):
        explore(line, slope=[], alt="A line.")
    assert shown == []


def test_pyplot_figures_are_not_shown_a_second_time(static):
    from matplotlib import pyplot

    def habit(k):
        """Made with pyplot."""
        fig, axes = pyplot.subplots()
        axes.plot([0, k])
        return fig

    explore(habit, k=(0, 1), alt="A line.")
    assert pyplot.get_fignums() == []
    assert len(unpack(static[0])) == 2


def test_a_slider_stops_at_chosen_values():
    assert slider([0.1, 1.0], 1.0, "rate").options == (("0.1", 0.1), ("1", 1.0))
    assert slider(["a", "b"], "b", "rule", ["A", "B"]).options == (("A", "a"), ("B", "b"))
    with pytest.raises(ValueError, match=r"one of \[1, 2\]; got 3"):
        slider([1, 2], 3, "rate")
    with pytest.raises(ValueError, match="labels: expected 2"):
        slider([1, 2], 1, "rate", ["one"])
