"""The CUDA kernels on a GPU: compiled by NVRTC, launched by CuPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels.problems import KERNELS, PROBLEMS, copied, hold, results

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


@pytest.mark.parametrize("name", sorted({*KERNELS["cuda"], *KERNELS["in_place"]}))
@given(data=st.data())
def test_a_kernel_computes_what_its_reference_does(name, data):
    arguments = data.draw(PROBLEMS[name])

    def on_gpu():
        return [arrays.to_device(a) if isinstance(a, np.ndarray) else a for a in copied(arguments)]

    got, again = (results(ACCELERATED[name], on_gpu()) for _ in range(2))
    hold(name, got, arguments)
    for one, other in zip(got, again, strict=True):
        np.testing.assert_array_equal(one, other)  # to the last bit
