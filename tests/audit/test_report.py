"""`tinybar audit`: its table, its JSON and its exit code."""

import json
import math

from rich.console import Console

import tinybar.audit
from tinybar.audit import Row, report
from tinybar.audit.report import summary
from tinybar.autograd import PRIMITIVES
from tinybar.cli import main

GOOD = Row("gates", "a check [bold]with markup[/]", "Eq. 5", 1e-13, 1e-12, True, "By hand.")
BAD = Row("costs", "another", "Supp. Eq. 1", math.inf, 0.0, False, "ValueError: [red] no")


def printed(rows, width=100) -> str:
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(report(rows))
    return capture.get()


def test_the_table():
    text = printed([GOOD, BAD])
    lines = [line.split() for line in text.splitlines()]
    assert ["gates"] in lines
    assert ["costs"] in lines
    row = next(line for line in lines if line[:2] == ["a", "check"])
    assert "[bold]with markup[/]" in text
    assert row[-3:] == ["1.0e-13", "1e-12", "pass"]
    failing = next(line for line in lines if line[:1] == ["another"])
    assert failing[-3:] == ["inf", "0e+00", "FAIL"]
    assert "FAIL costs: another: ValueError: [red] no" in text
    assert "2 checks, 1 failed, device " in joined(text)


def joined(text: str) -> str:
    return " ".join(text.split())


def test_a_narrow_terminal_keeps_the_numbers():
    assert "1.0e-13" in printed([GOOD], width=60)


def test_the_summary_names_the_device():
    assert summary([GOOD, GOOD]).startswith("2 checks, 0 failed, device ")
    assert "(cpu)" in summary([])
    assert summary([]).startswith("0 checks")


def test_a_row_is_plain_json():
    table = [row.as_dict() for row in (GOOD, BAD)]
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table[0]["error"] == 1e-13
    assert table[1]["error"] is None
    assert set(table[0]) == {"group", "name", "source", "error", "bound", "passed", "detail"}


def test_all_is_well(capsys):
    assert main(["audit", "--device", "cpu", "--seed", "1"]) == 0
    out = capsys.readouterr().out
    assert " 0 failed" in joined(out)
    assert "FAIL" not in out


def test_json_of_a_failing_audit(monkeypatch, capsys):
    monkeypatch.setattr(tinybar.audit, "run_audit", lambda seed: [GOOD, BAD])
    assert main(["audit", "--device", "cpu", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [GOOD.as_dict(), BAD.as_dict()]


def test_one_wrong_pullback_is_exit_code_1(monkeypatch, capsys):
    right = PRIMITIVES["sigmoid"].function

    def wrong(x):
        y, pullback = right(x)
        return y, lambda gy: 1.01 * pullback(gy)

    monkeypatch.setattr(PRIMITIVES["sigmoid"], "function", wrong)
    assert main(["audit", "--device", "cpu", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows if not row["passed"]] == ["sigmoid"]
