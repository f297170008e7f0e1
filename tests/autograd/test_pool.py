"""Pooling against loops, and the conventions at ties and margins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybar import autograd as ag

from .common import forward_backward, gradient, seeds

small = st.integers(1, 3)


@st.composite
def geometries(draw):
    kernel = draw(st.tuples(small, small))
    stride = draw(st.one_of(st.none(), st.tuples(small, small)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return {"kernel": kernel, "stride": stride, "padding": padding}


def loop(x, shape, kernel, stride, padding, pool):
    """y window by window; pool: of the pixels (P, C) of a window that lie in the image."""
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride or kernel, padding
    y = np.zeros(shape)
    for b, p, q in np.ndindex(*shape[:3]):
        top, left = p * sh - ph, q * sw - pw
        window = x[b, max(top, 0) : top + kh, max(left, 0) : left + kw]
        y[b, p, q] = pool(window.reshape(-1, x.shape[3]))
    return y


@pytest.mark.parametrize("fn", [ag.max_pool2d, ag.avg_pool2d])
@settings(max_examples=100)
@given(
    geometry=geometries(),
    shape=st.tuples(st.integers(0, 2), st.integers(3, 5), st.integers(3, 5), small),
    seed=seeds,
)
def test_every_geometry(fn, geometry, shape, seed):
    x = -1 - np.random.default_rng(seed).random(shape)  # a margin of zeros would win the maximum
    y, (gx,), gy = forward_backward(lambda x: fn(x, **geometry), [x])
    area = np.prod(geometry["kernel"])
    pool = (lambda w: w.max(0)) if fn is ag.max_pool2d else (lambda w: w.sum(0) / area)
    expected = loop(x, gy.shape, **geometry, pool=pool)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
    assert gx.shape == x.shape


@pytest.mark.parametrize(("stride", "expected"), [(2, [1, 0, 0, 0, 0, 0]), (1, [1, 1, 0, 0, 0, 0])])
def test_among_equals_the_first_gets_the_gradient(stride, expected):
    """One window, or two that overlap."""
    gx = gradient(lambda x: ag.max_pool2d(x, 2, stride), np.full((1, 2, 3, 1), 3.0))
    assert gx.reshape(-1).tolist() == expected


@given(seed=seeds, shape=st.tuples(st.integers(0, 3), small, small, st.integers(0, 3)))
def test_global_average(seed, shape):
    x = np.random.default_rng(seed).standard_normal(shape)
    y, (gx,), _ = forward_backward(ag.global_avg_pool2d, [x])
    area = shape[1] * shape[2]
    np.testing.assert_allclose(y, x.reshape(shape[0], area, shape[3]).sum(1) / area, atol=1e-14)
    assert gx.shape == shape


@pytest.mark.parametrize("fn", [ag.max_pool2d, ag.avg_pool2d])
def test_geometries_that_do_not_fit(fn):
    with pytest.raises(ValueError, match="more than half"):
        fn(np.ones((1, 4, 4, 1)), 3, padding=2)
    with pytest.raises(ValueError, match=r"needs x \(N, H, W, C\)"):
        fn(np.ones((4, 4, 1)), 2)
    with pytest.raises(ValueError, match="does not fit"):
        fn(np.ones((1, 2, 2, 1)), 3)


@pytest.mark.parametrize("shape", [(2, 3), (1, 0, 3, 2), (1, 3, 0, 2)])
def test_a_global_average_needs_pixels(shape):
    with pytest.raises(ValueError, match="with pixels"):
        ag.global_avg_pool2d(np.ones(shape))


@pytest.mark.parametrize("value", [-np.inf, 0.0, np.nan])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_no_gradient_is_lost_in_the_margin(value, stride):
    """Where all are equal, also -inf as the margin is: to the first that lies in the image."""
    x = np.full((1, 4, 5, 1), value)
    y, (gx,), gy = forward_backward(lambda x: ag.max_pool2d(x, 3, stride, 1), [x])
    np.testing.assert_array_equal(y, np.full(y.shape, value))
    np.testing.assert_allclose(gx.sum(), gy.sum(), rtol=1e-12)
    if np.isnan(value):
        return  # the last of a window, as in PyTorch
    expected = np.zeros(x.shape)
    for p, q in np.ndindex(*gy.shape[1:3]):
        expected[0, max(0, p * stride - 1), max(0, q * stride - 1), 0] += gy[0, p, q, 0]
    np.testing.assert_allclose(gx, expected, rtol=1e-12)


def test_a_pixel_that_is_nan_is_the_largest_and_gets_the_gradient():
    x = np.array([[1.0, np.nan], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    assert gradient(lambda x: ag.max_pool2d(x, 2), x).reshape(-1).tolist() == [0, 1, 0, 0]


def test_an_infinite_gradient_stays_with_its_pixel():
    x = np.array([[1.0, 4.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    gx = gradient(lambda x: ag.max_pool2d(x, 2), x, np.full((1, 1, 1, 1), np.inf))
    assert gx.reshape(-1).tolist() == [0, np.inf, 0, 0]
