"""`tinybar report`."""

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from cli.common import QUICK, fails_with_one_line
from data.making import in_folder, tree
from report.pages.making import Page, sweep

from tinybar.cli import main
from tinybar.report.pages.results import load_result
from tinybar.report.pages.run import command_of
from tinybar.runtime.files import FileError
from tinybar.sweep.table import row, update
from tinybar.train.config import configure
from tinybar.train.evaluate import evaluate
from tinybar.train.folder import RunFolder

ODD = "<script>alert(1)", "$x^{", 'a & b"', "</b><img src=x onerror=alert(1)>".replace("/", "\\")


def page_of(capsys, *arguments) -> Page:
    """The page that the command writes; it must be whole, and load nothing."""
    assert main(["report", *map(str, arguments), "-o", "page.html"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "page.html"
    with open("page.html", encoding="utf-8") as file:
        page = Page(file.read())
    page.check()
    return page


def test_a_run(run, capsys):
    page = page_of(capsys, "run")
    result = json.loads((run / "result.json").read_text())
    for key in ("accuracy_teacher", "accuracy", "accuracy_hard"):
        assert f"{100 * result[key]:.2f} %" in page.text
    for key in ("volume_full", "volume", "flops", "params", "budget", "volume_regular"):
        assert f"{result[key]:,}" in page.text
    assert "Budget kept" in page.text
    assert f"2 / V_F = {2 / result['volume_full']:.3g}" in page.text
    assert f"block {len(result['channels']) // 3 - 1}:" in page.text  # drawn
    wrong = round((1 - evaluate("run", None, False)["accuracy"]) * 360)
    assert f"{wrong} of 360 test images are classified wrongly" in page.text
    assert len([1 for name, _ in page.tags if name == "img"]) == min(24, wrong)
    confusion = re.findall(r'<td style="--share: [^"]*"[^>]*>(\d*)', page.content)
    assert len(confusion) == 100
    assert sum(int(n or 0) for n in confusion) == 360


def test_the_command_of_a_page_repeats_the_run(run):
    config = RunFolder.open("run").load_config()
    words = shlex.split(command_of(config))
    assert words[:2] == ["tinybar", "train"]
    assert main([*words[1:], "--out", "again", "--teacher-only"]) == 0
    assert RunFolder.open("again").load_config() == config
    own = configure(
        {"data": "digits", "distill": False, "budget": "300", "lambda": 0.5, "live": "soft"}
    )
    assert "--no-distill" in command_of(own)
    assert "--lambda 0.5" in command_of(own)


def test_without_an_output_the_page_lies_in_the_run(run, capsys):
    assert main(["report", "run", "--no-test"]) == 0
    page = Page((run / "report.html").read_text("utf-8"))
    page.check()
    assert "they were not used: --no-test" in page.text
    assert "img" not in {name for name, _ in page.tags}


def test_data_that_is_gone(run, capsys):
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace('"digits"', '"moved/away"'))
    assert "they were not used: unknown dataset 'moved/away'" in page_of(capsys, "run").text


def test_a_run_of_an_earlier_version(run, capsys):
    """Without channels and operations in result.json."""
    result = json.loads((run / "result.json").read_text())
    del result["channels"], result["training_flops"]
    (run / "result.json").write_text(json.dumps(result))
    page = page_of(capsys, "run", "--no-test")
    assert "does not tell the channels of each convolution" in page.text
    assert "block 1 of" in page.text


def test_a_run_that_searched_lambda(run, capsys):
    result = json.loads((run / "result.json").read_text())
    result |= {"method": "l0", "probes": [[0.25, 900], [0.5, 1234567]]}
    (run / "result.json").write_text(json.dumps(result))
    text = page_of(capsys, "run", "--no-test").text
    assert "0.25 900 0.5 1,234,567" in text
    (run / "result.json").write_text(json.dumps(result | {"probes": [[None, 3]]}))
    fails_with_one_line(capsys, ["report", "run"], 2, "result.json is damaged: probes")


def test_names_of_classes_are_text(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    in_folder(tmp_path / "data <b>", tree((8, 8, 3), ODD, per_class=3))
    train = ["train", "--data", "data <b>", *QUICK, "--batch-size", "4", "--out", "run"]
    assert main(train) == 0
    capsys.readouterr()
    page = page_of(capsys, "run")
    for name in ODD:
        assert name in page.text
    assert "bar on data <b>:" in page.text


def test_runs_beside_each_other(run, capsys):
    shutil.copytree("run", "other")
    config = (run / "config.toml").read_text().replace("seed = 0", "seed = 1")
    config = config.replace('schedule = "sigmoid"', 'schedule = "linear"')
    (run.parent / "other" / "config.toml").write_text(config)
    result = json.loads((run / "result.json").read_text()) | {"seed": 1, "accuracy": 0.25}
    (run.parent / "other" / "result.json").write_text(json.dumps(result))
    page = page_of(capsys, "run", "other")
    assert "bar: wrn-10-1 on digits" in page.text
    assert "bar, schedule linear" in page.text
    assert "0.250" in page.text
    assert "Neurons in each block" in page.text
    with open("page.csv", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["run"] for line in lines] == ["run", "other"]
    assert [line["grid.schedule"] for line in lines] == ["sigmoid", "linear"]


def test_a_sweep(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    scores = {}

    def accuracy(method, factor, seed, distill):
        return scores.setdefault((method, factor, seed, distill), round(rng.uniform(0.5, 1), 4))

    sweep(tmp_path / "sweep", accuracy, factors=[2, 4, 16], distill=[True, False])
    page = page_of(capsys, "sweep")
    for method in ("bar", "magnitude"):
        for factor in (2, 4, 16):
            mine = [scores[method, factor, seed, True] for seed in range(3)]
            assert f"{np.mean(mine):.3f} ± {np.std(mine, ddof=1):.3f}" in page.text
            assert f"{min(mine):.4f}" in page.text
    for score in scores.values():
        assert f">{score}<" in page.content
    assert "50 %" in page.text  # volume beside volume_regular
    assert "bar, distill False instead of True" in page.text
    with open("page.csv", encoding="utf-8") as file:
        lines = list(csv.DictReader(io.StringIO(file.read())))
    assert len(lines) == 36
    assert {float(line["accuracy"]) for line in lines} == set(scores.values())


def test_a_network_of_the_paper_s_stands_before_its_points(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep(tmp_path / "s", lambda *_, **__: 0.9, model=["wrn-28-12"], dataset=["cifar10"])
    page = page_of(capsys, "s")
    assert "the paper's own results" in page.text
    assert page.text.count("the paper's ") >= 3


def test_names_in_a_sweep_are_text(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = "<script>alert(1)</script>"
    sweep(
        tmp_path / "s", lambda *_, **__: 0.9, methods=["bar", evil, "$x_{"],
        dataset=["<i>data</i>"], note=["<!--", "--><b onclick='x'>"],
    )  # fmt: skip
    update(tmp_path / "s" / "results.csv", [row("zz", {}, {}, f"{evil} went wrong")])
    page = page_of(capsys, "s")
    assert page.text.count(evil) > 5
    assert "wrn-10-1 on <i>data</i>" in page.text
    assert "$x_{" in page.text


# --- what cannot be used


def test_folders_that_are_none(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        fails_with_one_line(capsys, ["report", name], 2, f"{name} is neither the folder of a run")


def test_a_run_that_is_not_finished(run, capsys):
    (run / "result.json").unlink()
    fails_with_one_line(capsys, ["report", "run"], 2, "is not finished: tinybar train --resume run")


DAMAGE = {
    "result.json": ["", "[]", "{}", '{"method": 3}', "\x00", '{"method": "bar"'],
    "metrics.jsonl": ["", "{}\n", "[]\n", "x\n", '{"stage": 1}\n'],
    "pruned.safetensors": ["", "x" * 99],
    "config.toml": ["", "seed = ["],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files(name, run, capsys):
    for content in DAMAGE[name]:
        (run / name).write_text(content)
        fails_with_one_line(capsys, ["report", "run", "--no-test"], 2, name)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("value", ["<b>", None, float("nan"), -1, [], True, 10**400])
def test_an_entry_of_the_result_is_refused_or_shown(value, run, capsys):
    """Each alone is refused in a line that names it, or all that are not make a page."""
    whole = json.loads((run / "result.json").read_text())
    shown, refused = {}, {}
    for name in whole:
        (run / "result.json").write_text(json.dumps(whole | {name: value}))
        try:
            load_result(RunFolder("run"))
            shown[name] = value
        except FileError as error:
            refused[name] = str(error)
    assert len(refused) > 10
    assert all(name in reason for name, reason in refused.items())
    (run / "result.json").write_text(json.dumps(whole | shown))
    page_of(capsys, "run", "--no-test")


def test_a_table_without_a_column(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.csv").write_text("run,status,method\nq,finished,bar\n")
    fails_with_one_line(capsys, ["report", "."], 2, "results.csv", "the line of q has no model")
    (tmp_path / "results.csv").write_text("run,status\nq\n")
    fails_with_one_line(capsys, ["report", "."], 2, "results.csv is truncated or damaged")


def test_drawing_is_imported_where_it_is_needed_alone():
    code = "import sys, tinybar.cli; print({'matplotlib', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
