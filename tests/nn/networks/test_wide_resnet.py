"""Wide residual networks: shapes, counts by hand, errors, and gates that are all open."""

import math

import numpy as np
import pytest
from properties.networks import images

import tinybar as tb
from tinybar import nn, pruning


def test_the_shape_of_the_house():
    model = nn.wide_resnet(16, 2, 10)
    assert len(model.blocks) == 6
    assert [block.stride for block in model.blocks] == [1, 1, 2, 1, 2, 1]
    assert [block.conv1.c_in for block in model.blocks] == [16, 32, 32, 64, 64, 128]
    assert [block.conv1.c_out for block in model.blocks] == [32, 32, 64, 64, 128, 128]
    has_shortcut = [block.shortcut is not None for block in model.blocks]
    assert has_shortcut == [True, False, True, False, True, False]


def test_width_1_continues_the_stem_s_signal():
    assert nn.wide_resnet(10, 1, 10).blocks[0].shortcut is None


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (5, 5, 2), (1, 1, 1), (3, 16, 4)])
@pytest.mark.parametrize("gate", [None, nn.HardConcrete])
def test_logits_of_any_image(shape, gate):
    model = nn.wide_resnet(10, 1, 5, shape, gate)
    x = tb.Tensor(images(model, np.random.default_rng(0), n=2))
    for logits in (model(x), model.eval()(x)):
        assert logits.shape == (2, 5)
        assert logits.dtype == np.float32
        assert np.isfinite(logits.data).all()


def parameters_by_hand(depth, width, classes, channels):
    """Convolutions 9 (3x3) or 1 (1x1) weights a pair, batch norms 2 a feature, linear (c + 1) K."""
    n, c = (depth - 4) // 6, 16
    count = 9 * channels * 16
    for features in (16 * width, 32 * width, 64 * width):
        if c != features:
            count += c * features
        count += 2 * c + 9 * c * features + 2 * features + 9 * features**2
        count += (n - 1) * (4 * features + 18 * features**2)
        c = features
    return count + 2 * c + (c + 1) * classes


@pytest.mark.parametrize(
    ("depth", "width", "classes", "channels"), [(10, 1, 10, 1), (16, 4, 100, 3), (28, 2, 10, 3)]
)
def test_parameters_by_hand(depth, width, classes, channels):
    expected = parameters_by_hand(depth, width, classes, channels)
    for gate in (None, nn.HardConcrete):
        model = nn.wide_resnet(depth, width, classes, (32, 32, channels), gate)
        assert nn.count_parameters(model) == expected


def test_wrn_28_10_has_the_36_5_million_of_its_paper():
    assert parameters_by_hand(28, 10, 10, 3) == 36_479_194  # "36.5M" [Zagoruyko & Komodakis]
    assert nn.count_parameters(nn.wide_resnet(28, 10, 10)) == 36_479_194


def test_gates_are_where_the_design_says():
    model = nn.wide_resnet(10, 2, 10, gate=nn.HardConcrete)
    gates = {name for name, _ in model.named_parameters() if name.endswith("log_alpha")}
    expected = {"stem_gate.log_alpha"}
    for k in range(3):
        expected |= {f"blocks.{k}.{gate}.log_alpha" for gate in ("gate1", "gate2", "shortcut_gate")}
    assert gates == expected
    vital = [gate for gate in pruning.gates_of(model) if gate.vital]
    assert vital == [model.stem_gate] + [block.shortcut_gate for block in model.blocks]


@pytest.mark.parametrize("depth", [4, 9, 11, 12, 17, 0, -2])
def test_depths_that_do_not_exist(depth):
    with pytest.raises(ValueError, match=f"depth 6n \\+ 4 .* not {depth}"):
        nn.wide_resnet(depth, 1, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 0, 10), "width >= 1"),
        ((10, 1, 1), "num_classes >= 2"),
        ((10, 1, 10, (32, 32)), "image_shape is"),
        ((10, 1, 10, (32, 0, 3)), "image_shape is"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.wide_resnet(*arguments)


def test_the_start_keeps_the_signal_in_bounds():
    """Kaiming and batch norm: logits of a random deep network are neither 0 nor huge."""
    model = nn.wide_resnet(28, 1, 10, (8, 8, 3))
    logits = model(tb.Tensor(images(model, np.random.default_rng(0), n=16))).data
    assert 0.05 < math.sqrt((logits**2).mean()) < 20
