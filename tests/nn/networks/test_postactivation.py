"""Residual networks with the activation after the sum: structure, gates, and errors."""

import math

import numpy as np
import pytest
from properties.networks import bottlenecks, images, randomise, set_gate, through

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn, pruning
from tinybar.nn.networks.postactivation import (
    MixedPostActivationBlock,
    PostActivationBlock,
)

RNG = np.random.default_rng
SHAPES = [(8, 8, 1), (7, 9, 3), (5, 5, 2), (1, 1, 1), (3, 16, 4)]


def tensor(array) -> tb.Tensor:
    return tb.Tensor(np.asarray(array))


def test_the_shape_of_resnet_50():
    model = nn.resnet50(10)
    assert [block.stride for block in model.blocks if block.stride != 1] == [2, 2, 2]
    kernels = {tuple(step.conv.kernel for step in block.path()) for block in model.blocks}
    assert kernels == {((1, 1), (3, 3), (1, 1))}
    # The stride of a pooling block is in its 3x3 convolution.
    assert {block.conv1.stride for block in model.blocks} == {1}
    assert [block.conv2.stride for block in model.blocks] == [
        block.stride for block in model.blocks
    ]
    assert [k for k, block in enumerate(model.blocks) if block.shortcut is not None] == [
        0,
        3,
        7,
        13,
    ]
    assert (model.stem.kernel, model.stem.stride, model.stem.c_out) == ((7, 7), 2, 64)
    assert model.signal_size() == (32, 32)


def test_resnet_50_has_the_parameters_that_pytorch_counts():
    """25,557,032 with 1000 classes, as torchvision documents for its resnet50."""
    assert nn.count_parameters(nn.resnet50(1000)) == 25_557_032


@pytest.mark.parametrize(("depth", "expected"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_small_networks_have_the_parameters_of_their_paper(depth, expected):
    """Table 6 of He et al. 2016a, in millions; the 1x1 shortcuts add 2,752."""
    count = nn.count_parameters(nn.small_resnet(depth, 10)) - 2752
    assert round(count / 1e6, 2) == expected


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gate", [None, nn.HardConcrete])
@pytest.mark.parametrize("make", [lambda *a: nn.small_resnet(8, *a), bottlenecks])
def test_logits_of_any_image(shape, gate, make):
    model = make(5, shape, gate)
    x = tb.Tensor(images(model, RNG(0), n=2))
    for logits in (model(x), model.eval()(x)):
        assert (logits.shape, logits.dtype) == ((2, 5), np.float32)
        assert np.isfinite(logits.data).all()


def test_the_gates_that_keep_one():
    model = bottlenecks(4, (8, 8, 3), nn.HardConcrete)
    kept = [gate for gate in pruning.gates_of(model) if gate.keep_one]
    shortcuts = [b.shortcut_gate for b in model.blocks if b.shortcut_gate is not None]
    assert kept == [model.stem_gate, *shortcuts]


def block(widths, stride=1, c_in=4, gate=nn.HardConcrete):
    made = PostActivationBlock(c_in, widths, stride, gate).astype(np.float64).eval()
    return randomise(made, RNG(0))


@pytest.mark.parametrize("dead", ["gate1", "gate2"])
def test_a_path_with_a_dead_convolution_adds_nothing(dead):
    """Its last batch norm would turn zeros into beta."""
    made, rng = block((3, 2, 4)), RNG(0)
    h = np.abs(rng.standard_normal((2, 5, 4, 4)))
    assert not np.allclose(through(made, tensor(h)).data, h)
    set_gate(getattr(made, dead), np.zeros(getattr(made, dead).log_alpha.shape, bool), rng)
    np.testing.assert_array_equal(through(made, tensor(h)).data, h)


def test_in_training_a_dead_path_has_no_gradient():
    made, rng = block((3, 4)).train(), RNG(0)
    made.gate1.log_alpha.data[...] = -60
    h = np.abs(rng.standard_normal((2, 5, 4, 4)))
    y = through(made, tensor(h))
    np.testing.assert_array_equal(y.data, h)
    ag.sum(y * y).backward()
    assert not made.bn2.beta.grad.any()


@pytest.mark.parametrize("make", [lambda *a: nn.small_resnet(8, *a), bottlenecks])
def test_the_gradient_along_a_random_direction(make):
    """Of all parameters at once, in training, some gates shut, the noise the same every time."""
    rng = RNG(0)
    model = randomise(make(4, (9, 10, 2), nn.HardConcrete).astype(np.float64), rng)
    for gate in pruning.gates_of(model):
        gate.log_alpha.data[...] = rng.uniform(-4, 2, gate.log_alpha.shape)
    x, labels = images(model, rng, n=4), np.arange(4)
    start = [p.data.copy() for p in model.parameters()]
    direction = [rng.standard_normal(p.shape) * np.abs(p.data).mean() for p in model.parameters()]

    def loss(t):
        for p, origin, v in zip(model.parameters(), start, direction, strict=True):
            p.data[...] = origin + t * v
        tb.seed(0)
        return ag.cross_entropy(model(tb.Tensor(x)), labels)

    loss(0.0).backward()
    pairs = zip(model.parameters(), direction, strict=True)
    analytic = sum(float((p.grad * v).sum()) for p, v in pairs)
    h = 1e-6
    numeric = (loss(h).item() - loss(-h).item()) / (2 * h)
    assert analytic == pytest.approx(numeric, rel=1e-5)


def test_a_mixed_block_in_loops():
    made = MixedPostActivationBlock(5, reads=[0, 2, 3], inner=[2], writes=[1, 2, 4])
    made = randomise(made.astype(np.float64).eval(), RNG(0))
    h = np.abs(RNG(1).standard_normal((2, 4, 3, 5)))
    x = tensor(h[..., [0, 2, 3]])
    delta = made.bn2(made.conv2(made.bn1.relu(made.conv1(x)))).data
    expected = h.copy()
    for k, i in enumerate([1, 2, 4]):
        expected[..., i] += delta[..., k]
    np.testing.assert_allclose(made(tensor(h)).data, np.maximum(expected, 0), atol=1e-12)


@pytest.mark.parametrize("depth", [2, 9, 18, 49, 0, -4])
def test_depths_that_do_not_exist(depth):
    with pytest.raises(ValueError, match=f"depth 6n \\+ 2 .* not {depth}"):
        nn.small_resnet(depth, 10)


def test_a_small_network_is_never_taken_for_resnet_50():
    """Networks are saved by their names."""
    with pytest.raises(ValueError, match="resnet-50 is the large network"):
        nn.small_resnet(50, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1,), "num_classes >= 2"), ((10, (32, 32)), "image_shape is"), ((10, (0, 8, 3)), "shape is")],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.resnet50(*arguments)


def test_the_start_keeps_the_signal_in_bounds():
    model = nn.small_resnet(32, 10, (16, 16, 3))
    logits = model(tb.Tensor(images(model, RNG(0), n=16))).data
    assert 0.05 < math.sqrt((logits**2).mean()) < 50
