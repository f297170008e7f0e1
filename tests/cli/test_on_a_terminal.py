"""A whole run on a real terminal, as it is seen there."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from cli.common import QUICK

CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")  # moves, erases, and colours
COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-9]|9[0-9])m")


def seen(width: int, folder, *options, encoding="utf-8", **environ) -> str:
    """All that `tinybar train` writes to a terminal of that many columns, which it runs on."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environ = {"TERM": "xterm-256color", "PYTHONIOENCODING": encoding, **environ}
    outer = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    child = subprocess.Popen(
        [sys.executable, "-m", "tinybar", "train", *QUICK, "--out", "run", *options],
        stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=outer | environ,
    )  # fmt: skip
    os.close(slave)
    written = b""
    with contextlib.suppress(OSError):  # how Linux tells the end of a terminal
        while part := os.read(master, 1 << 16):
            written += part
    os.close(master)
    assert child.wait() == 0
    return written.decode(encoding)


@pytest.mark.parametrize(
    ("width", "encoding", "environ"),
    [(60, "utf-8", {}), (80, "latin-1", {}), (120, "utf-8", {"NO_COLOR": "1"})],
)
def test_a_run(width, encoding, environ, tmp_path):
    text = seen(width, tmp_path, encoding=encoding, **environ)
    assert bool(COLOUR.search(text)) == ("NO_COLOR" not in environ)
    assert "\x1b[1A" in text  # lines are written over
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", CONTROL.sub("", text))]
    assert max(map(len, lines)) <= width
    frames = [line for line in lines if " images/s " in line and line.endswith(" left")]
    assert frames
    assert {line.split()[0] for line in frames} <= {"teacher", "prune", "fine-tune"}
    assert not [(len(line), line) for line in frames if len(line) != width]
    words = "\n".join(lines)
    for part in (
        "reading digits ... 0:00:0", "data     digits: 1,437 training", "While the budget falls",
        "measuring the latency ...", "  tinybar eval run",
    ):  # fmt: skip
        assert part in words
    assert ("━" in text) == (encoding == "utf-8")
