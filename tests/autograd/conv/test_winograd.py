"""Winograd's convolution in float32 stays within a stated distance of the exact one."""

import numpy as np
import pytest
from winograd import LAYERS, layers, relative_errors, used

from tinybar import autograd as ag
from tinybar.autograd.conv import use_algorithm, winograd
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


def uneven(rng, c):
    """Images of 3x3 tiles whose pixels differ by orders of magnitude: a few, or one from all."""
    x = rng.standard_normal((1, 12, 12, c))
    if rng.random() < 0.5:
        return (x * 10.0 ** rng.uniform(-4, 4, (1, 12, 12, 1))).astype("f4")
    x *= 1e-4
    x[0, rng.integers(12), rng.integers(12)] = 1e4
    return x.astype("f4")


@pytest.mark.usefixtures("_both_kernels")
def test_the_error_beside_a_strong_pixel():
    """It is bounded by the largest pixel of the tile; of a direct sum, by what the output reads."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(60):
        c = int(rng.integers(1, 9))
        x, w = uneven(rng, c), rng.standard_normal((3, 3, c, 4)).astype("f4")
        w *= rng.random(w.shape) < rng.choice([0.2, 1])
        convolve = lambda x, w, name: ag.conv2d(x, w, padding=1, algorithm=name).data  # noqa: E731
        exact = convolve(x.astype("f8"), w.astype("f8"), "reference")
        largest = np.zeros((1, 12, 12, 1))
        for i, j in np.ndindex(3, 3):
            tile = abs(x[0, max(0, 4 * i - 1) : 4 * i + 5, max(0, 4 * j - 1) : 4 * j + 5])
            largest[0, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = tile.max()
        bound = largest * abs(w).sum(axis=(0, 1, 2))
        shares.append((abs(convolve(x, w, "winograd") - exact) / np.maximum(bound, 1e-30)).max())
        read = convolve(abs(x).astype("f8"), abs(w).astype("f8"), "reference")
        direct = abs(convolve(x, w, "gather") - exact)
        assert (direct <= 5e-7 * read).all()
    assert 1e-6 < max(shares) < 2e-5


def test_the_benchmark_observes_the_choices_of_conv2d():
    assert used() == {"winograd": 4, "pointwise": 3, "gather": 3}


def test_a_direct_sum_can_be_asked_for():
    x, w = uneven(np.random.default_rng(0), 3), np.ones((3, 3, 3, 2), "f4")
    x[0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        tiled = ag.conv2d(x, w, padding=1).data
        assert not np.isfinite(tiled[0, :4, :4]).any()
        use_algorithm("gather")
        direct = ag.conv2d(x, w, padding=1).data
        np.testing.assert_array_equal(direct, ag.conv2d(x, w, padding=1, algorithm="gather").data)
    assert np.argwhere(~np.isfinite(direct[0, ..., 0])).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize("name", ["winograd", "pointwise", "", None])
def test_not_every_algorithm_can_be_asked_for(name):
    with pytest.raises(ValueError, match="one of auto, gather"):
        use_algorithm(name)
