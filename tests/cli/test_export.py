"""`tinybar export`."""

import json

import numpy as np
import pytest
from cli.common import fails_with_one_line

import tinybar as tb
from tinybar import data
from tinybar.cli import main

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("network", ["pruned", "teacher"])
def test_a_run_becomes_a_file_for_onnxruntime(run, capsys, network):
    options = ["--teacher"] if network == "teacher" else []
    assert main(["export", "run", "-o", "net.onnx", "--input", "float32", *options]) == 0
    out = capsys.readouterr().out
    assert out.startswith("net.onnx: 10 classes, ")
    assert "differ from tinybar's by at most " in out
    session = onnxruntime.InferenceSession("net.onnx")
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    digits = data.load("digits").test
    (logits,) = session.run(None, {"images": np.float32(digits.images / 16)})
    predicted = [classes[k] for k in logits.argmax(axis=1)]
    expected = tb.load(f"run/{network}.safetensors")(digits.images)
    assert predicted == [str(k) for k in expected.argmax(axis=1)]
    accuracy = np.mean([int(name) == y for name, y in zip(predicted, digits.labels, strict=True)])
    result = json.loads((run / "result.json").read_text())
    assert accuracy == result["accuracy_teacher" if options else "accuracy"]


def test_softmax_and_layout(run):
    options = ["--softmax", "--layout", "nchw", "--no-resize", "--opset", "18"]
    assert main(["export", "run", "-o", "net.onnx", *options]) == 0
    session = onnxruntime.InferenceSession("net.onnx")
    (found,) = session.run(["probabilities"], {"images": np.zeros((3, 1, 8, 8), np.uint8)})
    expected = tb.load("run")(np.zeros((1, 8, 8, 1), np.uint8))
    np.testing.assert_allclose(found, expected.repeat(3, 0), atol=1e-6)


def test_what_cannot_be_done_is_one_line(run, capsys):
    fails_with_one_line(capsys, ["export", "run"], 2, "-o")
    fails_with_one_line(capsys, ["export", "none", "-o", "x.onnx"], 2, "no such file: none")
    fails_with_one_line(capsys, ["export", "run", "-o", "no/x.onnx"], 1, "cannot write no/x.onnx")
    both = ["--input", "float32", "--resize"]
    fails_with_one_line(capsys, ["export", "run", "-o", "x.onnx", *both], 2, "own size")
    assert not (run / "x.onnx").exists()
