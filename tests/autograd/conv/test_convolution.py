"""Convolution against loops, in all its algorithms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybar import autograd as ag
from tinybar.audit.problems import GEOMETRIES
from tinybar.autograd.conv import algorithm as module
from tinybar.autograd.conv import choose_algorithm
from tinybar.autograd.windows import Geometry

from ..common import forward_backward, seeds


def naive(x, weight, bias, stride, padding):
    """y pixel by pixel, from the definition."""
    (sh, sw), (ph, pw) = stride, padding
    n, h, w, _ = x.shape
    kh, kw, _, c_out = weight.shape
    oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
    y = np.zeros((n, oh, ow, c_out)) + bias
    for p, q, i, j in np.ndindex(oh, ow, kh, kw):
        r, s = p * sh + i - ph, q * sw + j - pw
        if 0 <= r < h and 0 <= s < w:  # else it reads the margin of zeros
            for c, k in np.ndindex(weight.shape[2:]):
                y[:, p, q, k] += x[:, r, s, c] * weight[i, j, c, k]
    return y


small = st.integers(1, 3)
geometries = st.fixed_dictionaries(
    {
        "kernel": st.tuples(small, small),
        "stride": st.tuples(small, small),
        "padding": st.tuples(st.integers(0, 3), st.integers(0, 3)),
    }
)
sizes = st.tuples(st.integers(0, 2), st.integers(3, 5), st.integers(3, 5), small, small)


def check(algorithm, geometry, size, seed, with_bias=True):
    """The values are the naive ones, and the gradients those of a map linear in x and in weight.

    For another x', <f(x', weight), gy> = <x', gx>; and the same for the weight.
    """
    n, h, w, c_in, c_out = size
    rng = np.random.default_rng(seed)
    x, other_x = rng.standard_normal((2, n, h, w, c_in))
    weight, other_weight = rng.standard_normal((2, *geometry["kernel"], c_in, c_out))
    bias = rng.standard_normal(c_out)
    options = {k: geometry[k] for k in ("stride", "padding")}
    arrays = [x, weight, bias] if with_bias else [x, weight]
    y, (gx, gweight, *_), gy = forward_backward(
        lambda *a: ag.conv2d(*a, **options, algorithm=algorithm), arrays
    )
    close = {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(y, naive(x, weight, bias if with_bias else 0, **options), **close)
    along_x = (naive(other_x, weight, 0, **options) * gy).sum()
    np.testing.assert_allclose((other_x * gx).sum(), along_x, **close)
    along_weight = (naive(x, other_weight, 0, **options) * gy).sum()
    np.testing.assert_allclose((other_weight * gweight).sum(), along_weight, **close)


@pytest.mark.parametrize("algorithm", ["auto", "reference", "gather"])
@settings(max_examples=100)
@given(geometry=geometries, size=sizes, seed=seeds, with_bias=st.booleans())
def test_every_geometry(algorithm, geometry, size, seed, with_bias):
    check(algorithm, geometry, size, seed, with_bias)


@pytest.mark.parametrize("algorithm", sorted(GEOMETRIES))
@given(data=st.data(), size=sizes, seed=seeds)
def test_every_algorithm(algorithm, data, size, seed):
    kernel, stride, padding = data.draw(st.sampled_from(GEOMETRIES[algorithm]))
    stride, padding = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    check(algorithm, {"kernel": kernel, "stride": stride, "padding": padding}, size, seed)


@pytest.mark.parametrize("n", [1, 4, 5])  # 9, 36 and 45 rows of 40 channels
def test_few_rows_of_many_channels(n):
    """The two ways from gy to gx, on either side of where it changes."""
    rng = np.random.default_rng(n)
    x, w = rng.standard_normal((n, 3, 3, 2)), rng.standard_normal((3, 3, 2, 40))
    gy, found = rng.standard_normal((n, 3, 3, 40)), []
    for algorithm in ("gather", "reference"):
        image = ag.Tensor(x, requires_grad=True)
        ag.conv2d(image, ag.Tensor(w), padding=1, algorithm=algorithm).backward(gy)
        found.append(image.grad)
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-12)


@given(stride=st.tuples(small, small), size=sizes, seed=seeds)
def test_pointwise(stride, size, seed):
    check("pointwise", {"kernel": (1, 1), "stride": stride, "padding": (0, 0)}, size, seed)


@given(padding=st.tuples(st.integers(0, 3), st.integers(0, 3)), size=sizes, seed=seeds)
def test_winograd(padding, size, seed):
    check("winograd", {"kernel": (3, 3), "stride": (1, 1), "padding": padding}, size, seed)


@pytest.mark.parametrize(
    ("geometry", "size", "channels", "expected"),
    [
        ((1, 2, 0), 8, 16, "pointwise"),
        ((1, 1, 1), 8, 16, "gather"),
        (((1, 3), 1, 0), 8, 16, "gather"),
        ((3, 1, 1), 8, 16, "winograd"),
        ((3, 1, 1), 8, 3, "winograd"),
        ((3, 1, 1), 5, 16, "gather"),  # 2x2 tiles of 4x4 for 5x5 pixels
        ((3, 1, 1), 7, 16, "winograd"),
        ((3, 2, 1), 8, 16, "gather"),
    ],
)
def test_the_choice_of_algorithm(geometry, size, channels, expected):
    geometry = Geometry.of(*geometry)
    weight = (*geometry.kernel, 64, channels)
    assert choose_algorithm(geometry, (2, size, size, 64), weight) == expected
    x, w = np.ones((2, size, size, 64)), np.ones(weight)
    options = {"stride": geometry.stride, "padding": geometry.padding}
    chosen = ag.conv2d(x, w, **options).data
    np.testing.assert_array_equal(chosen, ag.conv2d(x, w, **options, algorithm=expected).data)


@pytest.mark.parametrize("algorithm", ["reference", "gather", "pointwise", "winograd"])
@pytest.mark.parametrize(("n", "c_in", "c_out"), [(0, 2, 2), (2, 0, 3), (2, 3, 0)])
def test_nothing_to_convolve(algorithm, n, c_in, c_out):
    kernel, padding = (3, 1) if algorithm == "winograd" else (1, 0)
    x, weight = np.ones((n, 3, 3, c_in)), np.ones((kernel, kernel, c_in, c_out))
    y, (gx, gw), _ = forward_backward(
        lambda x, w: ag.conv2d(x, w, padding=padding, algorithm=algorithm), [x, weight]
    )
    assert (y.shape, gx.shape, gw.shape) == ((n, 3, 3, c_out), x.shape, weight.shape)
    assert not y.any()
    assert not gx.any()
    assert not gw.any()


@pytest.mark.parametrize("algorithm", ["reference", "gather", "winograd"])
def test_large_images_in_float32(algorithm):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((4, 16, 16, 32)), rng.standard_normal((3, 3, 32, 16)) / 17
    run = lambda x, w: ag.conv2d(x, w, padding=1, algorithm=algorithm)  # noqa: E731
    high, gradients, gy = forward_backward(run, [x, w])
    low, gradients32, _ = forward_backward(run, [x.astype("f4"), w.astype("f4")], gy)
    for expected, got in zip([high, *gradients], [low, *gradients32], strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5 * abs(expected).max())


DTYPES = {  # of x, weight and bias: those of y
    ("f4", "i8", None): "f4",
    ("u1", "f4", "f4"): "f4",
    ("u1", "f8", None): "f8",
    ("i4", "i8", None): "f8",
    ("?", "u1", "i8"): "f8",
    ("f4", "f8", None): "f8",
    ("f8", "f4", "f4"): "f8",
    ("f4", "f4", "f8"): "f8",
    ("f2", "f2", "f2"): "f2",
    ("f2", "f4", None): "f4",
    ("u1", "f2", None): "f2",
    (">f4", ">f4", ">f4"): "f4",
    ("f4", "f4", "f4"): "f4",
}


@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
@pytest.mark.parametrize("algorithm", ["auto", "reference", "gather", "winograd"])
@pytest.mark.parametrize("scratch", [1, module.SCRATCH])  # part by part, and in one
def test_one_rule_for_dtypes_whatever_the_algorithm(algorithm, dtypes, scratch, monkeypatch):
    """Entries are small integers, which every dtype holds; sums beyond 2048 are rounded in f2."""
    monkeypatch.setattr(module, "SCRATCH", scratch)
    rng = np.random.default_rng(0)
    shapes = [(4, 8, 8, 2), (3, 3, 2, 3), (3,)]
    x, w, b = (
        None if dtype is None else rng.integers(0, 6, shape).astype(dtype)
        for shape, dtype in zip(shapes, dtypes, strict=True)
    )
    exact = naive(x.astype("f8"), w.astype("f8"), 0 if b is None else b, (1, 1), (1, 1))
    close = {"rtol": 0, "atol": (1e-3 if DTYPES[dtypes] == "f2" else 1e-5) * exact.max()}
    x, w = (ag.Tensor(a, requires_grad=a.dtype.kind == "f") for a in (x, w))
    y = ag.conv2d(x, w, b, padding=1, algorithm=algorithm)
    assert y.dtype == DTYPES[dtypes]
    np.testing.assert_allclose(y.data, exact, **close)
    if y.requires_grad:
        y.backward(np.ones(y.shape))
    if x.requires_grad:  # at a pixel that nine windows read
        expected = w.data.astype("f8").sum(axis=(0, 1, 3))
        np.testing.assert_allclose(x.grad[:, 3, 3], np.tile(expected, (4, 1)), **close)
        assert x.grad.dtype == x.dtype
    if w.requires_grad:  # in the middle, which reads every pixel
        expected = x.data.astype("f8").sum(axis=(0, 1, 2))
        np.testing.assert_allclose(w.grad[1, 1], np.tile(expected, (3, 1)).T, rtol=1e-3)
        assert w.grad.dtype == w.dtype


@pytest.mark.parametrize(
    ("algorithm", "kernel", "stride", "padding"),
    [("gather", 3, 1, 1), ("gather", 3, 2, 1), ("gather", 2, 3, 0), ("pointwise", 1, 2, 0)],
)
@given(seed=seeds, n=st.integers(1, 3))
def test_what_is_not_finite_reaches_what_the_definition_says(
    algorithm, kernel, stride, padding, seed, n
):
    """A pixel, or a gradient; of a weight the algorithms multiply different zeros."""
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((n, 5, 6, 2)), rng.standard_normal((kernel, kernel, 2, 3))
    edges, found = [np.nan, np.inf, -np.inf], []
    x.flat[rng.integers(x.size, size=2)] = rng.choice(edges, 2)
    with np.errstate(invalid="ignore"):
        for name in (algorithm, "reference"):
            y, pullback = ag.conv2d.function(x, w, None, stride, padding, algorithm=name)
            gy = np.random.default_rng(seed).standard_normal(y.shape)
            gy.flat[seed % gy.size] = edges[seed % 3]
            found.append((y, *pullback(gy)[:2]))
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)  # NaN and inf are equal


@pytest.mark.parametrize(
    ("x", "w", "b", "options", "text"),
    [
        ((2, 3, 3), (1, 1, 3, 2), None, {}, r"x \(N, H, W, C_in\)"),
        ((1, 3, 3, 2), (1, 3, 2), None, {}, "weight"),
        ((1, 3, 3, 2), (1, 1, 3, 2), None, {}, "has 2 channels"),
        ((1, 3, 3, 2), (1, 1, 2, 4), (3,), {}, "bias has shape"),
        ((1, 3, 3, 2), (1, 1, 2, 4), None, {"gate": np.ones(3)}, "gate has shape"),
        ((1, 3, 3, 2), (4, 4, 2, 4), None, {}, "does not fit"),
        ((1, 3, 3, 2), (1, 1, 2, 4), None, {"stride": 0}, "stride must be >= 1"),
        ((1, 3, 3, 2), (1, 1, 2, 4), None, {"algorithm": "magic"}, "unknown convolution"),
        ((1, 3, 3, 2), (3, 3, 2, 4), None, {"algorithm": "pointwise"}, "needs a 1x1"),
        ((1, 3, 3, 2), (2, 3, 2, 4), None, {"algorithm": "winograd"}, "needs a 3x3"),
        ((1, 3, 3, 2), (3, 3, 2, 4), None, {"algorithm": "winograd", "stride": 2}, "stride 1"),
    ],
)
def test_arguments_that_do_not_fit(x, w, b, options, text):
    with pytest.raises(ValueError, match=text):
        ag.conv2d(np.ones(x), np.ones(w), None if b is None else np.ones(b), **options)
