"""The budget that was asked for, in the units of its metric."""

from __future__ import annotations

import math


def parse_budget(text: str, full: int) -> int:
    """B for a network of full cost V_F: "8x" is V_F / 8, "0.125" a fraction of it, "200000" is B.

    Rounded down. Raises ValueError for anything else, and unless 0 < B <= V_F.
    """
    text = str(text).strip()
    try:
        if text.endswith(("x", "X", "×")):
            factor = float(text[:-1])
            if not (factor >= 1 and math.isfinite(factor)):
                raise ValueError(f"budget {text!r}: a factor is at least 1, as in 8x")
            target = math.floor(full / factor)
        elif text.lstrip("+-").isdigit():
            target = int(text)
        else:
            fraction = float(text)
            if not 0 < fraction <= 1:
                raise ValueError(f"budget {text!r}: a fraction lies in (0, 1]")
            target = math.floor(full * fraction)
    except ValueError as error:
        if str(error).startswith("budget"):
            raise
        raise ValueError(
            f"budget {text!r}: use a factor (8x), a fraction (0.125) or a number"
        ) from None
    if not 0 < target <= full:
        raise ValueError(
            f"budget {text!r} is {target:,}: it must lie in 1..{full:,}, the full network"
        )
    return target
