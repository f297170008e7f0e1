"""`tinybar bench` from end to end, with tinybar alone: processes, results, errors."""

import json
import os
import sys
from statistics import median
from unittest.mock import patch

import pytest

from tinybar import nn, pruning
from tinybar.bench.case import PARTS, Case, Convolution
from tinybar.bench.engines import ENGINES, Engine, add_engine, choose_peers
from tinybar.bench.layers import Layer, algorithms, distinct
from tinybar.bench.runner import Worker, WorkerError, compare
from tinybar.bench.timing import LEAST_ROUNDS
from tinybar.cli import main
from tinybar.data import load
from tinybar.train.checkpoint import RunFolder, save_model
from tinybar.train.config import Config

TINY = ["wrn-10-1", "--image-shape", "8", "8", "3", "--batch-size", "4", "--threads", "1"]
ALONE = [*TINY, "--seconds", "0.01"]


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch):
    """Compiling kernels in every process would take longer than all else."""
    monkeypatch.setenv("TINYBAR_FAST", "off")


def tiny(**changes) -> Case:
    return Case(**{"network": "wrn-10-1", "image_shape": (8, 8, 3), "threads": 1, **changes})


# --- results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--gated"], ["--case", "infer"]], ids=str)
def test_json_has_all_that_was_measured(options, tmp_path, capsys):
    file = tmp_path / "bench.json"
    asked = ["--peers", "tinybar-numpy", "--json", str(file)]
    assert main(["bench", *ALONE, *asked, *options]) == 0
    facts = json.loads(file.read_text())
    assert facts["machine"].keys() == {"processor", "cores", "system", "python"}
    assert {"tinybar", "date", "threads", "seconds", "title", "missing"} < facts.keys()
    assert facts["case"] == {
        "kind": "infer" if "infer" in options else "step",
        "network": "wrn-10-1", "image_shape": [8, 8, 3], "classes": 10, "batch_size": 4,
        "gated": "--gated" in options, "threads": 1,
    }  # fmt: skip
    assert facts["engines"].keys() == {"tinybar", "tinybar-numpy"}
    for engine in facts["engines"].values():
        assert engine["versions"].keys() == {"tinybar", "numpy", "blas"}
        assert len(engine["rounds"]) >= LEAST_ROUNDS
        assert sum(map(len, engine["rounds"])) == engine["steps"]
        assert 0 < engine["fastest_ms"] <= engine["lower_ms"] <= engine["median_ms"]
        assert engine["images_per_second"] == pytest.approx(4000 / engine["median_ms"])
    ratio = facts["ratios"]["tinybar-numpy"]
    rounds = [facts["engines"][name]["rounds"] for name in ("tinybar-numpy", "tinybar")]
    ratios = [median(a) / median(b) for a, b in zip(*rounds, strict=True)]
    assert ratio["lower"] <= ratio["ratio"] <= ratio["upper"]
    assert ratio["ratio"] == pytest.approx(median(ratios), rel=0.01)  # times in JSON are rounded
    out = capsys.readouterr().out
    assert "ratio (quartiles)" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peaks_are_of_each_process_alone():
    small, large = tiny(batch_size=2), tiny(batch_size=2048)
    measured = compare({"small": ("tinybar", small), "large": ("tinybar", large)}, 0.01)
    images = 2048 * 8 * 8 * 16 * 4  # bytes of the activations of a convolution of 16 features
    assert measured["large"].peak > measured["small"].peak + images
    assert all(0 < m.resident <= m.peak for m in measured.values())


@pytest.fixture
def run(tmp_path):
    """A run's folder with its two networks, half of the features gone."""
    folder, dataset = RunFolder.create(tmp_path / "run", Config(model="wrn-10-1")), load("digits")
    shape = dataset.num_classes, dataset.image_shape
    save_model(folder.teacher, nn.build("wrn-10-1", *shape), dataset)
    gated = nn.build("wrn-10-1", *shape, nn.HardConcrete)
    for gate in pruning.gates_of(gated):
        gate.log_alpha.data[::2] = -9
    save_model(folder.pruned, pruning.compact(gated.eval()), dataset)
    return folder.path


def bench_run(run, peers, tmp_path) -> dict:
    file = tmp_path / "bench.json"
    options = ["--run", str(run), "--batch-size", "4", "--threads", "1", "--seconds", "0.01"]
    assert main(["bench", *options, "--peers", peers, "--json", str(file)]) == 0
    return json.loads(file.read_text())


