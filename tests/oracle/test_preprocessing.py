"""onnxruntime resizes, crops and normalises as tinybar does: to the bit, whatever the sizes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tinybar import nn
from tinybar.data import normalise
from tinybar.data.files.decoder import Decoder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.oracle

from tinybar.deploy.onnx import ELEMENTS, OLDEST, Graph  # noqa: E402
from tinybar.deploy.preprocessing import (  # noqa: E402
    INPUTS,
    LAYOUTS,
    Preprocessing,
    add_preprocessing,
)

SIDES = st.integers(1, 70)
MEAN, STD = np.float32([0.4, 0.5, 0.3]), np.float32([0.2, 0.3, 0.1])


def computed(how: Preprocessing, shape, images: np.ndarray) -> np.ndarray:
    """What a graph of the preprocessing alone makes of the images, in the oldest opset."""
    make, graph = onnx.helper.make_tensor_value_info, Graph(nn.Linear(1, 1))
    output = add_preprocessing(graph, how, "images", shape)
    height, width, channels = shape
    given = make("images", ELEMENTS[how.input], ["N", *how.shape(shape)])
    made = make(output, onnx.TensorProto.FLOAT, ["N", channels, height, width])
    model = graph.to_model(given, made, OLDEST)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"images": images})[0].transpose(0, 2, 3, 1)


def expected(images: np.ndarray, shape) -> np.ndarray:
    decoder = Decoder(shape, "", resize=True, convert=True)
    pixels = [decoder.of_image(Image.fromarray(x[..., 0] if shape[2] == 1 else x)) for x in images]
    return normalise(np.stack(pixels), MEAN[: shape[2]], STD[: shape[2]], 255)


@given(SIDES, SIDES, st.integers(1, 200), st.integers(1, 200), st.sampled_from([1, 3]),
       st.sampled_from(LAYOUTS), st.integers(0, 99))  # fmt: skip
@example(30, 20, 1, 900, 3, "nhwc", 0)  # the ends are cut off first
@example(20, 30, 900, 2, 3, "nhwc", 0)
@example(32, 32, 32, 32, 3, "nhwc", 0)
@example(32, 32, 64, 64, 3, "nchw", 0)
@example(32, 32, 100, 40, 1, "nhwc", 0)  # Pillow in one call would begin with the height
def test_every_size_gives_the_pixels_of_tinybar(height, width, h, w, channels, layout, seed):
    shape = (height, width, channels)
    images = np.random.default_rng(seed).integers(0, 256, (2, h, w, channels), dtype=np.uint8)
    how = Preprocessing(MEAN[:channels], STD[:channels], layout)
    given = images if layout == "nhwc" else images.transpose(0, 3, 1, 2)
    found = computed(how, shape, np.ascontiguousarray(given))
    np.testing.assert_array_equal(found, expected(images, shape))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", INPUTS)
def test_without_a_resize(kind, layout):
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), dtype=np.uint8)
    given = images if kind == "uint8" else np.float32(images / 255)
    given = given if layout == "nhwc" else np.ascontiguousarray(given.transpose(0, 3, 1, 2))
    found = computed(Preprocessing(MEAN, STD, layout, kind, False), (9, 7, 3), given)
    np.testing.assert_allclose(found, expected(images, (9, 7, 3)), atol=2e-6)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="float32 input has the network's own size"):
        Preprocessing(MEAN, STD, "nhwc", "float32")
    with pytest.raises(ValueError, match="layout must be nhwc or nchw, got 'hwc'"):
        Preprocessing(MEAN, STD, "hwc")
    with pytest.raises(ValueError, match="input must be uint8 or float32, got 'int8'"):
        Preprocessing(MEAN, STD, "nhwc", "int8")
