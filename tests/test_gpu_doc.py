"""docs/gpu.md is true: what it names exists, and what it quotes is said."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "gpu.md").read_text("utf-8")


def test_files_that_are_named_exist():
    links = {ROOT / "docs" / path for path in re.findall(r"\]\((\.\./[^)#]+)\)", TEXT)}
    paths = {ROOT / p for p in re.findall(r"\b(?:benchmarks|tests|tinybar)/[\w/]+(?:\.\w+)?", TEXT)}
    assert len(links) > 0
    assert len(paths) > 5
    assert [path for path in links | paths if not path.exists()] == []


def test_lines_that_are_quoted_are_said():
    code = (ROOT / "tinybar" / "runtime" / "gpu.py").read_text("utf-8")
    said = re.sub(r'"\s+f?"', "", code)  # a text in several pieces
    table = TEXT.partition("| line | what helps |\n|---|---|\n")[2].partition("\n\n")[0]
    quoted = [row.split("|")[1].strip() for row in table.splitlines()]
    assert len(quoted) == 6
    for line in quoted:
        for piece in re.split(r"12\.4|cuBLAS \(or NVRTC, NCCL\)|gpu:0|, the driver", line):
            assert piece.strip() in said, line


@pytest.mark.parametrize("option", ["--resume", "--device", "--quick"])
def test_options_of_the_script_are_there(option):
    assert option in TEXT
    assert f'"{option}"' in (ROOT / "benchmarks" / "gpu.py").read_text("utf-8")
