"""Arrays that were changed in place while a tape may still need what they held.

An optimizer writes into the arrays of its parameters, which pullbacks have captured. What is
noted here is when; a pullback that was recorded before, and holds such an array, would compute with
the new values. Nothing is counted while a network computes: the tape looks only if something was
changed since, and then follows what the pullback refers to. A change that nobody notes, such as
`x.data[0] = 1`, is not seen.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator
from types import FrameType, FunctionType, GeneratorType, ModuleType
from typing import Any

import numpy as np

from ..runtime.arrays import array_module

clock: Iterator[int] = itertools.count()  # one order for the nodes of all tapes and for changes
latest: int = -1  # when something was last changed
_changed: dict[int, int] = {}  # id of an array that owns memory -> when it was last changed
_NOT_FOLLOWED = (ModuleType, type, FrameType, GeneratorType)  # the whole program is behind them


def note_change(array: Any) -> None:
    """`array` has been changed in place."""
    global latest
    latest = next(clock)
    _changed[id(_owner(array))] = latest


def holds_changed(pullback: Any, since: int) -> bool:
    """Whether an array within reach of this function has been changed after `since`."""
    seen, todo = set(), [pullback]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, _NOT_FOLLOWED):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray) or array_module(thing) is not np:
            if _changed.get(id(_owner(thing)), -1) > since:
                return True
        elif isinstance(thing, FunctionType):  # but not its globals
            todo += [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
        else:
            todo += gc.get_referents(thing)
    return False


def _owner(array):
    """The array whose memory this one views; itself, if it is no view."""
    while hasattr(array.base, "dtype"):
        array = array.base
    return array
