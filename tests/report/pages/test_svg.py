"""Figures in a page: names are text, colours are the page's, identifiers are unique."""

import re
from html import unescape

import pytest
from report.pages.making import Page

from tinybar.report.pages import svg

ODD = ["<script>alert(1)</script>", "$x$", "$\\frac{", "a & b", "--><b>", '"quoted"', "猫", "a\nb",
       svg.BLUE, ' id="x']  # fmt: skip


def named(name: str) -> str:
    def plot(figure):
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], "o", label=svg.label(name), color=svg.BLUE)
        axes.set(xlabel=svg.label(name), title=svg.label(name))
        svg.legend_below(figure, axes)

    return svg.drawn(name, plot)


@pytest.mark.parametrize("name", ODD)
def test_a_name_is_text_and_nothing_else(name):
    text = named(name)
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= {
        "svg", "defs", "style", "g", "path", "text", "use", "clippath", "rect",
    }  # fmt: skip
    assert unescape(text).count(svg.label(name)) >= 3
    assert page.text.count(svg.label(name)) >= 3


def test_colours_and_fonts_are_the_page_s():
    text = named("x")
    styles = " ".join(re.findall('style="[^"]*"', text))
    assert not re.search("#[0-9a-f]{6}", styles)
    assert "var(--blue)" in text
    assert "DejaVu" not in text


def test_the_same_figure_is_the_same_text_and_two_share_no_identifier():
    assert named("x") == named("x")
    one, two = (set(re.findall(r' id="([^"]+)"', named(name))) for name in "xy")
    assert one
    assert not one & two


@pytest.mark.parametrize(("number", "text"), [(0.5, "0.5"), (12000, "12k"), (3e9, "3G")])
def test_short(number, text):
    assert svg.short(number) == text


def test_a_colour_is_found_by_its_value_alone():
    values = [light for light, _ in svg.COLOURS.values()]
    assert len(values) == len(set(values))
