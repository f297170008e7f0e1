"""Residual blocks against their formula, and what a residual signal knows of its features."""

import numpy as np
import pytest
from properties.networks import randomise, set_gate

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn
from tinybar.nn.networks.blocks import Signal, spread

RNG = np.random.default_rng
C_IN, C_OUT = 4, 5


def block(stride=1, c_out=C_OUT, gated=True, seed=0) -> nn.PreActivationBlock:
    gate = nn.HardConcrete if gated else None
    made = nn.PreActivationBlock(C_IN, c_out, stride, gate).astype(np.float64).eval()
    return randomise(made, RNG(seed))


def by_formula(block, h, live, z1, z2, zs):
    """h + z2 conv2(z1 relu(bn2(conv1(x)))), x = live relu(bn1(h)): gates multiply activations."""

    def bn_relu(x, bn):
        scale = bn.gamma.data / np.sqrt(bn.running_var + bn.eps)
        return np.maximum(0, (x - bn.running_mean) * scale + bn.beta.data)

    def conv(x, layer):
        return ag.conv2d(tb.Tensor(x), layer.weight, None, layer.stride, layer.padding).data

    x = bn_relu(h, block.bn1) * live
    delta = conv(z1 * bn_relu(conv(x, block.conv1), block.bn2), block.conv2) * z2
    return (h if block.shortcut is None else conv(x, block.shortcut) * zs) + delta


@pytest.mark.parametrize(("stride", "c_out"), [(1, C_IN), (1, C_OUT), (2, C_OUT), (2, C_IN)])
def test_the_formula(stride, c_out):
    rng, made = RNG(1), block(stride, c_out)
    gates = [made.gate1, made.gate2]
    if made.shortcut is not None:
        gates.append(made.shortcut_gate)
    for gate in gates:
        set_gate(gate, rng.random(c_out) < 0.6, rng)
    h, live = rng.standard_normal((2, 5, 6, C_IN)), np.array([True, False, True, True])
    z = [gate.sample().data for gate in gates] + [None]
    out = made(Signal(tb.Tensor(h), live))
    np.testing.assert_allclose(out.h.data, by_formula(made, h, live, *z[:3]), atol=1e-12)
    before = live if made.shortcut is None else z[2] > 0
    assert np.array_equal(out.live, before | (z[1] > 0))


def test_a_block_of_another_shape_has_a_vital_shortcut_and_no_other_block_has():
    assert block(1, C_IN).shortcut is None
    for made in (block(2, C_IN), block(1, C_OUT), block(2, C_OUT)):
        assert made.shortcut.kernel == (1, 1)
        assert made.shortcut.stride == made.conv1.stride == made.stride
        assert made.shortcut_gate.vital
        assert not made.gate1.vital
        assert not made.gate2.vital


def test_without_gates_every_feature_exists():
    made, h = block(1, C_IN, gated=False), RNG(0).standard_normal((1, 3, 3, C_IN))
    out = made(Signal(tb.Tensor(h), None))
    assert out.live is None
    assert (made.gate1, made.gate2, made.shortcut_gate) == (None, None, None)
    np.testing.assert_allclose(out.h.data, by_formula(made, h, 1, 1, 1, 1), atol=1e-12)


def test_a_delta_that_nothing_reaches_is_not_written():
    """gate1 closed: conv2 gives zeros, whatever gate2 says; the feature does not exist."""
    rng, made = RNG(0), block(1, C_IN)
    set_gate(made.gate1, np.zeros(C_IN, bool), rng)
    set_gate(made.gate2, np.ones(C_IN, bool), rng)
    live = np.array([True, False, False, True])
    h = rng.standard_normal((1, 3, 3, C_IN))
    out = made(Signal(tb.Tensor(h), live))
    assert np.array_equal(out.live, live)
    assert np.array_equal(out.h.data, h)


