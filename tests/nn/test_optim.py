"""Adam: groups, options, state. The audit's row "Adam, five steps" derives the update."""

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


def run(optimizer, tensors, steps, seed=1):
    """Steps with random gradients, the same for the same seed."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for tensor in tensors:
            tensor.grad = np.asarray(rng.standard_normal(tensor.shape), tensor.dtype)
        optimizer.step()


def same(some, others) -> bool:
    return all(np.array_equal(a.data, b.data) for a, b in zip(some, others, strict=True))


def test_the_first_step_is_the_learning_rate_against_the_sign():
    tensor = tb.Tensor(np.zeros(3), requires_grad=True)
    tensor.grad = np.array([1e-3, -7.0, 50.0])
    nn.Adam([tensor], lr=0.25).step()
    np.testing.assert_allclose(tensor.data, [-0.25, 0.25, -0.25], rtol=1e-4)


def test_without_memory_each_step_is_that_of_its_own_gradient():
    """betas = (0, 0): w -= lr g / (|g| + eps), with the decay in g."""
    tensor = tb.Tensor(np.array([1.0, -2.0]), requires_grad=True)
    optimizer = nn.Adam([tensor], 0.1, weight_decay=0.5, betas=(0.0, 0.0), eps=1.0)
    w = tensor.data.copy()
    for grad in ([3.0, -1.0], [0.0, 5.0], [-2.0, 0.25]):
        tensor.grad = np.array(grad)
        optimizer.step()
        g = tensor.grad + 0.5 * w
        w -= 0.1 * g / (abs(g) + 1.0)
        np.testing.assert_allclose(tensor.data, w, rtol=1e-14)


def test_groups_have_their_own_options():
    """Each group is updated as by an optimiser of its own."""
    together, apart = parameters(), parameters()
    own = [{"weight_decay": 0.2}, {"lr": 0.5}, {"betas": (0.0, 0.5), "eps": 1e-2}]
    groups = [{"params": iter([p]), **options} for p, options in zip(together, own, strict=True)]
    run(nn.Adam(groups, lr=0.01), together, 5)
    optimizers = [nn.Adam([p], **{"lr": 0.01} | o) for p, o in zip(apart, own, strict=True)]
    rng = np.random.default_rng(1)
    for _ in range(5):
        for p, optimizer in zip(apart, optimizers, strict=True):
            p.grad = np.asarray(rng.standard_normal(p.shape))
            optimizer.step()
    assert same(together, apart)
    assert not np.array_equal(together[1].data, parameters()[1].data)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_memory_layout_is_updated(layout, dtype):
    values = np.random.default_rng(0).standard_normal((3, 4)).astype(dtype)
    tensors = [tb.Tensor(a, requires_grad=True) for a in (values.copy(), layout(values))]
    for tensor in tensors:
        run(nn.Adam([tensor], weight_decay=0.1), [tensor], 5)
    assert same(tensors[:1], tensors[1:])
    assert not np.array_equal(tensors[0].data, values)


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


def test_it_resumes_from_its_state_bit_for_bit():
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
    assert same(whole, cut)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("t"),
        lambda state: state.pop("v.2"),
        lambda state: state.update({"t": np.zeros(2, int)}),
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


def test_each_parameter_counts_its_own_steps():
    """A first gradient after 1,000 steps of others: a first step, of the learning rate."""
    early, late = (tb.Tensor(np.zeros(2), requires_grad=True) for _ in range(2))
    optimizer = nn.Adam([early, late], lr=0.25)
    for step in range(1001):
        early.grad = np.ones(2)
        late.grad = np.array([3.0, -1e-2]) if step == 1000 else None
        optimizer.step()
    np.testing.assert_allclose(late.data, [-0.25, 0.25], rtol=1e-5)
    state = optimizer.state_dict()
    assert state["t"].tolist() == [1001, 1]
    other = nn.Adam([early, late], lr=0.25)
    other.load_state_dict(state)
    assert other.t == [1001, 1]


def test_a_state_with_one_t_for_all_is_understood():
    optimizer = nn.Adam(parameters())
    optimizer.load_state_dict(optimizer.state_dict() | {"t": np.array(7)})
    assert optimizer.t == [7, 7, 7]


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((4,), (3,)), ((), (4,))])
def test_a_gradient_or_parameter_of_another_shape_is_refused(shapes):
    """A compiled kernel would read beyond its end."""
    tensor = tb.Tensor(np.ones(4, np.float32), requires_grad=True)
    optimizer = nn.Adam([tensor])
    tensor.grad, tensor.data = (np.ones(shape, np.float32) for shape in shapes)
    with pytest.raises(
        ValueError, match=r"parameter 0 has shape .*, its gradient .* moments \(4,\)"
    ):
        optimizer.step()
