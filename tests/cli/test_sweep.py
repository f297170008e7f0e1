"""`tinybar sweep`: everything is trained once, whatever happens in between."""

import os
import signal
import subprocess
import sys
import time

import pytest
from cli.common import fails_with_one_line

from tinybar.cli import main
from tinybar.sweep.table import load

GRID = """
[grid]
method = ["bar", "scratch"]
budget = ["4x"]
seed = [0, 1]

[options]
model = "wrn-10-1"
epochs = [1, 1, 0]
teacher_epochs = 1
batch_size = 256
"""
LONG = GRID.replace("[1, 1, 0]", "[500, 1, 0]").replace('["bar", ', "[")  # two runs
TIMES = {"seconds", "seconds_teacher", "latency_ms", "latency_full_ms", "peak_bytes"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a sweep that has ended."""
    home = tmp_path_factory.mktemp("sweep")
    (home / "grid.toml").write_text(GRID)
    assert main(["sweep", str(home / "grid.toml"), "--out", str(home / "out"), "--jobs", "2"]) == 0
    return home


def results(out):
    return [{k: v for k, v in line.items() if k not in TIMES} for line in load(out / "results.csv")]


def start(home, out, *options):
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "tinybar", "sweep", str(home / "grid.toml"), "--out", str(out)]
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, *options], stdout=pipe, stderr=pipe, text=True)


def wait_until(condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("nothing happened for a minute")


def test_every_run_has_a_line_and_its_teacher(done):
    lines = results(done / "out")
    assert [(line["method"], line["seed"]) for line in lines] == [
        ("bar", "0"), ("bar", "1"), ("scratch", "0"), ("scratch", "1")
    ]  # fmt: skip
    assert {line["status"] for line in lines} == {"finished"}
    assert {line["grid.budget"] for line in lines} == {"4x"}
    assert len({line["accuracy_teacher"] for line in lines}) == 2
    assert len(list((done / "out" / "teachers").glob("*/teacher.safetensors"))) == 2
    assert all(int(line["volume"]) <= int(line["budget"]) for line in lines)


def test_what_is_finished_is_not_trained_again(done, capsys):
    before = (done / "out" / "results.csv").read_bytes()
    logs = [log.read_bytes() for log in sorted((done / "out").rglob("*.log"))]
    assert main(["sweep", str(done / "grid.toml"), "--out", str(done / "out")]) == 0
    assert "4 of 4 runs finished" in capsys.readouterr().out
    assert (done / "out" / "results.csv").read_bytes() == before
    assert [log.read_bytes() for log in sorted((done / "out").rglob("*.log"))] == logs


def test_results_csv_alone_says_what_is_finished(done, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    csv = (done / "out" / "results.csv").read_bytes()
    (tmp_path / "out" / "results.csv").write_bytes(csv)
    assert main(["sweep", str(done / "grid.toml"), "--out", str(tmp_path / "out")]) == 0
    assert not list((tmp_path / "out" / "runs").glob("*/result.json"))
    assert (tmp_path / "out" / "results.csv").read_bytes() == csv


def test_killed_at_once_and_interrupted_it_ends_with_the_same_results(done, tmp_path):
    out = tmp_path / "out"
    sweep = start(done, out, "--jobs", "2")
    wait_until(lambda: list(out.glob("runs/*/metrics.jsonl")))
    sweep.kill()
    sweep.communicate()
    sweep = start(done, out, "--jobs", "1")
    wait_until(lambda: list(out.glob("runs/*/result.json")))
    sweep.send_signal(signal.SIGTERM)
    _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 143, err
    assert "interrupted; the same command goes on" in err
    first, second = start(done, out, "--jobs", "1"), start(done, out, "--jobs", "1")  # two at once
    assert [first.wait(timeout=120), second.wait(timeout=120)] == [0, 0]
    first.communicate(), second.communicate()
    assert results(out) == results(done / "out")


def test_a_process_that_is_killed_is_begun_again(done, tmp_path):
    out = tmp_path / "out"
    sweep = start(done, out, "--jobs", "1")
    wait_until(lambda: list(out.glob("teachers/*/lock")))
    (lock,) = out.glob("teachers/*/lock")
    wait_until(lambda: lock.exists() and lock.read_text().isdigit())
    os.kill(int(lock.read_text()), signal.SIGKILL)
    assert sweep.wait(timeout=120) == 0, sweep.communicate()
    sweep.communicate()
    assert results(out) == results(done / "out")


def test_two_in_one_folder_share_the_work(done, tmp_path):
    """The second one leaves what the first is at, and ends at once when it is asked to."""
    out, grid = tmp_path / "out", tmp_path / "grid.toml"
    grid.write_text(LONG)
    first = start(tmp_path, out, "--jobs", "1")
    wait_until(lambda: list(out.glob("runs/*/metrics.jsonl")))
    second = start(tmp_path, out, "--jobs", "1")
    wait_until(lambda: len(list(out.glob("runs/*/metrics.jsonl"))) == 2)
    third = start(tmp_path, out, "--jobs", "1")  # has nothing to do
    assert "is at work" in third.stdout.readline()
    assert listed(grid, out).count("at work") == 2
    for sweep in (third, second, first):
        sweep.terminate()
        _, err = sweep.communicate(timeout=60)
        assert (sweep.returncode, "goes on" in err) == (143, True), err
    assert not list(out.rglob("lock")) + list(out.rglob("*.lock"))
    assert listed(grid, out).count("waiting") == 2


def listed(grid, out):
    command = [sys.executable, "-m", "tinybar", "sweep", str(grid), "--out", str(out), "--dry-run"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_run_that_fails_is_told_and_the_others_go_on(tmp_path, capsys):
    text = GRID.replace("seed = [0, 1]", "seed = [0]\nlr = [0.001, 1e20]")
    (tmp_path / "grid.toml").write_text(text)
    command = ["sweep", str(tmp_path / "grid.toml"), "--out", str(tmp_path / "out"), "--jobs", "2"]
    assert main(command) == 1
    assert "2 of 4 runs finished" in capsys.readouterr().out
    failed = [line for line in results(tmp_path / "out") if line["status"] == "failed"]
    assert len(failed) == 2
    assert all("its teacher failed" in line["reason"] for line in failed)
    logs = sorted((tmp_path / "out" / "teachers").glob("*.log"))
    before = [log.stat().st_size for log in logs]
    assert main(command) == 1  # as it was: nothing is tried again
    assert [log.stat().st_size for log in logs] == before
    assert main([*command, "--retry", "--dry-run"]) == 0
    assert len(list((tmp_path / "out").rglob("*.failed"))) == 1  # a list changes nothing
    assert main([*command, "--retry"]) == 1
    assert [log.stat().st_size for log in logs] != before


def test_a_dry_run_trains_nothing(done, tmp_path, capsys):
    command = ["sweep", str(done / "grid.toml"), "--out", str(tmp_path / "out"), "--dry-run"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.count("waiting") == 4
    assert not (tmp_path / "out").exists()


def test_bad_input_is_one_line(done, tmp_path, capsys):
    fails_with_one_line(capsys, ["sweep", "none", "--out", tmp_path / "o"], 2, "unknown grid")
    (tmp_path / "file").write_text("")
    grid = done / "grid.toml"
    fails_with_one_line(capsys, ["sweep", grid, "--out", tmp_path / "file"], 1, "Not a directory")


def test_a_dask_cluster(done, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster:
        sweep = start(done, tmp_path / "out", "--scheduler", cluster.scheduler_address)
        assert sweep.wait(timeout=120) == 0, sweep.communicate()
        sweep.communicate()
        assert results(tmp_path / "out") == results(done / "out")
        (tmp_path / "grid.toml").write_text(LONG)
        sweep = start(tmp_path, tmp_path / "long", "--scheduler", cluster.scheduler_address)
        wait_until(lambda: list(tmp_path.glob("long/runs/*/metrics.jsonl")))
        sweep.terminate()
        _, err = sweep.communicate(timeout=60)
        assert (sweep.returncode, err) == (143, "interrupted; the same command goes on\n")
        wait_until(lambda: not list(tmp_path.glob("long/runs/*/lock")))  # the workers' runs, too
        assert not list(tmp_path.glob("long/runs/*/result.json"))


def test_no_scheduler(done, tmp_path, capsys):
    pytest.importorskip("distributed")
    command = ["sweep", done / "grid.toml", "--out", tmp_path]
    bad = ("nonsense://x:1", "127.0.0.1:1", "tcp://x")
    for address in bad:
        fails_with_one_line(capsys, [*command, "--scheduler", address], 2, "tcp://HOST:PORT")
    secure = [*command, "--scheduler", "tls://127.0.0.1:1"]
    fails_with_one_line(capsys, secure, 2, "--tls-ca-file, --tls-cert and --tls-key go with")
    pem = ["--tls-cert", done / "grid.toml"]
    fails_with_one_line(capsys, [*command, *pem], 2, "go with --scheduler tls://")
