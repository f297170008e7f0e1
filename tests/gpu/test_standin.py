"""The stand-in for CuPy is as strict as CuPy, and counts what CuPy would ask of a GPU."""

import inspect
import json
import operator
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst

from tinybar.runtime import arrays

from .conftest import STANDIN

LIST = json.loads((STANDIN / "signatures.json").read_text("utf-8"))
DTYPES = ("?", "i1", "i4", "i8", "u1", "f2", "f4", "f8")
HOST = np.ones((2, 3), "f4")


needs_cupy = pytest.mark.skipif(find_spec("cupy") is None, reason="needs CuPy, but no GPU")


@pytest.fixture
def ones(cupy):
    return cupy.ones((2, 3), "f4")


# --- it has what CuPy has -------------------------------------------------------------------------


def parameters(function) -> set[str]:
    return {*inspect.signature(function).parameters}


def listed(text: str) -> set[str]:
    names = (entry.strip(" *=") for entry in text.split(","))
    return {name for name in names if name not in ("", "/")}


def test_it_has_no_function_and_no_keyword_that_cupy_lacks(cupy):
    functions = LIST["functions"] | {"matmul": "a, b, out=", "size": "a, axis="}
    for module in (cupy._routines, cupy._reductions, cupy._products):
        for name, function in vars(module).items():
            own = getattr(function, "__module__", None) == module.__name__
            if inspect.isfunction(function) and own and not name.startswith("_"):
                assert parameters(function) <= listed(functions.get(name, "")), name
    for name, thing in vars(cupy.ndarray).items():
        if not name.startswith("_"):
            assert name in LIST["array"], name
            if inspect.isfunction(thing):
                own = parameters(thing) - {"self", "a", "array"}
                assert own <= listed(LIST["array"][name]), name


def said_by_cupy(script: str):
    """What a script of the stand-in's folder prints with the installed CuPy, as JSON."""
    command = [sys.executable, "-P", STANDIN / script]  # -P: not with the stand-in beside it
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@needs_cupy
def test_the_list_is_that_of_the_installed_cupy():
    found = said_by_cupy("signatures.py")
    for kind in ("functions", "ufuncs", "array"):
        for name in LIST[kind].keys() & found[kind].keys():
            assert found[kind][name] == LIST[kind][name], name
    if found["version"] == LIST["version"]:
        assert found == LIST


@needs_cupy
@pytest.mark.skipif(arrays.gpu_available(), reason="where there is a GPU, CuPy copies")
def test_views_are_those_of_the_installed_cupy(on_standin):
    assert json.loads(on_standin("views")) == said_by_cupy("views.py")


# --- what it refuses ------------------------------------------------------------------------------

REFUSED = [
    (TypeError, lambda xp, a: a + HOST),
    (TypeError, lambda xp, a: HOST + a),
    (TypeError, lambda xp, a: operator.iadd(a, HOST)),
    (TypeError, lambda xp, a: operator.iadd(HOST.copy(), a)),
    (TypeError, lambda xp, a: a > HOST),
    (TypeError, lambda xp, a: a + np.float32([1])[0:1]),
    (TypeError, lambda xp, a: xp.maximum(a, HOST)),
    (TypeError, lambda xp, a: xp.where(a > 0, a, HOST)),
    (TypeError, lambda xp, a: xp.concatenate([a, HOST])),
    (TypeError, lambda xp, a: HOST.T @ a),
    (TypeError, lambda xp, a: a @ HOST.T),
    (TypeError, lambda xp, a: np.asarray(a)),
    (TypeError, lambda xp, a: np.array([a, a])),
    (TypeError, lambda xp, a: np.dot(HOST.T, a)),
    (TypeError, lambda xp, a: HOST[xp.arange(2)]),
    (TypeError, lambda xp, a: [0, 1][xp.arange(2)[1]]),  # CuPy's arrays have no __index__
    (TypeError, lambda xp, a: range(xp.arange(2)[1])),
    (ValueError, lambda xp, a: operator.setitem(a, ..., HOST)),
    (ValueError, lambda xp, a: xp.asarray(np.array(["a"]))),
    (ValueError, lambda xp, a: xp.zeros(3, "longdouble")),
    (ValueError, lambda xp, a: bool(a)),
    (ValueError, lambda xp, a: a + xp.ones((3, 2))),
    (ValueError, lambda xp, a: operator.setitem(a, slice(None), xp.ones((3, 3)))),
    (TypeError, lambda xp, a: operator.iadd(xp.arange(3), 0.5)),
    (TypeError, lambda xp, a: xp.add(a, a, where=a > 0)),
    (TypeError, lambda xp, a: a.sum(where=a > 0)),
    (TypeError, lambda xp, a: a.max(initial=0)),
    (TypeError, lambda xp, a: xp.exp(a, subok=False)),
    (TypeError, lambda xp, a: (a > 0) - (a > 0)),
    (TypeError, lambda xp, a: xp.add.at(xp.arange(3), xp.arange(2), 1)),  # of int64
    (IndexError, lambda xp, a: a[xp.ones(2)]),
    (IndexError, lambda xp, a: a[2]),
    (AttributeError, lambda xp, a: xp.nosuch),
    (AttributeError, lambda xp, a: a.nosuch),
    (AttributeError, lambda xp, a: a.ctypes),
    (AttributeError, lambda xp, a: a.flags.writeable),
    (AttributeError, lambda xp, a: setattr(a, "name", 1)),
    (NotImplementedError, lambda xp, a: xp.interp),
    (NotImplementedError, lambda xp, a: a.cumsum),
]


