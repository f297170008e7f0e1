"""Text for people: how names are shown, and streams that may fail or lack characters.

A stream that fails loses its text, and nothing else: no run ends because its log cannot be written,
and a report that cannot be printed does not look like bad input.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

SUBSTITUTES = str.maketrans("█▉▊▋▌▍▎▏…", "#####   ~")  # for the characters of the tables


def shown(text: str) -> str:
    """The text, with escapes as in a Python string for what cannot be seen as it is.

    That is: control characters and newlines, marks that turn the direction of writing, and the
    bytes of a file name that is not in UTF-8.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: "0:01:30"."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


class Output:
    """A text stream that keeps its last failure in `error` instead of raising it.

    Characters that its encoding lacks become others, or escapes.
    """

    def __init__(self, stream: Any):
        self.stream: Any = stream
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # through which click would write UTF-8 to a stream in ASCII
            raise AttributeError(name)
        return getattr(self.stream, name)

    def write(self, text: str | bytes) -> int:
        """Write the text as the stream can take it; click writes completions as UTF-8."""
        text = text.decode() if isinstance(text, bytes) else text
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.translate(SUBSTITUTES)
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._attempt(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        self._attempt(self.stream.flush)

    def end(self) -> None:
        """Flush; what cannot be written is dropped, or Python would fail at exit, with code 120."""
        if not self._attempt(self.stream.flush):
            with suppress(OSError):  # a stream without a file
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def _attempt(self, action: Callable[..., Any], *arguments) -> bool:
        try:
            action(*arguments)
        except OSError as error:
            self.error = error
            return False
        return True


@contextmanager
def outputs() -> Iterator[Output | None]:
    """For the block, sys.stdout and sys.stderr are an `Output` each; yields that of stdout.

    A stream that was closed is None, as Python has it.
    """
    streams = sys.stdout, sys.stderr
    ours = [None if stream is None else Output(stream) for stream in streams]
    sys.stdout, sys.stderr = ours
    try:
        yield ours[0]
    finally:
        sys.stdout, sys.stderr = streams
        for output in filter(None, ours):
            output.end()
