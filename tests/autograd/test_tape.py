"""The tape: accumulation, freeing, depth."""

import gc
import weakref

import numpy as np
import pytest

from tinybar import Tensor, no_grad
from tinybar import autograd as ag
from tinybar.autograd.tape import is_recording


def leaf(*values, dtype=float):
    return Tensor(np.array(values, dtype), requires_grad=True)


def test_a_tensor_used_several_times_collects_all_gradients():
    x = leaf(2.0, -3.0)
    ag.sum(x * x + x * 4 + x).backward()
    np.testing.assert_array_equal(x.grad, 2 * x.data + 5)


def test_a_diamond_is_passed_once():
    """Every node gives its gradient on when all of it has arrived: 2^60 paths, 60 steps."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_backward_twice_accumulates_in_a_new_array():
    x = leaf(1.0, 2.0)
    ag.sum(x * 3).backward()
    first = x.grad
    kept = first.copy()
    ag.sum(x * 4).backward()
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(x.grad, [7, 7])


def test_a_freed_tape_says_so():
    x = leaf(1.0, 2.0)
    y = x * 3
    z = ag.sum(y)
    z.backward()
    with pytest.raises(RuntimeError, match="'sum' was already freed"):
        z.backward()
    with pytest.raises(RuntimeError, match="'multiply' was already freed"):
        ag.mean(y).backward()
    np.testing.assert_array_equal(x.grad, [3, 3])


def test_backward_needs_something_recorded():
    with pytest.raises(RuntimeError, match="does not require gradients"):
        Tensor([1.0]).backward()
    with no_grad():
        y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="does not require gradients"):
        y.backward()


def test_backward_checks_its_gradient():
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(ValueError, match="single element"):
        y.backward()
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        y.backward(np.ones(3))


def test_backward_on_a_leaf():
    x = leaf(3.0)
    x.backward()
    assert x.grad.tolist() == [1.0]
    given = np.array([2.0])
    x.grad = None
    x.backward(given)
    assert x.grad is not given
    given[0] = 9
    assert x.grad.tolist() == [2.0]


@pytest.mark.parametrize(
    "fn",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: ag.reshape(a, (2, 2)) + ag.transpose(ag.reshape(b, (2, 2))),
        lambda a, b: ag.scatter_add(a, b, [0, 1, 2, 3]),
        lambda a, b: ag.concatenate([a, b]),
        lambda a, b: ag.sum(a) + ag.mean(b),
        lambda a, b: ag.where([True, True, True, True], a, b),
        lambda a, b: a[...] + b[1:2],
        lambda a, b: ag.maximum(a, b) * 1.0,
        lambda a, b: ag.relu(a) + a + (b + b),
    ],
)
def test_a_gradient_shares_memory_with_nothing(fn):
    a, b = leaf(1.0, 2.0, 3.0, 4.0), leaf(4.0, 3.0, 2.0, 0.5)
    out = fn(a, b)
    gy = np.ones(out.shape)
    out.backward(gy)
    live = [a.grad, b.grad, a.data, b.data, out.data, gy]
    for i, one in enumerate(live[:2]):
        assert one.flags.writeable
        assert one.flags.owndata
        assert not any(np.shares_memory(one, other) for other in live[i + 1 :])
    np.testing.assert_array_equal(gy, 1)


def test_a_gradient_has_its_tensors_dtype():
    x, y = leaf(1.0, 2.0, dtype=np.float32), leaf(3.0, 4.0)
    ag.sum(x * y).backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)
    scalar = Tensor(np.float32(2), requires_grad=True)
    (scalar * scalar).backward()
    assert isinstance(scalar.grad, np.ndarray)
    assert (scalar.grad.shape, scalar.grad.dtype) == ((), np.float32)
    (scalar * 3).backward()
    assert isinstance(scalar.grad, np.ndarray)
    assert scalar.grad == 7


def test_no_grad_records_nothing_and_ends():
    x = leaf(1.0)
    with no_grad():
        assert not is_recording()
        with no_grad():
            pass
        assert not (x * 2).requires_grad
    assert is_recording()
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * 2).requires_grad


def test_detach_cuts_the_tape():
    x = leaf(3.0)
    ag.sum(x * x.detach()).backward()
    assert x.grad.tolist() == [3.0]


def test_depth_is_no_limit():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.tolist() == [1.0]


def test_a_deep_tape_can_be_dropped():
    y = leaf(1.0)
    for _ in range(100_000):
        y = y * 1.0
    last = weakref.ref(y)
    del y
    assert last() is None


def test_backward_frees_what_pullbacks_captured():
    captured = weakref.ref(kept := Tensor(np.ones(3)).data)
    x = leaf(1.0, 2.0, 3.0)
    y = ag.sum(x * kept)
    del kept
    assert captured() is not None
    y.backward()
    assert captured() is None


def test_graphs_are_no_reference_cycles():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        y = ag.exp(x) * x
        ends = [weakref.ref(x), weakref.ref(y)]
        del x, y
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()


def test_a_dropped_leaf_needs_no_gradient():
    x = leaf(2.0)
    y = x * leaf(5.0)
    y.backward()
    assert x.grad.tolist() == [5.0]
