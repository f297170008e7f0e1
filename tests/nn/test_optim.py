"""Adam against its documented update, written here again."""

import numpy as np
import pytest

import tinybar as tb
from tinybar import nn


def parameters(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = (3, 2), (4,), ()
    return [
        tb.Tensor(np.asarray(rng.standard_normal(s), dtype), requires_grad=True) for s in shapes
    ]


def reference(weights, gradients_per_step, lr, decay=0.0, betas=(0.9, 0.999), eps=1e-8):
    """Algorithm 1 of Kingma & Ba, with the decay in the gradient; entry by entry, in lists."""
    w = [float(entry) for entry in weights]
    m, v = [0.0] * len(w), [0.0] * len(w)
    for t, gradients in enumerate(gradients_per_step, 1):
        for i, gradient in enumerate(gradients):
            g = float(gradient) + decay * w[i]
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            v[i] = betas[1] * v[i] + (1 - betas[1]) * g * g
            m_hat, v_hat = m[i] / (1 - betas[0] ** t), v[i] / (1 - betas[1] ** t)
            w[i] -= lr * m_hat / (v_hat**0.5 + eps)
    return w


def run(optimizer, tensors, steps, seed=1):
    """Random gradients; returns those of every tensor, flat, per step."""
    rng, given = np.random.default_rng(seed), [[] for _ in tensors]
    for _ in range(steps):
        for tensor, flat in zip(tensors, given, strict=True):
            tensor.grad = np.asarray(rng.standard_normal(tensor.shape), tensor.dtype)
            flat.append(tensor.grad.ravel().copy())
        optimizer.step()
    return given


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.9), "eps": 1e-3}])
def test_fifty_steps(decay, options):
    tensors = parameters()
    start = [t.data.ravel().copy() for t in tensors]
    given = run(nn.Adam(tensors, 0.01, decay, **options), tensors, 50)
    for tensor, weights, gradients in zip(tensors, start, given, strict=True):
        expected = reference(weights, gradients, 0.01, decay, **options)
        np.testing.assert_allclose(tensor.data.ravel(), expected, rtol=1e-12, atol=1e-12)


def test_the_first_step_is_the_learning_rate_against_the_sign():
    tensor = tb.Tensor(np.zeros(3), requires_grad=True)
    tensor.grad = np.array([1e-3, -7.0, 50.0])
    nn.Adam([tensor], lr=0.25).step()
    np.testing.assert_allclose(tensor.data, [-0.25, 0.25, -0.25], rtol=1e-4)


def test_groups_have_their_own_options():
    tensors = parameters()
    start = [t.data.ravel().copy() for t in tensors]
    groups = [
        {"params": tensors[:1], "weight_decay": 0.2},
        {"params": tensors[1:2], "lr": 0.5},
        {"params": iter(tensors[2:]), "betas": (0.0, 0.5), "eps": 1e-2},
    ]
    given = run(nn.Adam(groups, lr=0.01), tensors, 5)
    options = [
        {"lr": 0.01, "decay": 0.2},
        {"lr": 0.5},
        {"lr": 0.01, "betas": (0.0, 0.5), "eps": 1e-2},
    ]
    for tensor, weights, gradients, own in zip(tensors, start, given, options, strict=True):
        expected = reference(weights, gradients, **own)
        np.testing.assert_allclose(tensor.data.ravel(), expected, rtol=1e-12)


def test_set_lr_changes_every_group():
    tensors = parameters()
    optimizer = nn.Adam([{"params": tensors[:1]}, {"params": tensors[1:], "lr": 0.5}])
    optimizer.set_lr(0.0)
    before = [t.data.copy() for t in tensors]
    run(optimizer, tensors, 2)
    assert all(np.array_equal(a, t.data) for a, t in zip(before, tensors, strict=True))


def test_a_parameter_without_gradient_is_left_with_its_moments():
    first, second = parameters()[:2]
    optimizer = nn.Adam([first, second], 0.1, weight_decay=0.5)
    second.grad = np.ones(4)
    before = first.data.copy()
    optimizer.step()
    assert np.array_equal(first.data, before)
    assert not optimizer.m[0].any()
    assert optimizer.m[1].all()


def test_zero_grad_forgets():
    tensors = parameters()
    optimizer = nn.Adam(tensors)
    run(optimizer, tensors, 1)
    optimizer.zero_grad()
    assert all(t.grad is None for t in tensors)


def test_the_update_is_in_place_and_keeps_the_dtype():
    tensors = parameters(dtype=np.float32)
    data = [t.data for t in tensors]
    run(nn.Adam(tensors, weight_decay=0.1), tensors, 3)
    assert all(t.data is d and d.dtype == np.float32 for t, d in zip(tensors, data, strict=True))


def test_it_goes_on_from_its_state_bit_for_bit():
    whole, cut = parameters(dtype=np.float32), parameters(dtype=np.float32)
    run(nn.Adam(whole, weight_decay=0.1), whole, 10, seed=1)
    first = nn.Adam(cut, weight_decay=0.1)
    rng = np.random.default_rng(1)
    for step in range(10):
        if step == 4:
            state = first.state_dict()
            for array in (*first.m, *first.v):
                array += 7  # the state is a copy
            first = nn.Adam(cut, weight_decay=0.1)
            first.load_state_dict(state)
        for tensor in cut:
            tensor.grad = np.asarray(rng.standard_normal(tensor.shape), np.float32)
        first.step()
    assert all(np.array_equal(a.data, b.data) for a, b in zip(whole, cut, strict=True))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("t"),
        lambda state: state.pop("v.2"),
        lambda state: state.update({"m.3": np.zeros(1)}),
        lambda state: state.update({"m.1": np.zeros(5)}),
    ],
)
def test_a_foreign_state_is_refused(spoil):
    optimizer = nn.Adam(parameters())
    state = optimizer.state_dict()
    spoil(state)
    with pytest.raises(ValueError, match="belongs to other parameters"):
        optimizer.load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr=-1.0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1"),
        ({"eps": 0.0}, "eps=0.0"),
        ({"betas": (1.0, 0.9)}, "0 <= beta < 1"),
        ({"betas": (0.9, -0.1)}, "0 <= beta < 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        nn.Adam(parameters(), **options)


def test_other_errors():
    tensors = parameters()
    with pytest.raises(ValueError, match="unknown option momentum"):
        nn.Adam([{"params": tensors, "momentum": 0.9}])
    with pytest.raises(ValueError, match="same parameter twice"):
        nn.Adam([{"params": tensors}, {"params": tensors[:1]}])
    with pytest.raises(TypeError, match="floating-point Tensors"):
        nn.Adam([np.zeros(3)])
    with pytest.raises(TypeError, match="floating-point Tensors"):
        nn.Adam([tb.Tensor(np.zeros(3, int))])
