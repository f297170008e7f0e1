"""Templates and the forms of numbers. All that is put into a page is escaped."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ..text import shown
from .statistics import Comparison, Spread
from .svg import COLOURS

SCRIPT = files(__package__).joinpath("templates", "sort.js").read_text("utf-8")


def render(template: str, **content: object) -> str:
    """The page. content: what the template names."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(
            script=Markup(SCRIPT),
            script_hash=f"sha256-{digest}",
            light={name: light for name, (light, _) in COLOURS.items()},
            dark={name: dark for name, (_, dark) in COLOURS.items()},
            version=__version__,
            **content,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda x: shown(x) if type(x) is str else x,
    )
    environment.filters |= {
        "whole": lambda n: f"{n:,.0f}",
        "percent": lambda x: f"{100 * x:.2f} %",
        "points": points,
        "spread": spread_text,
        "difference": difference_text,
        "digits": digits,
    }
    return environment


def points(x: float) -> str:
    """A difference of accuracies, in percentage points."""
    return f"{100 * x:+.2f}".replace("-", "−")


def spread_text(s: Spread | None) -> str:
    """0.971 ± 0.009; without a spread where there is a single value."""
    if s is None:
        return ""
    return f"{s.mean:.3f} ± {s.sd:.3f}" if s.n > 1 else f"{s.mean:.3f}"


def difference_text(c: Comparison | None) -> str:
    """+0.012 ± 0.004 (p = 0.062)."""
    if c is None:
        return ""
    return f"{signed(c.mean)} ± {c.sd:.3f} (p = {c.p:.2g})" if c.n > 1 else signed(c.mean)


def signed(x: float) -> str:
    """A difference of accuracies with three digits: +0.012, −0.004, 0.000."""
    return f"{x:+.3f}".replace("-", "−") if abs(x) >= 0.0005 else "0.000"


def digits(text: str) -> str:
    """A number with four digits after the point, or as a power of ten; another text as it is."""
    try:
        if "." in text and len(text) > 6:
            return f"{float(text):.4f}"
        return f"{float(text):.2e}" if text.isdigit() and len(text) > 9 else text
    except ValueError:
        return text
