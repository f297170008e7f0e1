"""The CUDA kernels on a GPU: compiled by NVRTC, launched by CuPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels.problems import (
    KERNELS,
    PROBLEMS,
    at_the_edges,
    copied,
    flushed,
    hold,
    on_arrays,
    results,
    without_zeros,
)

from tinybar.autograd.conv import winograd
from tinybar.kernels import dispatch
from tinybar.kernels.dispatch import ACCELERATED
from tinybar.runtime import arrays

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _gpu():
    arrays.use_device("gpu")
    dispatch.enable(True)
    yield
    dispatch.enable(False)


NAMES = sorted({*KERNELS["cuda"], *KERNELS["in_place"]})


def on_gpu(arguments):
    return on_arrays(arrays.to_device, copied(arguments))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_kernel_computes_what_its_reference_does(name, data):
    arguments = data.draw(PROBLEMS[name])
    got, again = (results(ACCELERATED[name], on_gpu(arguments)) for _ in range(2))
    hold(name, got, arguments)
    for one, other in zip(got, again, strict=True):
        np.testing.assert_array_equal(one, other)  # to the last bit


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_kernel_at_the_edges(name, data):
    arguments = flushed(data.draw(at_the_edges(name, PROBLEMS)))
    got = results(ACCELERATED[name], on_gpu(arguments))
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "transformed", without_zeros)
        hold(name, got, arguments)
