"""The exported graph computes in onnxruntime what the network computes in tinybar."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import (
    SHARES,
    bottlenecks,
    gated,
    images,
    post_activation,
    random_gates,
    randomise,
    set_gate,
)

import tinybar as tb
from tinybar import nn, pruning

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.oracle

from tinybar.bench import onnxruntime_steps, tinybar_steps  # noqa: E402
from tinybar.bench.case import Case  # noqa: E402
from tinybar.cli import main  # noqa: E402
from tinybar.data import load  # noqa: E402
from tinybar.deploy import to_onnx  # noqa: E402
from tinybar.deploy.onnx import OPSET  # noqa: E402
from tinybar.train.models import save_model  # noqa: E402

SEEDS = st.integers(0, 2**32 - 1)
NETWORKS = st.sampled_from([(10, 2), (16, 2), (16, 1), (10, 1)])
POST = st.sampled_from(["bottlenecks", "basic"])
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))


def run(graph: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    return session.run(["logits"], {"images": x})[0]


def check(model: nn.Module, x: np.ndarray) -> onnx.ModelProto:
    """The graph, after checking that it is valid and has the model's logits."""
    graph = to_onnx(model)
    onnx.checker.check_model(graph, full_check=True)
    expected, found = nn.predict(model, tb.Tensor(x)).data, run(graph, x)
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
    return graph


def random_gated(seed, network, shape=(8, 8, 3), shares=SHARES):
    rng = np.random.default_rng(seed)
    model = randomise(gated(*network, image_shape=shape, dtype=np.float32), rng)
    return random_gates(model, rng, shares), rng


def operators(graph: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node]


@given(SEEDS, NETWORKS, SIZES)
def test_the_full_network(seed, network, shape):
    rng = np.random.default_rng(seed)
    model = randomise(nn.wide_resnet(*network, 5, shape).eval(), rng)
    check(model, images(model, rng))


@given(SEEDS, NETWORKS, SIZES)
def test_compact_networks(seed, network, shape):
    model, rng = random_gated(seed, network, shape)
    check(pruning.compact(model), images(model, rng))


@given(SEEDS, POST, SIZES, st.booleans())
def test_post_activation_networks(seed, kind, shape, is_full):
    rng = np.random.default_rng(seed)
    model = randomise(post_activation(kind, shape, np.float32), rng)
    if is_full:
        make = bottlenecks if kind == "bottlenecks" else partial(nn.small_resnet, 8)
        small = randomise(make(4, shape, None).eval(), rng)
    else:
        small = pruning.compact(random_gates(model, rng))
    check(small, images(model, rng))


def test_an_unpruned_network_needs_no_index():
    model, rng = random_gated(0, (16, 1), shares=(1.0,))
    graph = check(pruning.compact(model), images(model, rng))
    assert not {"Gather", "Pad"} & set(operators(graph))


def test_a_single_channel_of_every_gate():
    model, rng = random_gated(1, (16, 1))
    for gate in pruning.gates_of(model):
        n = gate.log_alpha.shape[0]
        set_gate(gate, np.arange(n) == rng.integers(n), rng)
    graph = check(pruning.compact(model), images(model, rng))
    assert operators(graph).count("Conv") == 15  # none is removed
    assert "Gather" in operators(graph)


def test_every_block_dead():
    model, rng = random_gated(2, (16, 2), shares=(0.0,))
    small = pruning.compact(model)
    graph = check(small, images(model, rng))
    assert operators(graph).count("Conv") == 4  # the stem and three shortcuts


def test_the_batch_size_is_free_or_fixed():
    model, rng = random_gated(3, (10, 1), shares=(0.5,))
    small = pruning.compact(model)
    three, five = images(small, rng, 3), images(small, rng, 5)
    for x in (three, five):
        assert len(run(to_onnx(small), x)) == len(x)
    assert np.array_equal(run(to_onnx(small, 3), three), run(to_onnx(small), three))
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        run(to_onnx(small, 3), five)


def test_float64_and_training_mode_make_no_difference():
    model, _ = random_gated(4, (10, 1))
    small = pruning.compact(model)
    expected = to_onnx(small)
    assert to_onnx(small.train().astype(np.float64)) == expected


def test_weights_have_the_names_of_the_state_dict():
    model = nn.wide_resnet(10, 1, 4, (8, 8, 1))
    graph = to_onnx(model, 1)
    names = {array.name for array in graph.graph.initializer}
    assert names == set(model.state_dict())
    assert [opset.version for opset in graph.opset_import] == [OPSET]
    assert graph.ir_version == onnx.helper.find_min_ir_version_for(graph.opset_import)


def test_gates_and_other_modules_are_refused():
    with pytest.raises(ValueError, match=r"has gates: export pruning\.compact"):
        to_onnx(gated())
    with pytest.raises(TypeError, match="a residual network, not Linear"):
        to_onnx(nn.Linear(2, 2))


# --- as an engine of `tinybar bench` -------------------------------------------------------------


def test_logits_of_a_saved_network(tmp_path):
    dataset, file = load("digits"), tmp_path / "pruned.safetensors"
    shape = dataset.image_shape
    rng = np.random.default_rng(5)
    model = randomise(nn.wide_resnet(16, 2, dataset.num_classes, shape, nn.HardConcrete), rng)
    save_model(file, pruning.compact(random_gates(model, rng, (0.5,))), dataset)
    case = Case("infer", str(file), shape, batch_size=8, threads=1)
    found = onnxruntime_steps.prepare(case)()
    expected = tinybar_steps.prepare(case)().numpy()
    assert found.shape == (case.batch_size, case.classes)
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_it_is_timed(capsys):
    shape = ["wrn-10-1", "--image-shape", "8", "8", "3", "--batch-size", "4", "--threads", "1"]
    peer = ["--case", "infer", "--peers", "onnxruntime", "--seconds", "0.01"]
    assert main(["bench", *shape, *peer]) == 0
    out = capsys.readouterr().out
    assert f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}" in out
