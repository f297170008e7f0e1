"""Figures as SVG inside a page: their text and colours follow the page, light or dark.

matplotlib draws with the colours of the light theme. Each of them becomes a CSS variable, to which
the page gives a value for each theme.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from ..text import shown

# name: (on a light page, on a dark page). The colours of Okabe and Ito can be told apart by the
# colour-blind; yellow is darker on white, and what is dark is lighter on black.
COLOURS = {
    "ink": ("#1b1f24", "#e6e9ed"),
    "faint": ("#8a9199", "#7d858e"),
    "grid": ("#dfe3e8", "#333a42"),
    "blue": ("#0072b2", "#3f9fe0"),
    "sky": ("#56b4e9", "#a5dcff"),
    "green": ("#009e73", "#1fbf92"),
    "orange": ("#e69f00", "#f0b030"),
    "vermillion": ("#d55e00", "#f07a2a"),
    "purple": ("#cc79a7", "#e09bc2"),
    "yellow": ("#b3a200", "#f0e442"),
    "brown": ("#8a5a2b", "#c08a55"),
}
INK, FAINT, GRID, BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, YELLOW, BROWN = (
    light for light, _ in COLOURS.values()
)
LONGEST = 36  # characters of a label
WIDTH = 4.6  # inches: on a phone the text is still 10 pixels high

STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "tinybar", "text.parse_math": False,
    "axes.formatter.use_mathtext": False, "font.size": 10, "font.family": "DejaVu Sans",
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.edgecolor": FAINT,
    "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.titlesize": 10, "axes.titlelocation": "left", "axes.grid": True, "grid.color": GRID,
    "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 9,
    "lines.linewidth": 1.6, "axes.unicode_minus": True,
}  # fmt: skip


def drawn(
    what: str, plot: Callable[[Figure], None], width: float = WIDTH, height: float = 3.4
) -> Markup:
    """The figure that `plot` draws. what: it shows, in words, for who cannot see it. In inches."""
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the reader's fonts have it
        figure = Figure(figsize=(width, height), layout="constrained")
        plot(figure)
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    return Markup(_inline(file.getvalue(), what, width))


def _inline(text: str, what: str, width: float) -> str:
    """The SVG element alone, in the page's colours and font, with identifiers of its own."""
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    own = f"f{hashlib.sha256((what + text).encode()).hexdigest()[:8]}-"

    def themed(tag: re.Match) -> str:
        found = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", tag[0])
        for name, (light, _) in COLOURS.items():
            found = found.replace(light, f"var(--{name})")
        return re.sub(r' (id="|xlink:href="#|clip-path="url\(#)', rf" \1{own}", found)

    text = re.sub("<[a-zA-Z][^>]*>", themed, text)  # what users have named is between the tags
    about = f'role="img" aria-label="{escape(what)}" style="--natural: {width:.2f}in"'
    return text.replace("<svg ", f"<svg {about} ", 1)


def label(text: object) -> str:
    """A name from a user as text of a figure: not longer than fits."""
    text = shown(str(text))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def log2_axis(axis: Any, unit: str = "x") -> None:
    """Make the axis logarithmic to the base 2, with labels such as 16x."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(2))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}{unit}"))
    axis.minorticks_off()


def log_axis_if_long(axis: Any) -> None:
    """Make the axis logarithmic if its positive values span a factor of ten."""
    values = np.concatenate([line.get_data()[axis.axis_name == "y"] for line in axis.axes.lines])
    values = values[values > 0]
    if len(values) and values.max() > 10 * values.min():
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axis.minorticks_off()
    axis.set_major_formatter(SHORT)


def short(number: float) -> str:
    """A count for the label of an axis: 12k, 1.5M, 3G."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


SHORT = FuncFormatter(lambda x, _: short(x))


def legend_below(figure: Figure, axes: Any) -> None:
    """The legend of the axes, outside the plot, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    columns = int(figure.get_figwidth() / (0.55 + 0.085 * longest))
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, min(4, columns)))
