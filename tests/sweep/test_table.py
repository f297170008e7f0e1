"""results.csv is the record of a sweep: whole, ordered, and read back as it was."""

import pytest

from tinybar.runtime.files import FileError
from tinybar.sweep.table import finished, load, row, update

RESULT = {"method": "bar", "accuracy": 0.9, "warnings": ['a, "b"'], "latency_ms": None}


def test_rows_come_back_and_others_stay(tmp_path):
    path = tmp_path / "results.csv"
    update(path, [row("b", {"budget": "4x"}, RESULT), row("c", {}, {}, 'no, "x"; é')])
    update(path, [row("a", {"budget": "8x"}, RESULT | {"probes": [[1, 2], [3, 4]]})])
    lines = load(path)
    assert [line["run"] for line in lines] == ["a", "b", "c"]
    assert lines[0]["probes"] == "2"
    assert lines[0]["grid.budget"] == "8x"
    assert float(lines[1]["accuracy"]) == 0.9
    assert "warnings" not in lines[1]
    assert lines[2]["reason"] == 'no, "x"; é'
    assert finished(path) == {"a", "b"}


def test_a_run_that_failed_can_finish(tmp_path):
    path = tmp_path / "results.csv"
    update(path, [row("a", {}, {}, "full disk")])
    assert finished(path) == set()
    update(path, [row("a", {}, RESULT)])
    assert finished(path) == {"a"}
    assert len(load(path)) == 1


def test_what_is_not_known_any_more_stays(tmp_path):
    path = tmp_path / "results.csv"
    update(path, [row("a", {}, RESULT | {"seconds_teacher": 3.0})])
    before = path.read_bytes()
    update(path, [row("a", {}, RESULT)])
    assert path.read_bytes() == before


def test_the_order_of_rows_does_not_matter(tmp_path):
    rows = [row(name, {}, RESULT | {"seed": k}) for k, name in enumerate("abc")]
    update(tmp_path / "one.csv", rows)
    for one in reversed(rows):
        update(tmp_path / "two.csv", [one])
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


@pytest.mark.parametrize("text", ["run,status\na,finished,more\n", "run,status\na\n", "x\n1\n"])
def test_a_damaged_file_is_refused(text, tmp_path):
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(FileError, match=r"results\.csv"):
        load(tmp_path / "results.csv")
