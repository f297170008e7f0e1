"""Several processes train one network: the same one as a single process, and as one run."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from plan import traffic
from runtime.launching import PATIENCE, ended, launch, needs_mpi

from tinybar import nn
from tinybar.runtime.files import load_arrays

pytestmark = needs_mpi
NO_STATE = {"terms", "index", "pixels", "means", "accuracy", "added"}


def steps(folder, n, *options) -> list[dict]:
    """What each of n processes has seen in steps of pruning: `on_ranks.py`."""
    folder = folder / str(n)
    folder.mkdir()
    script = Path(__file__).with_name("on_ranks.py")
    assert ended(launch(n, script, folder, *options)) == (0, "", "")
    return [dict(np.load(folder / f"{k}.npz")) for k in range(n)]


def distance(a, b, names) -> float:
    """|a - b| / |b|, of all these arrays together."""
    a, b = (np.concatenate([state[name].ravel() for name in names]) for state in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


# A ReLU whose input rounds to the other side of zero changes a gradient in float32 by far more than
# rounding; that happens as often if the images of a minibatch change places. Small steps do it
# rarely; in float64 none does.
@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        (("--dtype", "float64"), 1e-12),
        (("--dtype", "float64", "--augment", "--skip"), 1e-12),
        (("--dtype", "float32", "--lr", "1e-5", "--of", "50000"), 1e-5),
    ],
)
def test_any_number_of_processes_trains_the_same_network(options, tolerance, tmp_path):
    (alone,) = steps(tmp_path, 1, *options)
    state = alone.keys() - NO_STATE
    for n in (2, 3):
        found = steps(tmp_path, n, *options)
        assert distance(found[0], alone, state) <= tolerance
        for seen in found:
            for name in state:
                assert np.array_equal(seen[name], found[0][name]), name
            assert np.array_equal(seen["terms"], alone["terms"])  # V, b and f of each iteration
            assert np.allclose(seen["means"], alone["means"], rtol=1e3 * tolerance)
            assert seen["accuracy"] == alone["accuracy"]
        if "float64" in options:
            assert len(set(alone["terms"][:, 0])) > 10


def test_parts_of_a_minibatch_are_those_of_the_whole(tmp_path):
    """61 images on 3 processes, shifted and mirrored: each image once, and as it would be alone."""
    options = "--dtype", "float64", "--augment", "--batch", "61", "--steps", "3"
    (alone,) = steps(tmp_path, 1, *options)
    found = steps(tmp_path, 3, *options)
    sizes = [20, 20, 21]
    for name in ("index", "pixels"):
        parts = [
            seen[name].reshape(3, k, *seen[name].shape[1:])
            for seen, k in zip(found, sizes, strict=True)
        ]
        assert np.array_equal(np.concatenate(parts, 1).reshape(alone[name].shape), alone[name])
    assert distance(found[1], alone, alone.keys() - NO_STATE) < 1e-12


def test_what_is_added_in_a_step(tmp_path):
    """As `benchmarks/plan.py` has it; and the gradients in one bucket."""
    (seen, _) = steps(tmp_path, 2, "--steps", "2")
    of = traffic(nn.build("wrn-10-1", 10, (8, 8, 1), nn.HardConcrete))
    calls = 1 + of.reductions
    assert seen["added"].tolist() == [2 * (of.gradients + of.statistics), 2 * calls]


# --- a run, from its beginning to its end ---------------------------------------------------------

NETWORKS = "teacher.safetensors", "pruned.safetensors"
RUN = (
    "--model", "wrn-10-1", "--epochs", "2", "1", "0", "--teacher-epochs", "2", "--batch-size", "60",
)  # fmt: skip


def train(n, *arguments, **environ):
    return launch(n, "-m", "tinybar", "train", *arguments, **environ)


def processes_of(group: str) -> list[int]:
    """The processes with this word in their environment that compute, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environ = dict(e.split("=", 1) for e in path.read_text().split("\0") if "=" in e)
            command = (path.parent / "cmdline").read_text()
        except (OSError, UnicodeDecodeError):  # it has ended, or is another's
            continue
        if environ.get("TINYBAR_TEST") == group and "tinybar\0train" in command:
            found[environ.get("PMI_RANK")] = int(path.parent.name)
    return [found[rank] for rank in sorted(filter(None, found))]


