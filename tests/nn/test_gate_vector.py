"""All gates at once compute what each computes by itself, to the last bit."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.networks import post_activation

from tinybar import autograd as ag
from tinybar import nn
from tinybar.nn.gate_vector import GateVector, drawn
from tinybar.nn.gaussian import Gaussian
from tinybar.runtime import random

KINDS = [nn.HardConcrete, Gaussian]


def some_gates(kind, sizes, kept, rng) -> list[nn.Gate]:
    gates = [kind(n) for n in sizes]
    for gate, keep_one in zip(gates, kept, strict=True):
        gate.keep_one = keep_one
        for parameter in gate.parameters():
            parameter.data[...] = rng.uniform(-3, 1, parameter.shape)
    return gates


def gradients(gates) -> list[np.ndarray]:
    return [parameter.grad for gate in gates for parameter in gate.parameters()]


@pytest.mark.parametrize("kind", KINDS)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    kept=st.lists(st.booleans(), min_size=5, max_size=5),
    seed=st.integers(0, 1000),
    training=st.booleans(),
)
def test_values_and_gradients(kind, sizes, kept, seed, training):
    rng = np.random.default_rng(seed)
    each = [gate.train(training) for gate in some_gates(kind, sizes, kept[: len(sizes)], rng)]
    together = copy.deepcopy(each)
    vector = GateVector.of(together)
    weights = [rng.standard_normal(n).astype("f4") for n in sizes]
    found = []
    for gates, all_gates in ((each, None), (together, vector)):
        random.seed(seed)
        z = [drawn(gates, all_gates)[gate] for gate in gates]
        loss = sum(ag.sum(zi * w) for zi, w in zip(z, weights, strict=True))
        loss.backward()
        found.append([zi.data for zi in z] + gradients(gates))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(each, together, strict=True):
        np.testing.assert_array_equal(vector.alive()[other], one.alive())


def test_gradients_of_two_uses_add_up():
    """As those of the data loss and of the penalty do."""
    gates = some_gates(nn.HardConcrete, [2, 3], [True, False], np.random.default_rng(0))
    vector = GateVector.of([gate.eval() for gate in gates])
    first = vector.sample()
    loss = ag.sum(first[gates[0]]) + 2 * ag.sum(vector.whole.probability_open())
    loss.backward()
    once = gradients(gates)
    expected = []
    for gate, share in zip(gates, (1, 0), strict=True):
        gate.log_alpha.grad = None
        (share * ag.sum(gate.sample()) + 2 * ag.sum(gate.probability_open())).backward()
        expected.append(gate.log_alpha.grad)
    for one, other in zip(once, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    ag.sum(vector.whole.mean()).backward()  # and to what was there before
    for gate, before in zip(gates, expected, strict=True):
        np.testing.assert_allclose(
            gate.log_alpha.grad, before + before * 0 + gate_mean_gradient(gate), rtol=1e-6
        )


def gate_mean_gradient(gate) -> np.ndarray:
    kept, gate.log_alpha.grad = gate.log_alpha.grad, None
    ag.sum(gate.mean()).backward()
    found, gate.log_alpha.grad = gate.log_alpha.grad, kept
    return found


def test_a_parameter_that_moved_or_was_replaced_is_read_anew():
    gates = some_gates(nn.HardConcrete, [2, 2], [False, False], np.random.default_rng(0))
    vector = GateVector.of([gate.eval() for gate in gates])
    assert vector.sample()[gates[0]].data.any()
    gates[0].log_alpha.data[...] = -9
    assert not vector.sample()[gates[0]].data.any()
    gates[0].log_alpha = nn.Parameter(np.ones(2, "f4"))
    assert vector.sample()[gates[0]].data.all()


def test_a_copy_of_a_network_has_its_own():
    model = post_activation("basic", dtype=np.float32)
    model.draw()
    copied = copy.deepcopy(model)
    ag.sum(copied.draw()[copied.stem_gate]).backward()
    assert copied.stem_gate.log_alpha.grad is not None
    assert model.stem_gate.log_alpha.grad is None


def test_a_gate_that_does_not_say_so_is_computed_by_itself():
    class Stubborn(nn.HardConcrete):
        """One whose channels might depend on each other."""

    mixed = [nn.HardConcrete(2), Gaussian(2)]
    assert GateVector.of([Stubborn(2)]) is None
    assert GateVector.of(mixed) is None
    assert GateVector.of([]) is None
    assert [z.shape for z in list(drawn(mixed).values())[1:]] == [(2,), (2,)]
