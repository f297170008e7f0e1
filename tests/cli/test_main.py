"""The program: help, version, exit codes, and errors of exactly one line on stderr."""

import os
import subprocess
import sys

import pytest
from cli.common import QUICK, fails_with_one_line

import tinybar
from tinybar.cli import cli, main

BAD_ARGUMENTS = [
    (["frobnicate"], "No such command 'frobnicate'"),
    (["train", "--frobnicate"], "--frobnicate"),
    (["train", "surplus"], "surplus"),
    (["eval"], "Missing argument"),
    (["eval", "nothing"], "no such file: nothing"),
    (["eval", "."], "is not a run folder"),
    (["eval", "nothing", "--threads", "0"], "--threads must be an integer from 1 to"),
    (["info"], "either a MODEL or --system"),
    (["info", "wrn-10-1", "--system"], "either a MODEL or --system"),
    (["info", "vgg"], "unknown model 'vgg'"),
    (["info", "wrn-10-1", "--classes", "1"], "num_classes >= 2"),
    (["info", "wrn-10-1", "--image-shape", "0", "8", "1"], "image_shape"),
    (["audit", "--device", "quantum"], "unknown device"),
    (["audit", "--seed", "-1"], "x>=0"),
]


@pytest.mark.parametrize(("arguments", "word"), BAD_ARGUMENTS, ids=str)
def test_bad_arguments(arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails_with_one_line(capsys, arguments, 2, word)


@pytest.mark.parametrize("command", cli.commands)
def test_every_command_has_help_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Examples:\n    tinybar {command}" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_help_lists_the_commands_in_order_and_in_full(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    lines = out[out.index("Commands:") :].splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["train", "eval", "info", "audit", "bench"]
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: tinybar")


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert tinybar.__version__ in capsys.readouterr().out


def python(*arguments, **environ) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tinybar", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environ,
    )


def test_the_module_exits_with_the_code():
    assert python("--version").returncode == 0
    failed = python("eval", "nothing")
    assert failed.returncode == 2
    assert failed.stderr == "tinybar: error: no such file: nothing\n"


def test_debugging_shows_the_traceback():
    failed = python("eval", "nothing", TINYBAR_DEBUG="1")
    assert "Traceback" in failed.stderr
    assert failed.returncode == 1
    assert "Traceback" not in python("eval", "nothing", TINYBAR_DEBUG="0").stderr


def test_a_diverging_loss_is_one_line(tmp_path):
    failed = python("train", *QUICK, "--lr", "1e30", "--out", str(tmp_path / "run"))
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("tinybar: error: the loss is ")
    assert "--lr" in failed.stderr


@pytest.mark.parametrize("command", ["train", "eval"])
def test_threads_are_set(command, run):
    """In a process of its own, whose BLAS would use two."""
    what = ["train", *QUICK, "--out", "threads"] if command == "train" else ["eval", "run"]
    code = f"""
from tinybar.cli import main
assert main({[*what, "--threads", "1"]}) == 0
from tinybar.runtime import blas, threads
print("threads:", blas.status()["blas_threads"], threads.count())
"""
    environ = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.splitlines()[-1] == "threads: 1 1"


def test_the_help_of_the_program_loads_no_network():
    """It answers at once; that of a command may load what it describes."""
    code = """
import sys
from tinybar.cli import main
main(["--help"])
print(*(name for name in sys.modules if name.startswith(("tinybar.nn", "tinybar.train", "rich"))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
