"""Winograd's convolution in float32 stays within a stated distance of the exact one."""

import numpy as np
import pytest
from winograd import LAYERS, layers, relative_errors, used

from tinybar.autograd.conv import winograd
from tinybar.kernels import dispatch

BOUND = 1e-5  # of ||e|| / ||exact||, for y and both gradients


@pytest.fixture(params=[False, True], ids=["reference", "compiled"])
def _both_kernels(request):
    if request.param:
        pytest.importorskip("numba")
    dispatch.enable(request.param)
    yield
    dispatch.enable(False)


@pytest.mark.usefixtures("_both_kernels")
@pytest.mark.parametrize("layer", layers(), ids=str)
def test_every_layer_of_the_papers_networks(layer):
    for name, (norm, _) in relative_errors(layer, "winograd", images=1).items():
        assert norm < BOUND, name


def test_the_bound_notices_constants_that_are_a_little_wrong(monkeypatch):
    monkeypatch.setattr(winograd, "G", winograd.G * (1 + 3e-5 * (np.arange(18).reshape(6, 3) % 2)))
    assert max(norm for norm, _ in relative_errors((64, 64, 8), "winograd", 1).values()) > BOUND


def test_the_direct_algorithm_is_closer():
    """A digit is what Winograd costs: if it cost nothing, this file would measure nothing."""
    layer = LAYERS["WRN-28-12"][3]
    direct, tiled = (relative_errors(layer, name, 1) for name in ("gather", "winograd"))
    assert all(3 * direct[name][0] < tiled[name][0] for name in direct)


def test_the_benchmark_observes_the_choices_of_conv2d():
    assert used() == {"winograd": 4, "pointwise": 3, "gather": 3}
