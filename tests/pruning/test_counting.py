"""What is counted at every step is what `Cost` counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import gated, post_activation

from tinybar import pruning
from tinybar.nn import wide_resnet
from tinybar.nn.gaussian import Gaussian
from tinybar.pruning import COSTS
from tinybar.pruning.counting import Counter, price_of


def gradients(model) -> np.ndarray:
    found = [p.grad for gate in pruning.gates_of(model) for p in gate.parameters()]
    for gate in pruning.gates_of(model):
        for p in gate.parameters():
            p.grad = None
    return np.concatenate(found)


@pytest.mark.parametrize("metric", sorted(COSTS))
@given(
    make=st.sampled_from(
        [
            lambda: gated(10, 2),
            lambda: post_activation("bottlenecks"),
            lambda: wide_resnet(10, 1, 4, (8, 8, 3), Gaussian).astype(np.float64),
        ]
    ),
    seed=st.integers(0, 1000),
)
def test_it_is_the_cost(metric, make, seed):
    model, cost = make(), COSTS[metric]
    counter = Counter(model, cost)
    for _ in range(2):  # the gates move between two counts
        rng = np.random.default_rng(seed)
        for p in (p for gate in pruning.gates_of(model) for p in gate.parameters()):
            p.data[...] = rng.uniform(-4, 2, p.shape)
        assert counter.exact() == cost.exact(model)
        found, expected = counter.expected(), cost.expected(model)
        assert found.item() == pytest.approx(expected.item(), rel=1e-12)
        found.backward()
        own = gradients(model)
        expected.backward()
        np.testing.assert_allclose(own, gradients(model), rtol=1e-9, atol=1e-9)
        seed += 1


def test_a_price_of_a_channel_is_there_where_the_cost_is_a_sum_of_such():
    site = pruning.sites(gated())[1]
    assert price_of(COSTS["volume"], site) == site.area
    assert price_of(COSTS["flops"], site) is None
    kinked = pruning.cost.Cost(max, lambda site, reads, writes: writes * (writes.item() > 2))
    assert price_of(kinked, site) is None
