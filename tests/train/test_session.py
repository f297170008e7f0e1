"""`tb.train`: the run of the command line, from Python."""

import inspect
import json
import signal
import subprocess
import sys

import pytest
from cli.common import QUICK
from train.toy import without_times

import tinybar as tb
from tinybar.cli import main
from tinybar.runtime import arrays, random
from tinybar.train.folder import RunFolder

OPTIONS = {"model": "wrn-10-1", "epochs": (1, 1, 0), "teacher_epochs": 1, "batch_size": 256}


def test_it_is_the_run_of_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = random.streams_state()
    result = tb.train(out=tmp_path / "here", **OPTIONS)
    assert capsys.readouterr() == ("", "")
    assert random.streams_state() == before
    assert main(["train", *QUICK, "--out", "there"]) == 0
    there = RunFolder("there")
    assert result.folder == tmp_path / "here"
    assert result == json.loads((result.folder / "result.json").read_text())
    for name in ("pruned.safetensors", "teacher.safetensors", "config.toml"):
        assert (result.folder / name).read_bytes() == (there.path / name).read_bytes()
    assert tb.load(result.folder)(tb.data.load("digits").test.images).shape == (360, 10)


def test_progress_is_told_when_it_is_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = []
    result = tb.train(progress=records.append, budget=0.5, **OPTIONS)
    assert [(r["stage"], r["epoch"]) for r in records] == [
        ("teacher", 1), ("prune", 1), ("fine-tune", 1)
    ]  # fmt: skip
    assert capsys.readouterr() == ("", "")
    assert result.folder.parent.name == "runs"
    again = tb.train(progress=True, budget=0.5, **OPTIONS)
    assert again.folder.name == f"{result.folder.name}-2"
    lines = capsys.readouterr().out.splitlines()
    epochs = [line for line in lines if not line.startswith("warning: ")]
    assert epochs[0].startswith("teacher 1/1: loss ")
    assert len(epochs) == 3
    assert f"accuracy {100 * result['accuracy_teacher']:.2f} %" in epochs[0]


def test_a_run_that_was_interrupted_goes_on(tmp_path):
    def interrupt(record):
        if record["stage"] == "prune":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tb.train(out=tmp_path / "run", progress=interrupt, **OPTIONS)
    assert arrays.device() == "cpu"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="a run keeps its options: --seed is 0, not 1"):
        tb.train(resume=tmp_path / "run", seed=1)
    resumed = tb.train(resume=tmp_path / "run")
    whole = tb.train(out=tmp_path / "whole", **OPTIONS)
    assert without_times(RunFolder(resumed.folder)) == without_times(RunFolder(whole.folder))
    pruned = [(r.folder / "pruned.safetensors").read_bytes() for r in (resumed, whole)]
    assert pruned[0] == pruned[1]
    with pytest.raises(ValueError, match="is complete: see"):
        tb.train(resume=tmp_path / "run")


def test_bad_options_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="unknown option 'bugdet': did you mean 'budget'"):
        tb.train(bugdet="8x")
    with pytest.raises(ValueError, match="--lr must be positive, got -1"):
        tb.train(lr=-1)
    with pytest.raises(ValueError, match="--lambda must be a number, got 'x'"):
        tb.train(lambda_="x")
    with pytest.raises(ValueError, match=r"unknown dataset '.*none'"):
        tb.train(data=tmp_path / "none")
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        tb.train(device="tpu")
    with pytest.raises(ValueError, match="budget"):
        tb.train(budget=3, **OPTIONS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "first", ["import tinybar.train.config", "from tinybar import train", "import tinybar as tb"]
)
def test_the_name_is_the_function_whatever_was_imported(first):
    code = f"{first}; import tinybar as tb; tb.train(bugdet=1)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "did you mean 'budget'" in done.stderr


def test_help_leads_to_the_options():
    assert "session.train" in inspect.getdoc(tb.train)
