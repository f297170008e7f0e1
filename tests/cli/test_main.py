"""The program: help, version, exit codes, and errors of exactly one line on stderr."""

import os
import subprocess
import sys

import click
import pytest
from cli.common import QUICK, fails_with_one_line
from data.making import in_folder, tree

import tinybar
from tinybar.cli import _show_warning, cli, main


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
    names = ["train", "sweep", "report", "eval", "predict", "export", "info", "audit", "bench"]
    assert [line.split()[0] for line in lines] == names
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: tinybar")


NO_DEFAULT = [
    "--resume",
    "--scheduler",
    "--tls-ca-file",
    "--tls-cert",
    "--tls-key",
    "--run",
    "--json",
]


@pytest.mark.parametrize("command", cli.commands)
def test_the_help_tells_every_default(command):
    """Of each option that takes a value, unless nothing is done where it is left out."""
    of = cli.commands[command]
    with of.make_context(command, ["x"] * 3, resilient_parsing=True) as context:
        for option in of.get_params(context):
            if isinstance(option, click.Option) and not (option.is_flag or option.hidden):
                _, text = option.get_help_record(context)
                told = "[default: " in text or "[required]" in text
                assert told or option.opts[0] in NO_DEFAULT, option.opts


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
    assert failed.returncode == 3
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("tinybar: error: ")
    assert "not finite in epoch 1" in failed.stderr
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


# --- names and streams ---------------------------------------------------------------------------

ODD = "my[old][red] :cat:\x1b[31m\u202e\n猫  2"
SHOWN = "my[old][red] :cat:\\x1b[31m\\u202e\\n猫  2"
REPORTS = ["--help", "train --help", "info 猫", "info --system", "eval 猫"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", ODD],
        ["info", ODD],
        ["train", "--data", ODD],
        ["train", "--resume", ODD],
        ["train", "--preset", f"{ODD}.toml"],
        ["train", ODD],
        [ODD],
        ["bench", "--json", f"{ODD}/x.json"],
    ],
)
def test_names_in_errors(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = fails_with_one_line(capsys, arguments, 2, "my[old][red] :cat:", "猫  2")
    assert error.strip().isprintable()


def test_names_in_warnings(capsys):
    _show_warning(UserWarning(f"cannot cache in {ODD}"), UserWarning, "file.py", 1)
    assert capsys.readouterr().err == f"tinybar: warning: cannot cache in {SHOWN}\n"


def test_a_name_that_is_not_unicode(capsys):
    fails_with_one_line(capsys, ["eval", "caf\udce9"], 2, "no such file: caf\\udce9")


@pytest.fixture
def photos(tmp_path):
    """A folder of images, of an odd name."""
    return in_folder(tmp_path / ODD, tree((8, 8, 3)))


@pytest.fixture
def stdout_to(monkeypatch):
    """Let stdout be a strict stream into a file, as PYTHONIOENCODING=ENCODING makes it."""

    def to(path, encoding="ascii"):
        file = open(path, "w", encoding=encoding)  # noqa: SIM115
        monkeypatch.setattr(sys, "stdout", file)
        return file

    return to


def test_names_in_a_run(photos, tmp_path, capsys):
    out = tmp_path / f"r[/x]{ODD}"
    assert main(["train", *QUICK, "--data", str(photos), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"data     {SHOWN}: " in printed
    assert f"results in {tmp_path}/r[/x]{SHOWN}\n" in printed
    assert printed.replace("\n", "").isprintable()
    assert main(["eval", str(out)]) == 0
    assert f" images of {SHOWN}; volume" in capsys.readouterr().out
    assert main(["info", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "r[/x]" + "".join(SHOWN.split()) in "".join(printed.split())
    assert printed.replace("\n", "").isprintable()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_no_encoding_makes_a_report_fail(encoding, run, stdout_to):
    run.rename("猫")
    for command in REPORTS:
        with stdout_to("out", encoding):
            assert main(command.split()) == 0
        with open("out", encoding=encoding) as file:
            assert file.read().strip()


def closed_pipe():
    reads, writes = os.pipe()
    os.close(reads)
    return os.fdopen(writes, "w")


STREAMS = {
    "ascii": lambda: open("log", "w", encoding="ascii"),  # noqa: SIM115
    "closed pipe": closed_pipe,
    "full disk": lambda: open("/dev/full", "w"),  # noqa: SIM115
    "closed": lambda: None,
}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("stdout", STREAMS)
def test_no_stream_makes_a_run_fail(stdout, photos, tmp_path, monkeypatch, capsys):
    """What is printed is lost at most; the run is not."""
    monkeypatch.chdir(tmp_path)
    with open(os.devnull) as nothing:  # closed at the end, as at exit
        stream = STREAMS[stdout]() or nothing
        monkeypatch.setattr(sys, "stdout", None if stdout == "closed" else stream)
        with stream:
            assert main(["train", *QUICK, "--data", str(photos), "--out", "run"]) == 0
    assert (tmp_path / "run" / "result.json").exists()
    lost = "tinybar: error: cannot write to stdout: No space left on device\n"
    assert capsys.readouterr().err == (lost if stdout == "full disk" else "")
    if stdout == "ascii":
        assert "猫".encode("unicode_escape").decode() in (tmp_path / "log").read_text()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("stdout", "code"), [("full disk", 1), ("closed pipe", 0), ("closed", 0)])
def test_a_report_that_cannot_be_printed_is_no_bad_input(stdout, code, monkeypatch, capsys):
    for command in ("--help", "--version", "info wrn-10-1", "info wrn-10-1 --json"):
        stream = STREAMS[stdout]()
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(command.split()) == code
        assert capsys.readouterr().err.count("\n") == code
        if stream is not None:
            stream.close()


def test_errors_need_no_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["eval", "nothing"]) == 2
    monkeypatch.setattr(sys, "stderr", closed_pipe())
    assert main(["eval", "nothing"]) == 2
    sys.stderr.close()


def test_python_ends_well_on_a_full_disk():
    """Its own flush at the end would make the exit code 120."""
    command = [sys.executable, "-m", "tinybar", "info", "wrn-10-1"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "tinybar: error: cannot write to stdout: No space left on device\n"


def test_the_script_has_its_process_for_itself():
    """A warning is one line, and freed memory is kept."""
    code = """
import atexit, sys, warnings
from tinybar.cli import entry
from tinybar.runtime import memory
atexit.register(lambda: warnings.warn("slower: " + memory.allocator()))
sys.argv = ["tinybar", "--version"]
entry()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("tinybar: warning: slower: ")
    assert done.stderr.count("\n") == 1
    assert "nothing was asked for" not in done.stderr
