"""Statistics of given images: what they are, and that nothing else changes."""

import numpy as np
import pytest
from properties.networks import gated, images, random_gates, randomise

from tinybar import nn, pruning
from tinybar.autograd import Tensor
from tinybar.runtime import random


def sample(seed=0):
    """A gated network in training mode with random state, and two minibatches of 5 and 3."""
    rng = np.random.default_rng(seed)
    net = randomise(random_gates(gated(), rng, shares=(0.6,)), rng).train()
    return net, images(net, rng, n=8)


def batches(x):
    return [Tensor(x[:5]), Tensor(x[5:])]


def test_they_are_those_of_the_images_with_gates_at_their_mean_noise():
    net, x = sample()
    nn.recompute_statistics(net, batches(x))
    bn, h = net.blocks[0].bn1, net.stem(Tensor(x), net.stem_gate.mean()).data
    parts = h[:5].reshape(-1, 16), h[5:].reshape(-1, 16)
    mean = 5 / 8 * parts[0].mean(axis=0) + 3 / 8 * parts[1].mean(axis=0)
    var = 5 / 8 * parts[0].var(axis=0, ddof=1) + 3 / 8 * parts[1].var(axis=0, ddof=1)
    np.testing.assert_allclose(bn.running_mean, mean, atol=1e-12)
    np.testing.assert_allclose(bn.running_var, var, atol=1e-12)


def test_the_compact_network_gets_the_same():
    net, x = sample()
    small = pruning.compact(net)
    for model in (net, small):
        nn.recompute_statistics(model, batches(x))
    np.testing.assert_allclose(small(Tensor(x)).data, net.eval()(Tensor(x)).data, rtol=1e-6)


def test_nothing_else_changes_and_what_was_not_finite_is_gone():
    net, x = sample()
    net.bn.running_var[0] = np.nan
    parameters, streams = [p.data.copy() for p in net.parameters()], random.streams_state()
    nn.recompute_statistics(net, batches(x))
    assert all(np.array_equal(a, p.data) for a, p in zip(parameters, net.parameters(), strict=True))
    assert random.streams_state() == streams
    assert all(module.training for module in net.modules())
    assert {m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    assert all(np.isfinite(array).all() for _, array in net.named_buffers())


def test_after_the_context_they_are_the_networks_own_again_whatever_happened():
    net, x = sample()
    before = net.state_dict()
    with nn.statistics_of(net, batches(x)):
        assert not np.array_equal(net.bn.running_mean, before["bn.running_mean"])
    with pytest.raises(ValueError, match="channels"), nn.statistics_of(net, [Tensor(x[..., :1])]):
        pass
    assert all(np.array_equal(before[name], array) for name, array in net.state_dict().items())
    assert all(module.training for module in net.modules())
