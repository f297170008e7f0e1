"""The budget that was asked for, in the units of its metric."""

from __future__ import annotations

import math
from typing import Any

FORMS = "a factor (8x), a fraction (0.125) or an integer (200000)"


def parse_budget(text: str, full: int) -> int:
    """B for a network of full cost V_F: "8x" is V_F / 8, "0.125" a fraction of it, "200000" is B.

    Rounded down. Raises ValueError for anything else, and unless 0 < B <= V_F.
    """
    text = str(text).strip()
    is_factor = text.endswith(("x", "X", "×"))
    is_integer = text.lstrip("+-").isdigit()
    try:
        value: Any = int(text) if is_integer else float(text[:-1] if is_factor else text)
    except ValueError:
        raise ValueError(f"--budget {text!r}: use {FORMS}") from None
    if is_factor and not (value >= 1 and math.isfinite(value)):
        raise ValueError(f"--budget {text!r}: a factor must be at least 1")
    if not (is_factor or is_integer or 0 < value <= 1):
        raise ValueError(f"--budget {text!r}: a fraction must be in (0, 1]")
    if not is_integer:
        value = math.floor(full / value if is_factor else full * value)
    if not 0 < value <= full:
        raise ValueError(
            f"--budget {text!r} is {value:,}: it must be in 1..{full:,}, up to the full network"
        )
    return value