def in_training(folder, n: int, *arguments):
    """(mpiexec, its processes) once the first epoch is over."""
    process = train(n, *arguments, TINYBAR_TEST=str(folder))
    end = time.monotonic() + PATIENCE
    while not (folder / "metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    return process, processes_of(str(folder))


def lines_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def resume_line(folder, n) -> str:
    return f"resume with `mpiexec -n {n} tinybar train --resume {folder}`\n"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("rank", [0, 2])
def test_a_process_that_is_killed_ends_all(rank, tmp_path):
    run, ranks = in_training(tmp_path / "run", 3, *RUN, "--out", tmp_path / "run")
    os.kill(ranks[rank], signal.SIGKILL)
    code, _, err = ended(run, within=10)
    assert code != 0
    said = "tinybar: error: a process of this run was killed; "
    assert err == said + resume_line(tmp_path / "run", 3)
    assert not processes_of(str(tmp_path / "run"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("to", "n"), [("mpiexec", 2), (1, 3)])
def test_an_interrupted_run_goes_on_with_two_processes(to, n, tmp_path):
    """Bit for bit if they were two before."""
    run, ranks = in_training(tmp_path / "run", n, *RUN, "--out", tmp_path / "run")
    os.kill(run.pid if to == "mpiexec" else ranks[to], signal.SIGTERM)
    code, _, err = ended(run)
    assert code == 143
    assert err.startswith("interrupted at iteration ")
    assert err.endswith(f" of stage 'teacher'; {resume_line(tmp_path / 'run', n)}")
    before = load_arrays(tmp_path / "run" / "checkpoint.safetensors", "checkpoint")[1]["progress"]
    assert (before["epoch"], before["sums"]["images"]) == (1, 60 * before["done"])

    code, _, err = ended(train(2, "--resume", tmp_path / "run"))
    assert (code, err) == (0, "")
    stages = [line["stage"] for line in lines_of(tmp_path / "run")]
    assert stages == ["teacher", "teacher", "prune", "prune", "fine-tune"]
    files = "config.toml", "metrics.jsonl", "result.json", *NETWORKS
    assert {path.name for path in (tmp_path / "run").iterdir()} == set(files)
    if n == 2:
        assert ended(train(2, *RUN, "--out", tmp_path / "whole"))[0] == 0
        for name in NETWORKS:
            assert (tmp_path / "run" / name).read_bytes() == (
                tmp_path / "whole" / name
            ).read_bytes()


FAILING = """
import sys
from tinybar.cli import entry
from tinybar.runtime import ranks
from tinybar.train import loop
rank, train_step, count = int(sys.argv.pop(1)), loop.train_step, 0
def failing(*arguments, **options):
    global count
    count += 1
    if count == 9 and ranks.rank() == rank:
        raise {error}
    return train_step(*arguments, **options)
loop.train_step = failing
entry()
"""


@pytest.mark.parametrize(
    ("rank", "error", "code", "line"),
    [
        (0, "MemoryError('no room')", 1, "tinybar: error: no room"),
        (1, "MemoryError('no room')", 1, "tinybar: error: no room (process 1 of 2)"),
        (1, "AssertionError('a fault')", 1, "AssertionError: a fault (process 1 of 2)"),
        (1, "ValueError('not so')", 2, "tinybar: error: not so (process 1 of 2)"),
    ],
)
def test_a_process_that_fails_ends_all_in_one_line(rank, error, code, line, tmp_path):
    script = FAILING.format(error=error)
    run = launch(2, "-c", script, rank, "train", *RUN, "--out", tmp_path / "run")
    found, _, err = ended(run)
    assert (found, err) == (code, f"{line}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--lr", "zero"), 2, "'zero' is not a valid float"),
        (("--model", "wrn-11-1"), 2, "depth 6n + 4 (10, 16, 22, 28, ...), not 11"),
        (("--batch-size", "2"), 2, "3 processes cannot share out minibatches of 2 images"),
        (("--resume", "nowhere"), 2, "nowhere is not a run folder"),
        (("--lr", "1e30"), 3, "is not finite in epoch 1, iteration "),
    ],
)
def test_what_all_find_is_said_once(arguments, code, line, tmp_path):
    where = () if "--resume" in arguments else (*RUN, "--out", tmp_path / "run")
    found, _, err = ended(train(3, *where, *arguments))
    assert found == code
    assert line in err
    assert err.count("\n") == 1
