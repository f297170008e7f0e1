"""Switches in the environment: TINYBAR_FAST, TINYBAR_DEBUG."""

from __future__ import annotations

import os

OFF = ("", "0", "false", "no", "off")


def is_on(name: str, default: bool) -> bool:
    """Whether the variable `name` switches on; `default` where it is not set.

    Empty, 0, false, no and off switch off, in capitals too; everything else switches on.
    """
    value = os.environ.get(name)
    return default if value is None else value.strip().lower() not in OFF
