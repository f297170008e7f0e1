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


def loop(x, gy, kernel, stride, padding, kind):
    """(y, gx) window by window."""
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride or kernel, padding
    _, h, w, _ = x.shape
    y, gx = np.zeros(gy.shape), np.zeros(x.shape)
    for b, p, q, k in np.ndindex(*gy.shape):
        inside = [
            (r, s)
            for r in range(p * sh - ph, p * sh - ph + kh)
            for s in range(q * sw - pw, q * sw - pw + kw)
            if 0 <= r < h and 0 <= s < w
        ]
        if kind == "max":
            r, s = max(inside, key=lambda rs: x[b, rs[0], rs[1], k])  # the first of the largest
            y[b, p, q, k] = x[b, r, s, k]
            gx[b, r, s, k] += gy[b, p, q, k]
        else:
            for r, s in inside:
                y[b, p, q, k] += x[b, r, s, k] / (kh * kw)
                gx[b, r, s, k] += gy[b, p, q, k] / (kh * kw)
    return y, gx


@pytest.mark.parametrize("kind", ["max", "avg"])
@settings(max_examples=100)
@given(
    geometry=geometries(),
    shape=st.tuples(st.integers(0, 2), st.integers(3, 5), st.integers(3, 5), small),
    values=st.sampled_from(["random", "ties", "negative"]),
    seed=seeds,
)
def test_every_geometry(kind, geometry, shape, values, seed):
    rng = np.random.default_rng(seed)
    x = {
        "random": lambda: rng.standard_normal(shape),
        "ties": lambda: rng.integers(0, 2, shape).astype(float),
        "negative": lambda: -1 - rng.random(shape),  # a margin of zeros would win the maximum
    }[values]()
    fn = ag.max_pool2d if kind == "max" else ag.avg_pool2d
    y, (gx,), gy = forward_backward(lambda x: fn(x, **geometry), [x])
    expected, expected_gx = loop(x, gy, kind=kind, **geometry)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gx, expected_gx, rtol=1e-12, atol=1e-13)


def test_among_equals_the_first_gets_the_gradient():
    gx = gradient(lambda x: ag.max_pool2d(x, 2), np.full((1, 2, 2, 1), 3.0))
    assert gx.reshape(-1).tolist() == [1, 0, 0, 0]


@given(seed=seeds, shape=st.tuples(st.integers(0, 3), small, small, st.integers(0, 3)))
def test_global_average(seed, shape):
    x = np.random.default_rng(seed).standard_normal(shape)
    y, (gx,), gy = forward_backward(ag.global_avg_pool2d, [x])
    area = shape[1] * shape[2]
    np.testing.assert_allclose(y, x.reshape(shape[0], area, shape[3]).sum(1) / area, atol=1e-14)
    np.testing.assert_allclose(gx, np.zeros(shape) + gy[:, None, None] / area, atol=1e-14)


@pytest.mark.parametrize("fn", [ag.max_pool2d, ag.avg_pool2d])
def test_what_does_not_fit_is_said(fn):
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