def test_dead_features_of_the_signal_are_not_read():
    rng, made = RNG(0), block(1, C_IN)
    live = np.array([True, False, True, False])
    h = rng.standard_normal((2, 3, 3, C_IN)) * live
    first = made(Signal(tb.Tensor(h), live)).h.data
    made.bn1.beta.data[~live] += 5
    made.conv1.weight.data[:, :, ~live] *= -3
    assert np.array_equal(made(Signal(tb.Tensor(h), live)).h.data, first)


def test_gradients_of_a_gated_block():
    """In training, with fixed noise: through both gates, the shortcut and batch norm."""
    made = block(2, C_OUT).train()
    live = np.array([True, True, False, True])
    parameters = made.parameters()
    state = made.state_dict()

    def output(h, *values):
        made.load_state_dict(state)  # running statistics as before
        tb.seed(5)  # the same noise
        for (module, name), value in zip(owners, values, strict=True):
            setattr(module, name, value)
        return made(Signal(h, live)).h

    owners = [
        (module, name)
        for module in made.modules()
        for name, value in list(vars(module).items())
        if isinstance(value, nn.Parameter)
    ]
    h = RNG(0).standard_normal((2, 3, 4, C_IN))
    values = [getattr(module, name).data for module, name in owners]
    assert len(parameters) == len(values) == 10
    made.load_state_dict = lambda state: _restore(made, state)
    tb.gradcheck(output, [h, *values], eps=1e-6, rtol=1e-5, atol=1e-7)


def _restore(module, state):
    for name, buffer in module.named_buffers():
        buffer[...] = state[name]


# --- mixed connectivity -----------------------------------------------------------------------


def test_spread_puts_features_where_they_belong():
    features = RNG(0).standard_normal((2, 3, 3, 2))
    out = spread(tb.Tensor(features), 4, [3, 1]).data
    assert np.array_equal(out[..., [3, 1]], features)
    assert not out[..., [0, 2]].any()
    whole = tb.Tensor(features)
    assert spread(whole, 2, [0, 1]) is whole


def mixed(**arguments) -> nn.MixedBlock:
    return randomise(nn.MixedBlock(**arguments).astype(np.float64).eval(), RNG(0))


def test_a_mixed_block_adds_to_what_it_writes_and_leaves_the_rest():
    made = mixed(width=4, reads=[0, 2], inner=8, writes=[1, 2])
    h = RNG(1).standard_normal((2, 5, 5, 4))
    out = made(tb.Tensor(h)).data
    assert np.array_equal(out[..., [0, 3]], h[..., [0, 3]])
    assert (out[..., [1, 2]] != h[..., [1, 2]]).any()
    assert np.array_equal(
        made(tb.Tensor(h + np.array([0, 9, 0, 0]))).data[..., 2], out[..., 2]
    )  # 1 is not read
    assert not np.allclose(
        made(tb.Tensor(h + np.array([0, 0, 9, 0]))).data[..., 1], out[..., 1]
    )  # 2 is
    assert [conv.name for conv in made.path()] == ["conv1", "conv2"]


def test_a_mixed_block_of_a_shortcut_alone():
    made = mixed(width=3, reads=[0, 1], inner=0, writes=[], stride=2, shortcut=[2, 0])
    out = made(tb.Tensor(RNG(1).standard_normal((1, 5, 5, 2)))).data
    assert out.shape == (1, 3, 3, 3)
    assert not out[..., 1].any()
    assert out[..., [0, 2]].any()
    assert made.path() == []


def test_a_mixed_pooling_block_sums_shortcut_and_delta():
    made = mixed(width=3, reads=[0, 1], inner=8, writes=[1], stride=2, shortcut=[0, 2])
    h = tb.Tensor(RNG(1).standard_normal((1, 4, 4, 2)))
    x = ag.relu(made.bn1(h))
    delta = made.conv2(ag.relu(made.bn2(made.conv1(x)))).data
    out = made(h).data
    np.testing.assert_allclose(out[..., [0, 2]], made.shortcut(x).data)
    np.testing.assert_allclose(out[..., [1]], delta)
    assert delta.any()
