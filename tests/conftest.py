"""Settings of all tests: one Hypothesis profile, and a fresh device and random state for each."""

import os

import pytest
from hypothesis import settings

from tinybar.autograd.conv import use_algorithm
from tinybar.kernels import dispatch
from tinybar.runtime import arrays, random, threads

# The references are what the tests are about; tests/kernels holds the compiled kernels to them.
dispatch.enable(False)
os.environ["TINYBAR_FAST"] = "off"  # for the processes that tests start

if "PYTEST_XDIST_WORKER" in os.environ:
    # One worker per core: threads beside them would only wait for each other.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes that tests start
    threads.use_threads(1)

# No deadline: a test's time depends on the machine. Derandomized: a failure repeats itself.
settings.register_profile("tinybar", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("tinybar")


@pytest.fixture(autouse=True)
def _default_state():
    """Device, convolutions and random streams as after `import tinybar`, for every test."""
    arrays.use_device("cpu")
    use_algorithm("auto")
    random.seed(0)
    yield
    arrays.use_device("cpu")


def pytest_collection_modifyitems(items):
    """Skip the tests marked gpu where there is no GPU."""
    if not arrays.gpu_available():
        skip = pytest.mark.skip(reason="needs CuPy and a CUDA GPU")
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(skip)