@pytest.mark.parametrize(("error", "attempt"), REFUSED)
def test_it_refuses(error, attempt, cupy, ones):
    with pytest.raises(error):
        attempt(cupy, ones)


# --- what it computes -----------------------------------------------------------------------------

BINARY = ("add", "subtract", "multiply", "true_divide", "floor_divide", "maximum", "less", "equal")


def arrays_of(dtype, shape):
    bounds = {} if dtype == "?" else {"min_value": 0 if dtype[0] == "u" else -100, "max_value": 100}
    return nst.arrays(dtype, shape, elements=nst.from_dtype(np.dtype(dtype), **bounds))


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_entry_by_entry_it_is_numpy(name, data, cupy):
    shapes = data.draw(nst.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    a, b = (
        data.draw(arrays_of(data.draw(st.sampled_from(DTYPES)), shape))
        for shape in shapes.input_shapes
    )
    if data.draw(st.booleans()):
        b = data.draw(st.sampled_from([2, 0, -1.5, True, np.float64(2), np.float32(3)]))
    device = b if np.isscalar(b) else cupy.asarray(b)
    try:
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(a, b)
    except (TypeError, OverflowError):
        return
    got = getattr(cupy, name)(cupy.asarray(a), device)
    assert isinstance(got, cupy.ndarray)  # also of one entry
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got.get(), expected)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "prod", "any", "all"])
@given(data=st.data())
def test_reduced_it_is_numpy(name, data, cupy):
    dtype = data.draw(st.sampled_from(DTYPES))
    a = data.draw(arrays_of(dtype, nst.array_shapes(max_dims=3, max_side=4)))
    axis = data.draw(st.none() | nst.valid_tuple_axes(a.ndim, min_size=1))
    keepdims = data.draw(st.booleans())
    with np.errstate(all="ignore"):
        expected = getattr(a, name)(axis, keepdims=keepdims)
    got = getattr(cupy.asarray(a), name)(axis, keepdims=keepdims)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    rtol = {"f2": 1e-2, "f4": 1e-5}.get(dtype, 1e-12)
    np.testing.assert_allclose(got.get(), expected, rtol=rtol, atol=rtol * 100)


@given(data=st.data())
def test_indexed_it_is_numpy(data, cupy):
    shape = data.draw(nst.array_shapes(max_dims=3, max_side=4))
    a = np.arange(np.prod(shape)).reshape(shape)
    index = data.draw(nst.basic_indices(shape, allow_newaxis=True))
    arrays = [np.arange(n)[:: data.draw(st.sampled_from([1, -1]))] for n in shape[:1]]
    if data.draw(st.booleans()):
        index = (arrays[0], *[data.draw(st.sampled_from([slice(None), 0]))][: len(shape) - 1])
    device = (
        tuple(cupy.asarray(i) if isinstance(i, np.ndarray) else i for i in index)
        if isinstance(index, tuple)
        else index
    )
    got = cupy.asarray(a)
    np.testing.assert_array_equal(got[device].get(), a[index])
    got[device], a[index] = -1, -1
    np.testing.assert_array_equal(got.get(), a)


