"""Kernels that run on the CPU are held to their references. For CUDA's see tests/gpu."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels.problems import KERNELS, PROBLEMS, copied, hold, results

from tinybar.kernels.dispatch import ACCELERATED

ON_CPU = [(kind, name) for kind in ("in_place", "numba") for name in KERNELS.get(kind, ())]


def test_every_accelerated_function_has_its_problems():
    assert set(PROBLEMS) == set(ACCELERATED)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in KERNELS for name in KERNELS[kind]]
)
def test_a_kernel_has_the_parameters_of_its_reference(kind, name):
    kernel, reference = KERNELS[kind][name], ACCELERATED[name].reference
    assert [*inspect.signature(kernel).parameters] == [*inspect.signature(reference).parameters]


@pytest.mark.parametrize(("kind", "name"), ON_CPU)
@given(data=st.data())
def test_a_kernel_computes_what_its_reference_does(kind, name, data):
    arguments = data.draw(PROBLEMS[name])
    hold(name, results(KERNELS[kind][name], copied(arguments)), arguments)


@pytest.mark.parametrize("name", KERNELS["in_place"])
@given(data=st.data())
def test_array_operations_take_any_memory_layout(name, data):
    arguments = data.draw(PROBLEMS[name])
    strided = [np.repeat(a, 2, 0)[::2] if isinstance(a, np.ndarray) else a for a in arguments]
    hold(name, results(KERNELS["in_place"][name], strided), arguments)


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in ON_CPU}))
def test_what_is_not_finite_is_no_zero_behind_the_relu(kind):
    """A compiled max(0, NaN) would be 0, and a diverging run look healthy."""
    x = np.array([np.nan, np.inf, -np.inf, 1, -1, 0], "f4").reshape(-1, 1)
    zero, one = np.zeros(1, "f4"), np.ones(1, "f4")
    with np.errstate(invalid="ignore"):
        y = KERNELS[kind]["normalise_relu"](x, zero, one, one, zero)
    np.testing.assert_array_equal(y[:, 0], [np.nan, np.inf, 0, 1, 0, 0])
