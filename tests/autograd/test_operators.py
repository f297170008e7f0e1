"""Operators: the same numbers as NumPy's, in the precision of the tensor, from both sides."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from tinybar import Tensor

from .common import seeds

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv]
COMPARISONS = [
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
    operator.eq,
    operator.ne,
]


@pytest.mark.parametrize("op", [*ARITHMETIC, *COMPARISONS])
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), seed=seeds)
def test_as_numpy(op, shapes, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(1, 4, shape).astype(float) for shape in shapes.input_shapes)
    expected = op(a, b)
    for left, right in ((Tensor(a), Tensor(b)), (a, Tensor(b)), (Tensor(a), b)):
        out = op(left, right)
        assert isinstance(out, Tensor)
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out.data, expected)


NUMBERS = [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.bool_(True)]


@pytest.mark.parametrize("op", ARITHMETIC)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0)])
def test_a_number_beside_float32_stays_float32(op, number, shape):
    x = Tensor(np.full(shape, 3, np.float32), requires_grad=True)
    for out, expected in (
        (op(x, number), op(3.0, float(number))),
        (op(number, x), op(float(number), 3.0)),
    ):
        assert isinstance(out, Tensor)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out.data, np.full(shape, expected), rtol=1e-7)
        out.backward(np.ones(shape))
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("p", [0, 1, 2, 3, -1, 0.5, np.float64(2), np.int32(2), True])
def test_power(p):
    x = Tensor(np.array([0.5, 2, 3], np.float32), requires_grad=True)
    y = x**p
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, x.data.astype(float) ** float(p), rtol=1e-6)
    y.backward(np.ones(3))
    np.testing.assert_allclose(x.grad, p * x.data.astype(float) ** (float(p) - 1), rtol=1e-6)


def test_power_at_zero_and_below():
    x = Tensor(np.array([0.0, -2.0]), requires_grad=True)
    for p, value, slope in ((0, [1, 1], [0, 0]), (1, [0, -2], [1, 1]), (2, [0, 4], [0, -4])):
        x.grad = None
        y = x**p
        y.backward(np.ones(2))
        assert y.data.tolist() == value
        assert x.grad.tolist() == slope


@pytest.mark.parametrize("p", [Tensor([2.0]), np.array([2.0]), "2", None])
def test_power_needs_a_number(p):
    with pytest.raises(TypeError):
        Tensor([2.0]) ** p


def test_matrix_products_from_both_sides():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    for left, right in ((Tensor(a), Tensor(b)), (a, Tensor(b)), (Tensor(a), b)):
        np.testing.assert_array_equal((left @ right).data, a @ b)


def test_comparisons_are_made_in_the_tensors_precision_and_off_the_tape():
    x = Tensor(np.array([0.1, 0.2], np.float32), requires_grad=True)
    assert (x == 0.1).data.tolist() == [True, False]
    assert (x <= 0.1).data.tolist() == [True, False]
    assert not (x > 0).requires_grad


def test_in_place_operators_make_new_tensors():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x
    y += 1
    y *= 2
    assert x.data.tolist() == [1, 2]
    y.backward(np.ones(2))
    assert x.grad.tolist() == [2, 2]


INDICES = [
    1,
    -1,
    np.int64(2),
    slice(None, None, 2),
    slice(0, 0),
    ...,
    None,
    (0, 1),
    (..., 1),
    (slice(1, 3), None, -1),
    [0, 2],
    [True, False, True],
    np.array([2, 2, 0]),
    (np.array([[0], [1]]), np.array([1, 1])),
    np.arange(12).reshape(3, 4) % 5 == 1,
    (slice(None), [0, 0, 3]),
    True,
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing(index):
    x = Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, x.data[index])
    gy = np.arange(1.0, y.size + 1).reshape(y.shape)
    y.backward(gy)
    expected = np.zeros((3, 4))
    np.add.at(expected, index, gy)
    np.testing.assert_array_equal(x.grad, expected)


def test_indexing_with_tensors():
    x = Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    np.testing.assert_array_equal(x[x > 5].data, np.arange(6.0, 12))
    np.testing.assert_array_equal(x[:, Tensor([1, 1])].data, x.data[:, [1, 1]])
