"""The CUDA forms on a GPU: compiled by NVRTC, launched by CuPy."""

import numpy as np
import pytest
from gpu.problems import FORMS, PROBLEMS, accelerated, hold, results
from hypothesis import given
from hypothesis import strategies as st

from tinybar.kernels import dispatch
from tinybar.runtime import arrays

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _gpu():
    arrays.use_device("gpu")
    dispatch.enable(True)
    yield
    dispatch.enable(False)


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
def test_a_form_computes_what_its_reference_does(name, data):
    arguments = data.draw(PROBLEMS[name])
    got, again = (
        results(
            accelerated(name),
            [arrays.to_device(a.copy()) if isinstance(a, np.ndarray) else a for a in arguments],
        )
        for _ in range(2)
    )
    hold(name, got, arguments)
    for one, other in zip(got, again, strict=True):
        np.testing.assert_array_equal(one, other)  # to the last bit
