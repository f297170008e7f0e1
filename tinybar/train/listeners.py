"""Who is told how a run goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Called with the record of every epoch. If it has a method `step`, that is called when an epoch
# begins and after every step; if it has a method `note`, that with each line about the run, and if
# it has a method `warn`, that with each warning; the display is one.
Listener = Callable[[dict[str, Any]], None]


class Listeners:
    """Several listeners as one: each is told what it has a method for."""

    def __init__(self, *listeners: Listener):
        self.listeners = listeners

    def __call__(self, record: dict[str, Any]) -> None:
        for listen in self.listeners:
            listen(record)

    def step(self, *place: Any) -> None:
        """A step was made, or an epoch begins."""
        self._tell("step", *place)

    def note(self, line: str) -> None:
        """There is something to know."""
        self._tell("note", line)

    def warn(self, line: str) -> None:
        """There is a warning."""
        self._tell("warn", line)

    def _tell(self, what: str, *arguments) -> None:
        for listen in self.listeners:
            if hasattr(listen, what):
                getattr(listen, what)(*arguments)
