"""What a shell completes."""

import shutil
import subprocess
import sys

import pytest

from tinybar.cli import main
from tinybar.data import DATASETS
from tinybar.pruning.methods import METHODS


def completed(line: str, monkeypatch, capsys) -> list[str]:
    """What is offered at the end of the line, as `type,value`, as a shell asks for it."""
    words = line.split(" ")
    monkeypatch.setenv("_TINYBAR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert main([]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("tinybar ev", ["eval"]),
        ("tinybar train --resu", ["--resume"]),
        ("tinybar train --method ", sorted(METHODS)),
        ("tinybar train --metric f", ["flops"]),
        ("tinybar train --data cifar", ["cifar10", "cifar100"]),
        ("tinybar train --model wrn-16", ["wrn-16-4"]),
        ("tinybar train --budget 1", ["16x"]),
        ("tinybar train --preset quick", ["quick-cifar10"]),
        ("tinybar train --device g", ["gpu"]),
        ("tinybar train --graph o", ["off"]),
        ("tinybar sweep q", ["quick"]),
        ("tinybar eval run --data mn", ["mnist"]),
        ("tinybar info wrn-2", ["wrn-28-12"]),
        ("tinybar bench resnet-5", ["resnet-56"]),
    ],
)
def test_names_and_values(line, values, monkeypatch, capsys):
    assert completed(line, monkeypatch, capsys) == [f"plain,{value}" for value in values]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("tinybar train --data ./ph", "file"),
        ("tinybar train --data-dir x", "dir"),
        ("tinybar train --teacher x", "file"),
        ("tinybar train --preset mine", "file"),
        ("tinybar sweep grids/", "file"),
        ("tinybar eval ru", "file"),
        ("tinybar info ru", "file"),
        ("tinybar report ru", "file"),
    ],
)
def test_paths_are_left_to_the_shell(line, kind, monkeypatch, capsys):
    assert completed(line, monkeypatch, capsys) == [f"{kind},{line.split()[-1]}"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path):
    """With the script that it is given."""
    program = tmp_path / "tinybar"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tinybar "$@"\n')
    program.chmod(0o755)
    lines = f"""
PATH={tmp_path}:$PATH
eval "$(_TINYBAR_COMPLETE=bash_source tinybar)"
COMP_WORDS=(tinybar train --data ""); COMP_CWORD=3
_tinybar_completion tinybar
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(DATASETS)
