"""A file of ONNX is there only when it computes what tinybar computes."""

import io
import json
from functools import cache

import numpy as np
import pytest
from data.making import encoded, in_folder, noise, tree
from PIL import Image

import tinybar as tb
from tinybar import data, nn
from tinybar.deploy import export as exporting
from tinybar.train.models import save_model

onnx = pytest.importorskip("onnx")


def predictor_of(folder, shape=(8, 8, 3)):
    in_folder(folder / "pets", tree(shape))
    dataset = data.load(folder / "pets")
    save_model(folder / "net", nn.build("wrn-10-1", 2, dataset.image_shape), dataset)
    return tb.load(folder / "net")


@pytest.mark.parametrize("shape", [(8, 8, 3), (9, 6)])
def test_photographs_give_in_onnxruntime_what_they_give_here(tmp_path, shape):
    onnxruntime = pytest.importorskip("onnxruntime")
    predictor = predictor_of(tmp_path, shape)
    assert predictor.export(tmp_path / "net.onnx", softmax=True) <= 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    for k in range(6):
        photograph = encoded(noise(20 + 7 * k, 40 - k, *shape[2:], seed=k), "JPEG")
        image = np.asarray(Image.open(io.BytesIO(photograph)))
        image = image.reshape(1, *image.shape[:2], -1)
        (found,) = session.run(["probabilities"], {"images": image})
        expected = predictor(Image.open(io.BytesIO(photograph)))
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("options", [{}, {"input": "float32"}, {"resize": False, "opset": 13}])
def test_the_input_is_as_asked_for(tmp_path, layout, options):
    predictor_of(tmp_path).export(tmp_path / "net.onnx", layout=layout, **options)
    model = onnx.load(tmp_path / "net.onnx")
    (images,), (output,) = model.graph.input, model.graph.output
    axes = [axis.dim_param or axis.dim_value for axis in images.type.tensor_type.shape.dim]
    size = [8, 8] if options else ["height", "width"]
    assert axes == (["N", *size, 3] if layout == "nhwc" else ["N", 3, *size])
    kind = options.get("input", "uint8")
    assert (
        onnx.TensorProto.DataType.Name(images.type.tensor_type.elem_type)
        == ({"uint8": "UINT8", "float32": "FLOAT"}[kind])
    )
    assert output.name == "logits"
    assert model.opset_import[0].version == options.get("opset", 17)


def test_the_metadata_says_what_it_is(tmp_path):
    predictor = predictor_of(tmp_path)
    predictor.export(tmp_path / "net.onnx", input="float32")
    model = onnx.load(tmp_path / "net.onnx")
    found = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert found["classes"] == ["cat", "dog"]
    steps = found["preprocessing"]
    assert (steps["size"], steps["range"], steps["resize"]) == ([8, 8], [0, 1], "outside")
    np.testing.assert_array_equal(np.float32(steps["mean"]), predictor.mean)
    assert (model.producer_name, model.producer_version) == ("tinybar", tb.__version__)


def test_a_graph_that_computes_something_else_is_not_handed_over(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    predictor = predictor_of(tmp_path)
    monkeypatch.setattr(exporting, "read_images", lambda images, shape: noise(2, *shape))
    with pytest.raises(RuntimeError, match=r"outputs that differ by .*: no file was written"):
        predictor.export(tmp_path / "net.onnx")
    assert not list(tmp_path.glob("*.onnx*"))


def missing(*names):
    found = cache(exporting.find_spec)
    return lambda name: None if name in names else found(name)


def test_without_onnxruntime_the_checker_alone_tries_it(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", missing("onnxruntime"))
    assert predictor_of(tmp_path).export(tmp_path / "net.onnx") is None
    assert onnx.load(tmp_path / "net.onnx").graph.node


def test_what_cannot_be_is_refused(tmp_path, monkeypatch):
    predictor, path = predictor_of(tmp_path), tmp_path / "net.onnx"
    with pytest.raises(
        ValueError, match=r"--opset must be in \[13, \d+\], as onnx has them, got 9"
    ):
        predictor.export(path, opset=9)
    with pytest.raises(ValueError, match="float32 input has the network's own size"):
        predictor.export(path, input="float32", resize=True)
    with pytest.raises(OSError, match=r"cannot write .*net\.onnx: No such file"):
        predictor.export(tmp_path / "none" / "net.onnx")
    monkeypatch.setattr(exporting, "find_spec", missing("onnx"))
    with pytest.raises(ValueError, match=r"pip install 'tinybar\[onnx\]'"):
        predictor.export(path)
