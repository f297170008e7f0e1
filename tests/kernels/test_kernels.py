"""Kernels that run on the CPU are held to their references; at the edges, in test_edges.py.

For CUDA's see tests/gpu.
"""

import inspect

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
