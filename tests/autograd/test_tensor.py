"""Tensor: what it holds, and how it meets NumPy and Python."""

import numpy as np
import pytest

from tinybar import Tensor


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1.5, np.float64, ()),
        ([1, 2], np.int64, (2,)),
        ([[True], [False]], np.bool_, (2, 1)),
        (np.float32(2), np.float32, ()),
        (np.zeros((2, 0), np.float32), np.float32, (2, 0)),
        (np.arange(3, dtype=np.uint8), np.uint8, (3,)),
        (Tensor(np.ones(2, np.float32)), np.float32, (2,)),
    ],
)
def test_dtype_and_shape_are_those_of_the_data(data, dtype, shape):
    t = Tensor(data)
    assert isinstance(t.data, np.ndarray)
    assert (t.dtype, t.shape, t.ndim, t.size) == (dtype, shape, len(shape), t.data.size)
    assert t.grad is None
    assert not t.requires_grad


@pytest.mark.parametrize("data", ["abc", None, [1j], {}, [None]])
def test_data_that_are_not_numbers(data):
    with pytest.raises(TypeError, match="real numbers"):
        Tensor(data)


@pytest.mark.parametrize("data", [[1, 2], [True], np.arange(3, dtype=np.uint8)])
def test_gradients_need_a_floating_dtype(data):
    with pytest.raises(TypeError, match="only floating-point"):
        Tensor(data, requires_grad=True)


def test_an_array_is_not_copied():
    array = np.ones(3)
    t = Tensor(array)
    assert t.data is array
    assert t.numpy() is array
    assert t.detach().data is array
    assert np.asarray(t) is array


def test_conversions():
    assert Tensor([[2.5]]).item() == 2.5
    assert type(Tensor(2).item()) is int
    assert float(Tensor([3.0])) == 3.0
    assert bool(Tensor([1]))
    assert not bool(Tensor(0.0))
    assert len(Tensor(np.zeros((4, 2)))) == 4
    assert np.array(Tensor([1, 2]), dtype=float).dtype == float
    assert [row.item() for row in Tensor([1, 2])] == [1, 2]
    assert repr(Tensor(np.array([1.5]), requires_grad=True)) == (
        "Tensor([1.5], dtype=float64, requires_grad=True)"
    )


@pytest.mark.parametrize("shape", [(0,), (2,), (1, 3)])
def test_item_needs_one_element(shape):
    with pytest.raises(ValueError, match="exactly one element"):
        Tensor(np.zeros(shape)).item()
    with pytest.raises(ValueError, match="exactly one element"):
        bool(Tensor(np.zeros(shape)))


def test_numpys_functions_cannot_leave_the_tape_unnoticed():
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError):
        np.exp(x)
    with pytest.raises(TypeError):
        np.ones(1).__iadd__(x)


def test_tensors_are_hashable_by_identity():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert len({a, b, a}) == 2
