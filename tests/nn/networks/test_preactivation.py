"""Wide residual networks, full and compact, and their blocks against their formula."""

import math

import numpy as np
import pytest
from properties.networks import images, randomise, set_gate, through

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn, pruning
from tinybar.nn.networks.preactivation import Signal
from tinybar.nn.networks.residual import scatter_channels


def test_the_shapes_of_the_network():
    model = nn.wide_resnet(16, 2, 10)
    assert len(model.blocks) == 6
    assert [block.stride for block in model.blocks] == [1, 1, 2, 1, 2, 1]
    assert [block.conv1.c_in for block in model.blocks] == [16, 32, 32, 64, 64, 128]
    assert [block.conv1.c_out for block in model.blocks] == [32, 32, 64, 64, 128, 128]
    has_shortcut = [block.shortcut is not None for block in model.blocks]
    assert has_shortcut == [True, False, True, False, True, False]


def test_with_width_1_the_first_block_is_no_pooling_block():
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
    """Convolutions 9 (3x3) or 1 (1x1) weights a pair, batch norms 2 a channel, linear (c + 1) K."""
    n, c = (depth - 4) // 6, 16
    count = 9 * channels * 16
    for c_out in (16 * width, 32 * width, 64 * width):
        if c != c_out:
            count += c * c_out
        count += 2 * c + 9 * c * c_out + 2 * c_out + 9 * c_out**2
        count += (n - 1) * (4 * c_out + 18 * c_out**2)
        c = c_out
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
    kept = [gate for gate in pruning.gates_of(model) if gate.keep_one]
    assert kept == [model.stem_gate] + [block.shortcut_gate for block in model.blocks]


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


# --- blocks --------------------------------------------------------------------------------------

RNG = np.random.default_rng
C_IN, C_OUT = 4, 5


def block(stride=1, c_out=C_OUT, gated=True, seed=0) -> nn.PreActivationBlock:
    gate = nn.HardConcrete if gated else None
    made = nn.PreActivationBlock(C_IN, c_out, stride, gate).astype(np.float64).eval()
    return randomise(made, RNG(seed))


def signal(h, live) -> Signal:
    """h of which the channels `live` exist: booleans, or shares of them."""
    return Signal(
        tb.Tensor(h) if isinstance(h, np.ndarray) else h, tb.Tensor(np.asarray(live, float))
    )


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
    out = through(made, signal(h, live))
    np.testing.assert_allclose(out.h.data, by_formula(made, h, live, *z[:3]), atol=1e-12)
    before = live if made.shortcut is None else z[2] > 0
    assert np.array_equal(out.live.data, before | (z[1] > 0))


def test_a_block_that_changes_the_shape_has_a_shortcut_that_keeps_one():
    assert block(1, C_IN).shortcut is None
    for made in (block(2, C_IN), block(1, C_OUT), block(2, C_OUT)):
        assert made.shortcut.kernel == (1, 1)
        assert made.shortcut.stride == made.conv1.stride == made.stride
        assert made.shortcut_gate.keep_one
        assert not made.gate1.keep_one
        assert not made.gate2.keep_one


def test_without_gates_every_channel_is_live():
    made, h = block(1, C_IN, gated=False), RNG(0).standard_normal((1, 3, 3, C_IN))
    out = through(made, Signal(tb.Tensor(h), None))
    assert out.live is None
    assert (made.gate1, made.gate2, made.shortcut_gate) == (None, None, None)
    np.testing.assert_allclose(out.h.data, by_formula(made, h, 1, 1, 1, 1), atol=1e-12)


def test_a_delta_that_nothing_reaches_is_not_written():
    """gate1 closed: conv2 gives zeros, whatever gate2 says; the channels are not live."""
    rng, made = RNG(0), block(1, C_IN)
    set_gate(made.gate1, np.zeros(C_IN, bool), rng)
    set_gate(made.gate2, np.ones(C_IN, bool), rng)
    live = np.array([True, False, False, True])
    h = rng.standard_normal((1, 3, 3, C_IN))
    out = through(made, signal(h, live))
    assert np.array_equal(out.live.data, live)
    assert np.array_equal(out.h.data, h)


def test_dead_channels_of_the_residual_signal_are_not_read():
    rng, made = RNG(0), block(1, C_IN)
    live = np.array([True, False, True, False])
    h = rng.standard_normal((2, 3, 3, C_IN)) * live
    first = through(made, signal(h, live)).h.data
    made.bn1.beta.data[~live] += 5
    made.conv1.weight.data[:, :, ~live] *= -3
    assert np.array_equal(through(made, signal(h, live)).h.data, first)


@pytest.mark.parametrize("form", nn.LIVE)
def test_gradients_of_a_gated_block(form):
    """In training, with fixed noise: through the gates, the shortcut, batch norm and what reads."""
    made = block(2, C_OUT).train()
    made.indicator = nn.LIVE[form]
    reader = randomise(nn.BatchNorm2d(C_OUT).astype(np.float64).eval(), RNG(2))
    live = np.array([True, True, False, True])
    parameters = made.parameters()
    state = made.state_dict()

    def output(h, *values):
        made.load_state_dict(state)  # running statistics as before
        tb.seed(5)  # the same noise
        for (module, name), value in zip(owners, values, strict=True):
            setattr(module, name, value)
        return reader.relu(*through(made, signal(h, live)))

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


def test_scattered_channels_are_at_their_indices():
    channels = RNG(0).standard_normal((2, 3, 3, 2))
    out = scatter_channels(tb.Tensor(channels), 4, [3, 1]).data
    assert np.array_equal(out[..., [3, 1]], channels)
    assert not out[..., [0, 2]].any()
    whole = tb.Tensor(channels)
    assert scatter_channels(whole, 2, [0, 1]) is whole


def mixed(**arguments) -> nn.MixedPreActivationBlock:
    return randomise(nn.MixedPreActivationBlock(**arguments).astype(np.float64).eval(), RNG(0))


def test_a_mixed_block_adds_to_what_it_writes_and_leaves_the_rest():
    made = mixed(width=4, reads=[0, 2], inner=[8], writes=[1, 2])
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
    made = mixed(width=3, reads=[0, 1], inner=[], writes=[], stride=2, shortcut=[2, 0])
    out = made(tb.Tensor(RNG(1).standard_normal((1, 5, 5, 2)))).data
    assert out.shape == (1, 3, 3, 3)
    assert not out[..., 1].any()
    assert out[..., [0, 2]].any()
    assert made.path() == []


def test_a_mixed_pooling_block_sums_shortcut_and_delta():
    made = mixed(width=3, reads=[0, 1], inner=[8], writes=[1], stride=2, shortcut=[0, 2])
    h = tb.Tensor(RNG(1).standard_normal((1, 4, 4, 2)))
    x = ag.relu(made.bn1(h))
    delta = made.conv2(ag.relu(made.bn2(made.conv1(x)))).data
    out = made(h).data
    np.testing.assert_allclose(out[..., [0, 2]], made.shortcut(x).data)
    np.testing.assert_allclose(out[..., [1]], delta)
    assert delta.any()