def test_a_run_tells_what_became_of_its_flops(run, tmp_path, capsys):
    facts = bench_run(run, "", tmp_path)
    assert facts["engines"].keys() == {"full", "compact"}
    assert facts["case"]["kind"] == "infer"
    about = facts["run"]
    assert about["flops_full"] > 3 * about["flops"] > 0
    assert about["flop_factor"] == about["flops_full"] / about["flops"]
    assert about["speedup"] == facts["ratios"]["full"]["ratio"]
    assert about["share"] == about["speedup"] / about["flop_factor"]
    assert about["peers"] == {}
    out = capsys.readouterr().out
    assert "times fewer FLOPs" in out
    assert f"{100 * about['share']:.0f} % of the FLOP reduction realised" in out


def test_a_run_beside_a_peer(run, tmp_path, capsys):
    facts = bench_run(run, "tinybar-numpy", tmp_path)
    names = {"full", "compact", "full, tinybar-numpy", "compact, tinybar-numpy"}
    assert facts["engines"].keys() == names
    assert facts["ratios"].keys() == names - {"compact"}
    peer = facts["run"]["peers"]["tinybar-numpy"]
    assert peer["share"] == peer["speedup"] / facts["run"]["flop_factor"]
    assert peer["ratios"]["compact"] == facts["ratios"]["compact, tinybar-numpy"]
    medians = [
        [median(turn) for turn in facts["engines"][name]["rounds"]]
        for name in ("full", "full, tinybar-numpy", "compact, tinybar-numpy")
    ]
    ours, full, compact = medians
    expected = median(b / a for a, b in zip(ours, full, strict=True))
    assert peer["ratios"]["full"]["ratio"] == pytest.approx(expected, rel=0.01)
    expected = median(b / a for a, b in zip(compact, full, strict=True))
    assert peer["speedup"] == pytest.approx(expected, rel=0.01)
    out = capsys.readouterr().out
    assert out.count("of the FLOP reduction realised") == 2
    assert "tinybar : tinybar-numpy: full" in out


def test_a_peer_that_cannot_run_saved_networks(run, engine, capsys):
    add_engine("toy", engine)
    assert main(["bench", "--run", str(run), "--peers", "toy"]) == 2
    assert "toy only runs --case step of the network 'small'" in capsys.readouterr().err


def test_layers_has_every_convolution_and_every_algorithm(tmp_path, capsys):
    file = tmp_path / "bench.json"
    alone = ["--peers", "", "--layers", "--json", str(file)]
    assert main(["bench", *ALONE, *alone]) == 0
    facts = json.loads(file.read_text())
    names = {name for layer in facts["layers"] for name in layer["names"]}
    model = tiny().build()
    assert names == {layer.site.name for layer in pruning.hard_pruned(model)}
    total = sum(layer["flops"] * len(layer["names"]) for layer in facts["layers"])
    assert total == 4 * pruning.flops(model)
    for layer in facts["layers"]:
        tried = {entry["algorithm"] for entry in layer["times"]}
        assert layer["chosen"] in tried
        for entry in layer["times"]:
            assert all(entry[part]["median_ms"] > 0 for part in PARTS)
    assert "* tinybar's choice" in capsys.readouterr().out


def test_shapes_follow_images_that_are_no_squares():
    layers = distinct(tiny(image_shape=(9, 5, 1), batch_size=2))
    shapes = {name: layer.shapes for layer in layers for name in layer.names}
    assert shapes["stem"] == Convolution((2, 9, 5, 1), (3, 3, 1, 16), (1, 1), (1, 1))
    assert shapes["blocks.2.conv2"].x == (2, 3, 2, 64)
    assert shapes["blocks.2.shortcut"].output == (3, 2)
    assert Convolution.of(shapes["stem"].as_dict()) == shapes["stem"]


def test_only_algorithms_that_can_compute_a_shape_are_tried():
    strided = Convolution((2, 8, 8, 4), (3, 3, 4, 4), (2, 2), (1, 1))
    pointwise = Convolution((2, 8, 8, 4), (1, 1, 4, 4), (1, 1), (0, 0))
    assert "winograd" not in algorithms(strided)
    assert {"reference", "gather"} <= set(algorithms(strided))
    assert "pointwise" in algorithms(pointwise)
    assert Layer(pointwise).chosen in algorithms(pointwise)


# --- the processes -------------------------------------------------------------------------------


