import re

import matplotlib
import numpy as np
import pytest
import torch

from dlbook import figures


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", figures.COLORS)
@pytest.mark.parametrize("page", ["#ffffff", "#14181e"])
def test_every_colour_reads_on_light_and_on_dark(colour, page):
    high, low = sorted([luminance(colour), luminance(page)], reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 3.4


def test_the_style_is_set_and_panels_use_it_without_being_told():
    figures.use_style()
    assert matplotlib.rcParams["axes.spines.top"] is False
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        _, axes = figures.panels()
        assert not axes.spines["top"].get_visible()


def test_two_sizes():
    assert figures.panels()[0].get_size_inches().tolist() == [6.4, 3.6]
    assert figures.panels(2)[0].get_size_inches().tolist() == [7.2, 3.0]
    assert figures.panels(2, 3)[1].shape == (3, 2)


def test_the_svg_follows_the_theme_and_touches_nothing_else_on_the_page():
    fig, axes = figures.panels()
    axes.plot([0, 1], [0.123456789, 1])
    axes.set(title="A finding", xlabel="$x$")
    svg = figures.to_svg(fig, salt="a")
    assert svg.startswith("<svg ")
    assert "currentColor" in svg
    assert figures.INK not in svg
    assert "<style" not in svg, "a style element in an inline SVG restyles the whole page"
    assert "http" not in svg
    assert '<g id="' not in svg
    assert "DejaVu" not in svg
    assert "A finding" in svg, "text stays text: it can be read aloud, searched and restyled"
    assert "0.123456" not in svg


def test_numbers_that_are_read_keep_their_digits():
    fig, axes = figures.panels()
    axes.set_title("0.600 of 1.2345")
    axes.text(0.123456789, 0.5, "0.1000")
    svg = figures.to_svg(fig, "a")
    assert "0.600 of 1.2345" in svg
    assert ">0.1000</text>" in svg


def test_a_log_axis_reads_as_text():
    fig, axes = figures.panels()
    axes.plot([1, 2], [1e-3, 1e2])
    axes.set(yscale="log", yticks=[1e-3, 1, 10, 20, 100])
    svg = figures.to_svg(fig, "a")
    assert all(f">{label}</text>" in svg for label in ("10⁻³", "1", "10", "10²"))
    assert ">20<" not in svg


def test_one_salt_gives_one_text_and_two_salts_share_no_name():
    def drawn(salt):
        fig, axes = figures.panels()
        axes.plot([0, 1], [0, 1], marker="o")
        return figures.to_svg(fig, salt)

    assert drawn("a") == drawn("a")
    names = [set(part.split('"')[0] for part in drawn(salt).split(' id="')[1:]) for salt in ("a", "b")]
    assert names[0]
    assert not names[0] & names[1]


def test_a_heat_map_keeps_one_pixel_a_cell_and_its_size_small():
    fig, axes = figures.panels()
    figures.heatmap(axes, np.random.default_rng(0).random((17, 23)), limits=(0, 1))
    assert len(figures.to_svg(fig, "a")) < 9_000


def test_a_heat_map_writes_its_numbers():
    _, axes = figures.panels()
    figures.heatmap(axes, [[1.0, 2.0], [3.0, 4.5]], numbers=True)
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4.5"]


def test_a_path_that_diverges_is_drawn_as_far_as_the_plane():
    fig, axes = figures.panels()
    path = torch.tensor([[1.0, 1.0], [2.0, -3.0], [1e20, 1e30], [torch.inf, torch.nan], [0.0, 0.0]])
    figures.contour_with_path(axes, lambda p: (p**2).sum(-1), path, x=(-2, 2), y=(-2, 2))
    assert max(abs(line.get_xydata()).max() for line in axes.lines) < 10
    assert "nan" not in figures.to_svg(fig, "a")


@pytest.mark.bad_input
def test_bad_input_is_named():
    _, axes = figures.panels()
    with pytest.raises(ValueError, match="at least one panel; got 0 × 1"):
        figures.panels(0)
    with pytest.raises(ValueError, match=r"values: expected \(height, width\).*got \(3,\)"):
        figures.heatmap(axes, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"path: expected \(steps, 2\); got \(4,\)"):
        figures.contour_with_path(axes, lambda p: p.sum(-1), torch.zeros(4), x=(0, 1), y=(0, 1))
    with pytest.raises(ValueError, match="caption, alt: expected a sentence each"):
        figures.show(figures.panels()[0], "A caption", " ")


def test_the_palette_keeps_its_order_and_its_names():
    named = (figures.BLUE, figures.ORANGE, figures.ROSE, figures.TEAL, figures.GOLD, figures.GREY)
    assert named == figures.COLORS
    assert len(set(named)) == 6
    red, _, blue, _ = figures.DIVERGING(0.0)
    assert blue > red, "low values are blue"
    red, _, blue, _ = figures.DIVERGING(1.0)
    assert red > blue, "high values are orange"


def test_a_line_is_named_at_its_end_in_its_colour():
    _, axes = figures.panels()
    figures.label_line(axes, 2.0, 0.5, "tanh", figures.BLUE, fontsize=8)
    (label,) = axes.texts
    assert (label.xy, label.get_color(), label.get_fontsize()) == ((2.0, 0.5), figures.BLUE, 8)


def test_a_frame_keeps_its_panels_where_they_are():
    def places(label):
        fig, axes = figures.frame(3, 2, size=(7.2, 4.0), left=0.1, width_ratios=(1, 2, 1), sharey=True)
        axes[0, 0].set_ylabel(label)
        figures.to_svg(fig, "places")
        return [tuple(one.get_position().bounds) for one in axes.flat]

    assert places("y") == places("a label\nof two lines")
    assert places("y")[0][0] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="at least one panel"):
        figures.frame(0)


@pytest.mark.parametrize(
    ("value", "text"), [(1e-5, "10⁻⁵"), (3.2e-5, "3 × 10⁻⁵"), (1000, "10³"), (9.96e4, "10⁵"), (0.5, "5 × 10⁻¹")]
)
def test_a_power_reads_as_people_write_it(value, text):
    assert figures.power(value) == text


def test_decades_label_exponents():
    _, axes = figures.panels()
    figures.decades(axes, -2, 1, every=1)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["10⁻²", "10⁻¹", "1", "10"]
    assert axes.get_ylim() == (-2, 1)


def test_one_picture_twice_in_a_figure_leaves_no_id_twice():
    fig, pair = figures.panels(2)
    for axes in pair:
        figures.heatmap(axes, [[0.0, 1.0]], limits=(0, 1))
    ids = re.findall(r' id="([^"]*)"', figures.to_svg(fig, "twice"))
    assert len(ids) == len(set(ids))
