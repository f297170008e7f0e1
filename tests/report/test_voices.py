"""What `tinybar train` says, in each voice."""

import json
import shlex

import pytest
from cli.common import QUICK, fails_with_one_line

from tinybar.cli import cli, main
from tinybar.report.voices import NEXT, JsonLines
from tinybar.train.config import Config


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_quiet_says_nothing_but_warnings(here, capsys):
    assert main(["train", *QUICK, "--quiet", "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    warnings = json.loads((here / "run" / "result.json").read_text())["warnings"]
    assert warnings  # so short a run learns next to nothing
    assert err.splitlines() == [f"tinybar: warning: {line}" for line in warnings]


def test_lines_of_json_say_all(here, capsys):
    assert main(["train", *QUICK, "--json", "--out", "run"]) == 0
    out, err = capsys.readouterr()
    said = [json.loads(line) for line in out.splitlines()]
    said = [line for line in said if line["event"] != "step"]
    events = [line.pop("event") for line in said if line["event"] != "warning"]
    assert events == ["begin", "plan", *["epoch"] * 3, "result"]
    assert err == ""
    begin, plan, *epochs, result = (line for line in said if "text" not in line)
    assert begin["options"]["model"] == "wrn-10-1"
    assert (plan["data"]["train"], plan["data"]["classes"][0]) == (1437, "0")
    assert plan["plan"]["iterations"] == 3 * (1437 // 256)
    lines = (here / "run" / "metrics.jsonl").read_text().splitlines()
    written = [json.loads(line) for line in lines]
    assert [{k: v for k, v in line.items() if k != "epochs"} for line in epochs] == written
    assert result == json.loads((here / "run" / "result.json").read_text()) | {"folder": "run"}
    assert [line["text"] for line in said if "text" in line] == result["warnings"]


def test_a_step_a_second_is_said(capsys):
    now = 0.0
    voice = JsonLines(lambda: now)
    voice.listener(Config(), 2)
    for iteration in range(25):
        voice.step("teacher", 1, 2, iteration, 25, 64)
        now += 0.125
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["iteration"] for line in said] == [0, 8, 16, 24]
    place = {"stage": "teacher", "epoch": 1, "epochs": 2, "iteration": 8, "iterations": 25}
    speed = {"images_per_second": 64 / 0.125, "seconds_left": pytest.approx(42 * 0.125)}
    assert said[1] == {"event": "step"} | place | speed
    assert said[0]["seconds_left"] is None


def test_the_teacher_alone(here, capsys):
    assert main(["train", *QUICK, "--json", "--teacher-only", "--out", "run"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["path"]) == ("teacher", "run/teacher.safetensors")
    assert 0 < last["accuracy_teacher"] < 1


def test_a_run_ends_with_commands_that_can_be_pasted(here, capsys):
    assert main(["train", *QUICK, "--out", "my run"]) == 0
    out = capsys.readouterr().out
    lines = out[out.index("\nnext:\n") :].splitlines()[2:]
    assert len(lines) == len(NEXT)
    for line in lines:
        program, name, run, *_ = shlex.split(line)
        assert (program, run) == ("tinybar", "my run")
        assert name in cli.commands
    assert main(shlex.split(lines[0])[1:3]) == 0


def test_a_run_has_one_voice(here, capsys):
    fails_with_one_line(capsys, ["train", "--quiet", "--json"], 2, "leave one of them out")
    assert list(here.iterdir()) == []
