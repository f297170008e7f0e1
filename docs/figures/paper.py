"""Figs. 1 and 2 of the paper and Fig. 1 of its supplement, drawn from tinybar's own functions.

Writes fig1.svg, fig2.svg and supp-fig1.svg into a folder, by default that of this file; the same
bytes every time.

python docs/figures/paper.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tinybar.audit.gates import GAMMA, ZETA, density, distribution, unstretched
from tinybar.pruning import barrier, transition

COLOURS = "#0072b2", "#d55e00", "#009e73", "#cc79a7"  # of Okabe and Ito
LINES = "-", "--", "-.", ":"
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "tinybar", "font.size": 9, "axes.grid": True,
    "grid.color": "#e4e4e4", "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True,
}  # fmt: skip


def curves(axes, x: np.ndarray, functions: dict) -> None:
    """A line for each function, by its label."""
    for k, (label, f) in enumerate(functions.items()):
        axes.plot(x, [f(value) for value in x], LINES[k], color=COLOURS[k], label=label)


def figure_1(figure: Figure) -> None:
    """(a) The log barrier with b = 1. (b) Eq. 5 with a = 1."""
    left, right = figure.subplots(1, 2)
    hardness, budgets = (1, 2, 4, 8), (1.5, 2, 3, 4)
    below = 1 - np.logspace(0, -14, 240)
    curves(left, below, {f"t = {t}": lambda v, t=t: -np.log(1 - v) / t for t in hardness})
    left.set(title="(a) −(1/t) log(b − V), b = 1", xlabel="V", ylabel="barrier", ylim=(0, 4))
    volumes = np.linspace(0, 4, 300)
    curves(right, volumes, {f"b = {b:g}": lambda v, b=b: barrier(v, 1, b) for b in budgets})
    right.set(title="(b) f(V, a, b), a = 1", xlabel="V", ylabel="f", ylim=(0, 4))


def figure_2(figure: Figure) -> None:
    """Supp. Eq. 1, and the two other schedules of Section 3.4."""
    axes = figure.subplots()
    kinds = {"sigmoid, d = 10": "sigmoid", "linear": "linear", "exponential, d = 10": "exponential"}
    t = np.linspace(0, 1, 201)
    curves(axes, t, {k: lambda t, kind=kind: transition(t, kind) for k, kind in kinds.items()})
    axes.set(xlabel="t, the share of the iterations", ylabel="T(t)")


def supplement_figure_1(figure: Figure) -> None:
    """Supp. Eq. 2, and the same stretched, with the mass that is clamped to 0 and to 1."""
    panels = figure.subplots(1, 2, sharey=True)
    s = np.linspace(0.001, 0.999, 333)
    for k, log_alpha in enumerate((-1.0, 0.0, 1.0)):
        look = {"color": COLOURS[k], "ls": LINES[k], "label": f"log α = {log_alpha:g}"}
        panels[0].plot(s, density(s, 1 - s, log_alpha), **look)
        inside = unstretched(s)
        panels[1].plot(s, density(inside, 1 - inside, log_alpha) / (ZETA - GAMMA), **look)
        at_0 = distribution(unstretched(0.0), log_alpha)
        at_1 = 1 - distribution(unstretched(1.0), log_alpha)
        places = 0.02 * (k - 1) + np.array([0, 1])
        panels[1].vlines(places, 0, [at_0, at_1], color=COLOURS[k], lw=3)
    panels[0].set(title="binary concrete", xlabel="s", ylabel="density", ylim=(0, 3))
    panels[1].set(title="hard concrete (bars: P(z = 0), P(z = 1))", xlabel="z")


FIGURES = {
    "fig1": (figure_1, 7.5), "fig2": (figure_2, 4.5), "supp-fig1": (supplement_figure_1, 7.5),
}  # fmt: skip


def main(folder: Path) -> None:
    """Write all of them."""
    for name, (draw, width) in FIGURES.items():
        with rc_context(STYLE):
            figure = Figure(figsize=(width, 3.3), layout="constrained")
            draw(figure)
            handles, labels = figure.axes[0].get_legend_handles_labels()
            if name == "fig1":
                for axes in figure.axes:
                    axes.legend(frameon=False, loc="upper left")
            else:
                figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