def test_a_worker_sees_its_threads_and_answers_in_order(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    with Worker("tinybar-numpy", 1) as worker:
        assert worker.environ["OPENBLAS_NUM_THREADS"] == "1"
        assert worker.environ["TINYBAR_FAST"] == "off"
        for name in "ab":
            worker.ask("prepare", name=name, case=tiny(batch_size=2).as_dict(), seconds=0.0)
        assert len(worker.run("a")(3, 1)) == 3
        assert len(worker.run("b")(1, 0)) == 1
        with pytest.raises(WorkerError, match=r"tinybar-numpy: KeyError: 'c'"):
            worker.run("c")(1, 0)
        assert worker.ask("forget") == {}


def test_what_fails_in_a_process_is_one_line():
    broken = tiny().as_dict() | {"network": "wrn-11-1"}
    with Worker("tinybar", 1) as worker, pytest.raises(WorkerError, match="depth 6n"):
        worker.ask("prepare", name="x", case=broken, seconds=0.0)


def test_a_process_that_dies_is_one_line(capsys, monkeypatch):
    with Worker("tinybar", 1) as worker:
        os.kill(worker._process.pid, 9)
        with pytest.raises(WorkerError, match="process of tinybar was killed by signal 9"):
            worker.ask("peak")

    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # no Python starts with that
    assert main(["bench", *ALONE, "--peers", ""]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tinybar: error: the process of tinybar ended with exit code")


def test_results_are_the_same_in_every_process():
    one, two = Case("infer", "small", threads=1).build(), Case("infer", "small", threads=1).build()
    for name, array in one.state_dict().items():
        assert (array == two.state_dict()[name]).all(), name


# --- errors --------------------------------------------------------------------------------------

ERRORS = [
    (["wrn-11-1"], "depth 6n + 4"),
    (["vgg"], "unknown model 'vgg'"),
    (["a.safetensors"], "--run RUN"),
    (["--batch-size", "0"], "--batch-size must be at least 1, got 0"),
    (["--threads", "0"], "--threads must be an integer from 1"),
    (["--threads", "100000"], "the processors there are"),
    (["--classes", "1"], "num_classes >= 2"),
    (["--image-shape", "0", "8", "3"], "image_shape"),
    (["--case", "sleep"], "use one of step, infer"),
    (["--seconds", "0"], "--seconds must be positive"),
    (["--seconds", "nan"], "--seconds must be positive"),
    (["--peers", "caffe"], "unknown peer 'caffe'"),
    (["--peers", "tinybar"], "unknown peer 'tinybar'"),
    (["small", "--gated"], "has no gates"),
    (["small", "--image-shape", "6", "8", "3"], "multiples of 4"),
    (["small", "--layers"], "residual networks"),
    (["--layers", "--gated"], "leave out --gated"),
    (["--run", "nowhere"], "nowhere is not a run folder"),
    (["wrn-10-1", "--run", "nowhere"], "leave out MODEL"),
    (
        ["--peers", "onnxruntime"],
        "only runs --case infer of wrn-D-K and resnets, the networks of --run",
    ),
    (["--gated", "--case", "infer", "--peers", "onnxruntime"], "only runs --case infer of"),
    (["--json", "no/such/folder.json"], "there is no folder no/such"),
]


@pytest.mark.parametrize(("options", "word"), ERRORS, ids=lambda value: str(value))
def test_errors_are_one_line(options, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("tinybar: error: ")
    assert captured.err.count("\n") == 1
    assert word in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


# --- engines -------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path):
    """An engine for training steps of the small network; what a test registers is forgotten."""
    (tmp_path / "toy_steps.py").write_text(TOY)
    with patch.dict(ENGINES):
        yield Engine("toy_steps", tmp_path, ("json",), networks=("small",), kinds=("step",))


TOY = """
def versions():
    return {"toy": "0.1"}

def prepare(case):
    return lambda: sum(case.batch()[1])
"""


def test_a_registered_engine_is_timed(engine, capsys):
    add_engine("toy", engine)
    add_engine("toy", engine)  # the same once more changes nothing
    with pytest.raises(ValueError, match="there is an engine 'toy' already"):
        add_engine("toy", Engine("other"))
    options = ["--batch-size", "4", "--threads", "1", "--seconds", "0.01"]
    assert main(["bench", "small", "--image-shape", "8", "8", "3", *options]) == 0
    assert "toy 0.1" in capsys.readouterr().out


def test_which_peers_are_chosen(engine, monkeypatch, capsys):
    add_engine("toy", engine)
    add_engine("absent", Engine("absent", needs=("no_such_module",), kinds=("infer",)))
    add_engine("compiled", Engine("toy_steps", needs=("json",), programs=("no-such-program",)))
    small = Case("step", "small", threads=1)
    assert choose_peers(None, small) == (["toy"], ["compiled"])
    assert choose_peers(None, tiny(gated=True)) == ([], ["compiled"])
    assert choose_peers(" tinybar-numpy ,,tinybar-numpy", small) == (["tinybar-numpy"], [])
    infer = ["bench", *ALONE, "--case", "infer"]
    for peer, message in [
        ("absent", "absent is not installed: pip install no_such_module"),
        ("compiled", "compiled is not installed: it needs no-such-program on the path"),
    ]:
        assert main([*infer, "--peers", peer]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setattr(Engine, "lacks", lambda _: "everything")
    assert main(infer) == 0
    assert "not installed: onnxruntime, absent, compiled" in capsys.readouterr().out