ARRANGED = [
    lambda xp, a: xp.concatenate([a, a[:1], a[:, :, ::-1]]),
    lambda xp, a: xp.concatenate([a[:, k % 3 : k % 3 + 1 + k % 2] for k in range(9)], 1),
    lambda xp, a: xp.stack([a, a], 1),
    lambda xp, a: xp.pad(a, ((1, 0), (0, 2), (1, 1))),
    lambda xp, a: xp.take(a, xp.asarray([[1, 0], [0, 0]]), 1),
    lambda xp, a: a.take(xp.asarray([3, 1])),
    lambda xp, a: xp.where(a > 3, a, 0),
    lambda xp, a: xp.clip(a, 2, 5.5),
    lambda xp, a: xp.tensordot(a, a, axes=((0, 2), (0, 2))),
    lambda xp, a: xp.tensordot(a, a.T, 1),
    lambda xp, a: a @ a.swapaxes(1, 2),
    lambda xp, a: a @ a[0, 0],
    lambda xp, a: a[:, 0] @ a[0].T,
    lambda xp, a: a[0, 0] @ a[0, 0],
    lambda xp, a: xp.arange(2, 9, 3),
    lambda xp, a: xp.full((2, 1), 7),
    lambda xp, a: xp.ones_like(a, "i4"),
    lambda xp, a: xp.zeros_like(a.T),
    lambda xp, a: xp.split(a, [1, 2], 2)[1],
    lambda xp, a: xp.expand_dims(xp.broadcast_to(a, (2, *a.shape)), 0).squeeze(0),
    lambda xp, a: (xp.copyto(y := a.copy(), 9, where=a < 4), y)[1],
    lambda xp, a: (xp.copyto(y := a.copy(), a[0]), y)[1],
    lambda xp, a: a.argmax(2),
    lambda xp, a: a.argmin(),
    lambda xp, a: a.var((0, 2)),
    lambda xp, a: a.view("i4"),
    lambda xp, a: xp.ascontiguousarray(a.T),
    lambda xp, a: xp.lib.stride_tricks.as_strided(a, (2, 2), (4, 8)),
    lambda xp, a: a[xp.asarray([1, 0]), :, xp.asarray([[2], [0]])],
    lambda xp, a: a[a > 4],
    lambda xp, a: (operator.setitem(y := a.copy(), a > 4, 1), y)[1],
    lambda xp, a: (xp.add.at(y := a.copy(), (xp.asarray([0, 0]), 1), a[0, 0]), y)[1],
]


@pytest.mark.parametrize("arrange", ARRANGED)
def test_arranged_it_is_numpy(arrange, cupy):
    a = np.random.default_rng(0).permutation(24).reshape(2, 3, 4).astype("f4")
    expected, got = arrange(np, a.copy()), arrange(cupy, cupy.asarray(a))
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(got.get(), expected, rtol=1e-6)


