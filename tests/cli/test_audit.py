"""`tinybar audit`: its JSON and its exit code."""

import json
import math

import tinybar.audit
from tinybar.audit import Row
from tinybar.autograd import PRIMITIVES
from tinybar.cli import main

GOOD = Row("gates", "a check", "Eq. 5", 1e-13, 1e-12, True, "By hand.")
BAD = Row("costs", "another", "Supp. Eq. 1", math.inf, 0.0, False, "ValueError: no")


def test_all_checks_pass(capsys):
    assert main(["audit", "--device", "cpu", "--seed", "1"]) == 0
    out = capsys.readouterr().out
    assert " 0 failed" in " ".join(out.split())
    assert "FAIL" not in out


def test_json_of_a_failing_audit(monkeypatch, capsys):
    monkeypatch.setattr(tinybar.audit, "run_audit", lambda seed: [GOOD, BAD])
    assert main(["audit", "--device", "cpu", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert rows == [GOOD.as_dict(), BAD.as_dict()]
    assert [row["error"] for row in rows] == [1e-13, None]  # JSON has no infinity
    assert set(rows[0]) == {"group", "name", "source", "error", "bound", "passed", "detail"}


def test_one_wrong_gradient_is_exit_code_1(monkeypatch, capsys):
    right = PRIMITIVES["sigmoid"].function

    def wrong(x):
        y, *pullbacks = right(x)
        return 1.01 * y, *pullbacks

    monkeypatch.setattr(PRIMITIVES["sigmoid"], "function", wrong)
    assert main(["audit", "--device", "cpu", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert "sigmoid" in [row["name"] for row in rows if not row["passed"]]
