"""Tensor: what it holds, and how it meets NumPy and Python."""

import copy
import pickle

import numpy as np
import pytest

from tinybar import Tensor, nn
from tinybar import autograd as ag


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


LEAVING = {
    "where": lambda t: np.where([True], t, 0),
    "mean": np.mean,
    "stack": lambda t: np.stack([t, t]),
    "a list": lambda t: Tensor([t, t]),
    "a list of scalars": lambda t: Tensor([t[0], t[0]]),
    "lists in a list": lambda t: Tensor([[t], [t]]),
    "a list as an operand": lambda t: ag.sum([t, t]),
    "asarray": np.asarray,
    "array, of another dtype": lambda t: np.array(t, np.float32),
    "dot": lambda t: np.dot(t, t),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_numpys_functions_cannot_leave_the_tape_unnoticed(leave):
    t = Tensor([1.0], requires_grad=True)
    with pytest.raises(
        TypeError, match=r"ag\.mean for np\.mean, ag\.where for np\.where, ag\.conc"
    ):
        leave(t)
    leave(t.detach())


def test_numpys_operations_cannot_leave_the_tape_unnoticed():
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="does not support ufuncs"):
        np.exp(x)
    with pytest.raises(TypeError):
        np.ones(1).__iadd__(x)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_of_ndarray_are_taken_for_their_entries(tmp_path):
    mapped = np.memmap(tmp_path / "file", np.float64, "w+", shape=(2, 2))
    mapped[...] = 2
    for array in (np.matrix([[2.0, 2.0], [2.0, 2.0]]), mapped):
        t = Tensor(array)
        assert type(t.data) is np.ndarray
        np.testing.assert_array_equal((t * array).data, np.full((2, 2), 4))
        np.testing.assert_array_equal((array * t).data, np.full((2, 2), 4))
    assert np.shares_memory(Tensor(mapped).data, mapped)


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    for use in (Tensor, ag.exp, lambda m: Tensor(np.ones(2)) * m, lambda m: m * Tensor(np.ones(2))):
        with pytest.raises(TypeError, match=r"no mask: use ag\.where"):
            use(masked)


def test_the_protocols_of_a_sequence():
    t = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = t
    assert first.requires_grad
    assert second.data.tolist() == [3, 4]
    assert [row.data.tolist() for row in reversed(t)] == [[3, 4], [1, 2]]
    assert 3 in t
    assert 5 not in t
    assert Tensor([1, 2])[Tensor(1)].item() == [5, 2][Tensor(1)]


def test_a_scalar_is_no_sequence():
    for use in (len, iter, list, reversed):
        with pytest.raises(TypeError):
            use(Tensor(1.0))


def test_the_protocols_of_a_number():
    loss = Tensor(2.71828, requires_grad=True)
    assert f"{loss:.3f} {loss:8.2e}" == "2.718 2.72e+00"
    assert f"{Tensor([2.5])}" == "Tensor([2.5], dtype=float64)"
    assert (int(loss), float(loss), range(Tensor(3))[-1]) == (2, 2.71828, 2)
    with pytest.raises(ValueError, match=r"exactly one element, this tensor has shape \(2,\)"):
        f"{Tensor([1.0, 2.0]):.3f}"
    with pytest.raises(TypeError, match="integer"):
        [1, 2][Tensor(1.0)]


def test_gradients_need_a_floating_dtype_also_when_they_are_asked_for_later():
    t = Tensor([1, 2])
    with pytest.raises(
        TypeError, match="only floating-point tensors have gradients, this one is int"
    ):
        t.requires_grad = True
    assert not t.requires_grad
    t.requires_grad = False
    x = Tensor([1.0])
    x.requires_grad = True
    (x * 3.0).backward()
    assert x.grad == 3


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_has_no_tape_and_a_gradient_of_its_own(copied):
    t = nn.Parameter(np.ones(2, np.float32))
    ag.sum(t * 3.0).backward()
    other = copied(t)
    assert type(other) is nn.Parameter
    assert other.requires_grad
    assert other.grad.tolist() == [3, 3]
    assert not np.shares_memory(other.data, t.data)
    ag.sum(other * 2.0).backward()
    assert (other.grad.tolist(), t.grad.tolist()) == ([5, 5], [3, 3])


def test_only_leaves_are_copied():
    y = Tensor([1.0], requires_grad=True) * 2.0
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"not the result of 'multiply': detach\(\) it"):
            copied(y)
    assert copy.deepcopy(y.detach()).data == 2


def test_tensors_are_hashable_by_identity():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert len({a, b, a}) == 2


def test_a_tensor_with_hidden_entries_tells_its_shape():
    assert "shape=(40, 40), dtype=float64)" in repr(Tensor(np.zeros((40, 40))))
    assert "shape" not in repr(Tensor(np.zeros((2, 2))))


def test_in_a_notebook_a_tensor_tells_what_it_is():
    assert Tensor(np.array([1.5]), requires_grad=True)._repr_html_() == (
        "<div>Tensor, shape (1,), float64, requires_grad=True</div><pre>[1.5]</pre>"
    )
