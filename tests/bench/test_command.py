"""`tinybar bench` from its options to its output."""

from statistics import median

import pytest

from tinybar.bench.runner import LEAST_ROUNDS
from tinybar.cli import main

from .common import TINY, results


@pytest.mark.parametrize("options", [[], ["--gated"], ["--case", "infer"]], ids=str)
def test_json_has_all_that_was_measured(options, tmp_path, capsys):
    facts = results(tmp_path, *TINY, "--peers", "tinybar-numpy", *options)
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
    (["--launches", "--gated"], "leave out --gated"),
    (["--launches"], "PYTHONPATH=tests/gpu/standin tinybar bench --launches"),
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