def test_of_two_writes_to_an_entry_not_the_last_one_counts(cupy):
    """In CuPy any may. To add twice is for add.at."""
    a, i = cupy.zeros(3), cupy.asarray([1, 1, 5])  # an index out of range wraps around
    a[i] = cupy.asarray([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(a.get(), [0, 1, 3])
    a[i] += 1
    np.testing.assert_array_equal(a.get(), [0, 2, 4])
    cupy.add.at(a, i, 1)
    np.testing.assert_array_equal(a.get(), [0, 4, 5])


def test_a_view_shares_memory_and_knows_its_owner(cupy):
    a = cupy.zeros((2, 3))
    view = a.T[1:].reshape(2, 2, 1)
    view[...] = 1
    assert view.base is a
    assert float(a.sum()) == 4
    assert a.base is None
    assert (a + 1).base is None
    assert cupy.ascontiguousarray(cupy.ones(())).shape == (1,)
    assert np.isnan(cupy.empty(3).get()).all()  # nothing is right by chance


# --- what it counts -------------------------------------------------------------------------------

COUNTED = [  # launches, reads, copies
    ((0, 0, 0), lambda xp, a: a.reshape(3, 2).T[1:, None].view().swapaxes(0, 1)),
    ((0, 0, 0), lambda xp, a: a.T.ravel("K")),
    ((1, 0, 0), lambda xp, a: a[0, ::2].ravel()),  # which reshape(-1) would view
    ((0, 0, 0), lambda xp, a: xp.broadcast_to(a, (4, 2, 3))),
    ((0, 0, 0), lambda xp, a: xp.split(a, [1], 1)),
    ((0, 0, 0), lambda xp, a: xp.ascontiguousarray(a)),
    ((0, 0, 0), lambda xp, a: a.astype("f4", copy=False)),
    ((0, 0, 0), lambda xp, a: (a.shape, a.dtype, a.size, len(a), a.flags.c_contiguous, [*a])),
    ((0, 0, 0), lambda xp, a: xp.empty(3)),
    ((1, 0, 0), lambda xp, a: a + 1),
    ((1, 0, 0), lambda xp, a: operator.iadd(a, 1)),
    ((1, 0, 0), lambda xp, a: operator.setitem(a, 0, 1)),
    ((1, 0, 0), lambda xp, a: xp.zeros(3)),
    ((1, 0, 0), lambda xp, a: xp.asarray(1.0)),  # a number is an argument of a kernel
    ((1, 0, 0), lambda xp, a: a.copy()),
    ((1, 0, 0), lambda xp, a: a.T.reshape(6)),
    ((1, 0, 0), lambda xp, a: a.sum()),
    ((1, 0, 0), lambda xp, a: a @ a.T),
    ((0, 0, 0), lambda xp, a: a[xp.empty(0, "i8")] + a[:0]),  # nothing to compute
    ((2, 0, 0), lambda xp, a: a.mean()),
    ((2, 0, 0), lambda xp, a: a[0] @ a[1]),
    ((2, 0, 0), lambda xp, a: xp.concatenate([a, a])),
    ((2, 0, 0), lambda xp, a: a[None] @ a[None].swapaxes(1, 2)),  # stacks are copied in order
    ((5, 0, 0), lambda xp, a: positions(xp, a)),
    ((0, 0, 1), lambda xp, a: xp.asarray(HOST)),
    ((1, 0, 1), lambda xp, a: a[np.array([0, 1])]),
    ((1, 0, 1), lambda xp, a: a.take([0, 1], 1)),
    ((0, 1, 0), lambda xp, a: a.get()),
    ((0, 1, 0), lambda xp, a: float(a[0, 0])),
    ((0, 1, 0), lambda xp, a: a[0, 0].item()),
    ((1, 1, 0), lambda xp, a: bool((a > 0)[0, 0])),
    ((1, 1, 0), lambda xp, a: a.T.get()),
    ((0, 6, 0), lambda xp, a: [float(x) for row in a for x in row]),
]


def positions(xp, a):
    """Two arrays of indices: zeros, a kernel for each, and one that reads."""
    index = xp.zeros(2, "i8")
    return a[index, index]


@pytest.mark.parametrize(("expected", "work"), COUNTED)
def test_it_counts(expected, work, cupy, ones):
    standin = cupy.standin
    with standin.counting() as counts:
        work(cupy, ones)
    found = tuple(standin.total(counts, kind) for kind in ("launches", "reads", "copies"))
    assert found == expected, counts


def test_a_dry_run_counts_the_same(cupy):
    counts = []
    for is_dry in (False, True):
        with cupy.standin.counting() as found:
            if is_dry:
                with cupy.standin.dry():
                    y = (cupy.ones((300, 300)) @ cupy.ones((300, 300))).sum(axis=0)
            else:
                y = (cupy.ones((300, 300)) @ cupy.ones((300, 300))).sum(axis=0)
        counts.append(found)
    assert counts[0] == counts[1]
    assert y.shape == (300,)
