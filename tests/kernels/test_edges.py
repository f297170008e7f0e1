"""Every accelerated function at the edges: what is not finite, denormal, empty, or laid out oddly.

A kernel gives NaN and infinity exactly where its reference does. Only Winograd's references differ:
they are products with whole matrices. They are held here to what they read, and so are the kernels.
CUDA's kernels are held to the same in tests/gpu.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels.problems import (
    KERNELS,
    PROBLEMS,
    at_the_edges,
    copied,
    hold,
    on_arrays,
    problems,
    results,
    without_zeros,
)

from tinybar.autograd.conv import winograd
from tinybar.kernels import dispatch
from tinybar.kernels.dispatch import ACCELERATED

ON_CPU = [(kind, name) for kind in ("in_place", "numba") for name in KERNELS.get(kind, ())]
WITH_EMPTY = problems(least=0)
transformed = winograd.transformed


@pytest.fixture(autouse=True)
def _formulas_as_they_read(monkeypatch):
    monkeypatch.setattr(winograd, "transformed", without_zeros)
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(("kind", "name"), ON_CPU)
@given(data=st.data())
def test_a_kernel(kind, name, data):
    arguments = data.draw(at_the_edges(name, PROBLEMS))
    hold(name, results(KERNELS[kind][name], copied(arguments)), arguments)


@pytest.mark.parametrize(
    "matrix", [winograd.G, winograd.G.T, winograd.B_T, winograd.B_T.T, winograd.A_T, winograd.A_T.T]
)
@given(data=st.data())
def test_winograd_s_references_hide_nothing(matrix, data):
    """What is not finite stays so, and spreads no further than the tile: here, the column."""
    (entries,) = data.draw(at_the_edges("weight_transform_pullback", PROBLEMS))
    entries = entries[: matrix.shape[1] ** 2].reshape(matrix.shape[1] ** 2, -1)
    got, read = transformed(matrix, entries), without_zeros(matrix, entries)
    assert not np.isfinite(got[~np.isfinite(read)]).any()
    finite = np.isfinite(entries).all(axis=0)
    np.testing.assert_allclose(got[:, finite], read[:, finite], rtol=1e-4, atol=1e-4)


# --- layouts, through the dispatcher --------------------------------------------------------------


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    place = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    place[...] = array
    return place


LAYOUTS = {
    "gaps": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "columns first": np.asfortranarray,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": unaligned,
    "read-only": read_only,
    "one row repeated": lambda a: np.broadcast_to(a[:1], a.shape),
}
WRITEABLE = sorted(set(LAYOUTS) - {"read-only", "one row repeated"})


def native(array):
    """In the machine's byte order, one row after the other."""
    return np.array(array, array.dtype.newbyteorder("="), order="C")


@pytest.mark.parametrize("is_compiled", [False, "numba" in KERNELS])
@pytest.mark.parametrize("name", sorted(ACCELERATED))
@given(data=st.data())
def test_any_layout(name, is_compiled, data):
    arguments = list(data.draw(at_the_edges(name, WITH_EMPTY)))
    for i, argument in enumerate(arguments):
        possible = WRITEABLE if i in ACCELERATED[name].changes else sorted(LAYOUTS)
        layout = LAYOUTS[data.draw(st.sampled_from(possible))]
        (arguments[i],) = on_arrays(lambda a, to=layout: to(a) if a.ndim else a, [argument])
    simple = on_arrays(native, arguments)
    dispatch.enable(is_compiled)
    try:
        got = results(ACCELERATED[name], arguments)
    finally:
        dispatch.enable(False)
    hold(name, [native(array) for array in got], simple)


@pytest.mark.parametrize("is_compiled", [False, "numba" in KERNELS])
@pytest.mark.parametrize("which", [0, 2, 3])
def test_what_may_not_be_written_is_not(which, is_compiled):
    arguments = [np.ones(3, "f4") for _ in range(4)]
    arguments[which] = read_only(arguments[which])
    lists = [[array] for array in arguments]
    dispatch.enable(is_compiled)
    try:
        with pytest.raises(ValueError, match="read-only"):
            ACCELERATED["adam_step"](*lists, (1,), 1e-2, 0.0, 0.9, 0.999, 1e-8)
    finally:
        dispatch.enable(False)
