"""Names as they are shown, and streams that fail or lack characters."""

import io
import os
import sys

import pytest

from tinybar.report.text import Output, duration, outputs, shown


@pytest.mark.parametrize(
    ("text", "as_shown"),
    [
        ("my[old] [/x] :smile: 8x", "my[old] [/x] :smile: 8x"),
        ("é Ω 猫 \\n 'a  b'", "é Ω 猫 \\n 'a  b'"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x07\x9b", "\\x1b[31mred\\x07\\x9b"),
        ("\u202egnp.exe\u2066\u200b\u2028", "\\u202egnp.exe\\u2066\\u200b\\u2028"),
        ("caf\udce9", "caf\\udce9"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_cannot_be_seen_as_it_is_is_escaped(text, as_shown):
    assert shown(text) == as_shown


def encoded(text: str, encoding: str) -> bytes:
    """The bytes of the text on a strict stream."""
    raw = io.BytesIO()
    output = Output(io.TextIOWrapper(raw, encoding, errors="strict", newline="\n"))
    output.write(text)
    output.flush()
    return raw.getvalue()


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("ascii", b"##~ \\xe9 \\xd7 \\u732b \\udce9"),
        ("latin-1", b"##~ \xe9 \xd7 \\u732b \\udce9"),
        ("cp1252", b"##~ \xe9 \xd7 \\u732b \\udce9"),
        ("cp437", b"##~ \x82 \\xd7 \\u732b \\udce9"),
        ("utf-8", b"##~ \xc3\xa9 \xc3\x97 \xe7\x8c\xab \\udce9"),
    ],
)
def test_a_stream_has_the_characters_that_it_can_have(encoding, content):
    assert encoded("█▌… é × 猫 \udce9", encoding) == content


def test_what_a_stream_can_have_it_has():
    assert encoded("█▌… é × 猫\n", "utf-8") == "█▌… é × 猫\n".encode()
    assert encoded("███", "cp437") == b"\xdb\xdb\xdb"


def test_bytes_are_written_as_text():
    assert encoded("é".encode(), "latin-1") == b"\xe9"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3661, "1:01:01"), (9e5, "250:00:00")]
)
def test_a_duration(seconds, text):
    assert duration(seconds) == text


def closed_pipe():
    """A stream into a pipe that nobody reads, as after `| head`."""
    reads, writes = os.pipe()
    os.close(reads)
    return os.fdopen(writes, "w")


def full_disk():
    return open("/dev/full", "w")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("stream", [closed_pipe, full_disk])
def test_a_stream_that_fails_loses_its_text_alone(stream, monkeypatch):
    file = stream()
    monkeypatch.setattr(sys, "stdout", file)
    with outputs() as stdout:
        for _ in range(3):
            print("text", flush=True)
        print("a line that waits in the buffer")
    assert isinstance(stdout.error, OSError)
    assert sys.stdout is file
    file.close()  # as at exit: nothing is left that could fail


def test_a_closed_stream_stays_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with outputs() as stdout:
        assert stdout is sys.stdout is None
