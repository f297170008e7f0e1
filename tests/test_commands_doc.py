"""docs/commands.md: what it says of the command line."""

import json
import re
from pathlib import Path

from cli.common import QUICK

from tinybar.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "commands.md").read_text("utf-8")


def table(after: str) -> dict[str, str]:
    """The rows of the first table after these words: its first cell and the others."""
    lines = PAGE[PAGE.index(after) :].split("\n|---", 1)[1].split("\n\n")[0].splitlines()[1:]
    rows = (line.strip("| ").split(" | ", 1) for line in lines)
    return {key.strip("`"): rest for key, rest in rows}


def test_the_events_and_their_keys(tmp_path, capsys):
    """Of two runs, one of which ends with the teacher."""
    out, words = str(tmp_path / "run"), table("### `--json`")
    assert main(["train", *QUICK, "--json", "--teacher-only", "--out", out]) == 0
    assert main(["train", "--resume", out, "--json"]) == 0
    said = {}
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        said.setdefault(line.pop("event"), line)
    assert said.keys() == words.keys()
    for event in ("begin", "plan", "step", "warning", "teacher"):
        named = re.findall("`([a-z_]+)`", words[event])
        assert set(named) == said[event].keys(), event
    for event in ("epoch", "result"):
        assert set(re.findall("`([a-z_]+)`", words[event])) <= said[event].keys()


def test_the_help_has_the_exit_codes(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    codes = table("## Exit codes")
    assert list(codes) == ["0", "1", "2", "3", "128 + n"]
    assert all(re.search(rf"^ .*\b{re.escape(code)}  ", out, re.MULTILINE) for code in codes)
    assert "docs/commands.md" in out


def test_every_shell_has_its_script(monkeypatch, capsys):
    lines = re.findall(r"_TINYBAR_COMPLETE=(\w+) tinybar", PAGE)
    assert lines == ["bash_source", "zsh_source", "fish_source"]
    for kind in lines[1:]:  # bash is asked for its version: tests/cli/test_completion.py
        monkeypatch.setenv("_TINYBAR_COMPLETE", kind)
        assert main([]) == 0
        assert "_TINYBAR_COMPLETE" in capsys.readouterr().out
