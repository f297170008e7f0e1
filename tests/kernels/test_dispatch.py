"""The compiled forms are held to the plain ones; without Numba nothing changes."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybar import autograd as ag
from tinybar.autograd import norm, selection
from tinybar.autograd.conv import convolution as conv
from tinybar.autograd.conv import winograd
from tinybar.autograd.windows import Geometry
from tinybar.kernels import dispatch
from tinybar.nn import optim

pytest.importorskip("numba")
from tinybar.kernels import numba as compiled

MODULES = (conv, winograd, norm, selection, optim)  # where functions are marked @accelerated
sizes = st.tuples(st.integers(1, 3), st.integers(3, 10), st.integers(3, 10), st.integers(1, 9))
paddings = st.tuples(st.integers(0, 2), st.integers(0, 2))


@pytest.fixture(autouse=True)
def _compiled_forms():
    dispatch.enable(True)
    yield
    dispatch.enable(False)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def tiles_of(shape, padding):
    size = tuple(n + 2 * p - 2 for n, p in zip(shape[1:3], padding, strict=True))
    return size, tuple(-(-n // 4) for n in size)


def same(function, *arguments, scale=0.0):
    """The compiled form gives what the reference gives, in float64, to float32's rounding.

    scale: the size of what is added up, where a sum may come out much smaller.
    """
    doubles = [a.astype("f8") if getattr(a, "dtype", 0) == np.float32 else a for a in arguments]
    got, expected = function(*arguments), function.reference(*doubles)
    if not isinstance(got, tuple):
        got, expected = (got,), (expected,)
    for low, high in zip(got, expected, strict=True):
        assert low.dtype == np.float32
        assert low.shape == high.shape
        np.testing.assert_allclose(low, high, rtol=0, atol=2e-6 * abs(high).max(initial=scale))


@given(shape=sizes, padding=paddings, seed=st.integers(0, 99))
def test_winograd_transforms(shape, padding, seed):
    size, tiles = tiles_of(shape, padding)
    n, channels = shape[0], shape[3]
    tiled = (36, n * tiles[0] * tiles[1], channels)
    same(winograd.input_transform, normal(seed, *shape), padding, tiles)
    same(winograd.input_adjoint, normal(seed, *tiled), shape, padding, tiles)
    same(winograd.output_transform, normal(seed, *tiled), n, tiles, size)
    same(winograd.output_adjoint, normal(seed, n, *size, channels), tiles)


@given(c=st.integers(1, 40), k=st.integers(1, 40))
def test_winograd_transforms_of_the_weight(c, k):
    same(winograd.weight_transform, normal(0, 3, 3, c, k))
    same(winograd.weight_adjoint, normal(1, 36, c, k))


@given(
    shape=sizes,
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=paddings,
)
def test_windows_as_rows(shape, kernel, stride, padding):
    geometry = Geometry(kernel, stride, padding)
    size = geometry.output_size(*shape[1:3])
    same(conv.gather_rows, normal(0, *shape), *geometry, size)
    rows = (shape[0] * size[0] * size[1], kernel[0] * kernel[1] * shape[3])
    same(conv.scatter_rows, normal(0, *rows), shape, *geometry, size)


@given(rows=st.integers(1, 5000), c=st.integers(1, 70), offset=st.sampled_from([0, 30]))
def test_batch_norm_with_relu(rows, c, offset):
    x, gy = normal(0, rows, 1, 1, c) + np.float32(offset), normal(1, rows, 1, 1, c)
    mean, k, beta = normal(2, c) + np.float32(offset), normal(3, c), normal(4, c)
    same(norm.moments, x, scale=abs(x).max())
    same(norm.normalise_relu, x, mean, k, beta)
    y = norm.normalise_relu.reference(x, mean, k, beta)
    same(
        norm.masked_sums,
        gy,
        y,
        x,
        mean,
        scale=abs(gy * (abs(x) + abs(mean))).sum(axis=(0, 1, 2)).max(),
    )
    same(norm.normalise_relu_adjoint, gy, y, x, mean, k, beta, normal(5, c))


def test_what_is_not_finite_is_no_zero_behind_the_relu():
    """A compiled max(0, NaN) would be 0, and a diverging run look healthy."""
    x = np.array([np.nan, np.inf, -np.inf, 1, -1, 0], "f4").reshape(-1, 1)
    mean, k, beta = np.zeros(1, "f4"), np.ones(1, "f4"), np.zeros(1, "f4")
    with np.errstate(invalid="ignore"):
        expected = norm.normalise_relu.reference(x, mean, k, beta)
        np.testing.assert_array_equal(norm.normalise_relu(x, mean, k, beta), expected)
    assert np.isnan(expected[0, 0])


@given(
    c=st.integers(1, 40),
    index=st.lists(st.integers(0, 39), max_size=50),
    rows=st.integers(1, 50),
)
def test_selected_features(c, index, rows):
    index = np.array(index, int) % c
    x, delta = normal(0, 2, rows, 3, c), normal(1, 2, rows, 3, index.size)
    assert np.array_equal(selection.read_features(x, index), x[..., index])
    same(selection.add_features, x, delta, index, scale=index.size)


def test_adam():
    shape, options = (30,), (0.9, 0.999, 5e-4, 1e-2, 1.3, 1e-8)
    p, g, m, v = normal(0, *shape), normal(1, *shape), normal(2, *shape), normal(3, *shape) ** 2
    fast, plain = ([a.copy() for a in (p, g, m, v)] for _ in range(2))
    optim.adam_update(*fast, *options)
    optim.adam_update.reference(*plain, *options)
    for low, high, before in zip(fast, plain, (p, g, m, v), strict=True):
        np.testing.assert_allclose(low, high, rtol=1e-5, atol=1e-7)
        assert (before is g) == np.array_equal(low, before)


def test_every_kernel_stands_in_for_a_reference():
    kernels = set(compiled.__all__)
    references = {
        name
        for module in MODULES
        for name, value in vars(module).items()
        if hasattr(value, "reference")
    }
    assert kernels == references
    for name in kernels:
        reference = next(vars(m)[name] for m in MODULES if name in vars(m)).reference
        assert list(inspect.signature(reference).parameters) == list(
            inspect.signature(vars(compiled)[name]).parameters
        )


def test_only_float32_is_compiled(monkeypatch):
    monkeypatch.setattr(dispatch, "_compiled", lambda name: pytest.fail(f"{name} was called"))
    gy = normal(0, 1, 4, 4, 2)
    winograd.output_adjoint(gy.astype("f8"), (1, 1))
    winograd.output_adjoint(gy[:0], (1, 1))
    dispatch.enable(False)
    winograd.output_adjoint(gy, (1, 1))


@pytest.mark.parametrize("transposed", [False, True])
def test_any_memory_layout(transposed):
    gy = normal(0, 4, 8, 8, 2)
    gy = gy.transpose(0, 2, 1, 3) if transposed else gy[::2]
    same(winograd.output_adjoint, gy, (2, 2))


def test_a_convolution_does_not_depend_on_it():
    x, w = normal(1, 2, 9, 8, 16), normal(2, 3, 3, 16, 8)
    run = lambda: ag.conv2d(x, w, padding=1, algorithm="winograd").data  # noqa: E731
    fast = run()
    dispatch.enable(False)
    assert not np.array_equal(fast, run())  # they are two ways to compute it
    np.testing.assert_allclose(fast, run(), rtol=0, atol=1e-5 * abs(fast).max())


@pytest.mark.parametrize(("setting", "expected"), [("on", "True"), ("off", "False")])
def test_the_environment_switches_it_off(setting, expected, monkeypatch):
    monkeypatch.setenv("TINYBAR_FAST", setting)
    code = "from tinybar.kernels import dispatch; print(dispatch.is_available())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_without_numba_the_plain_form_is_used(monkeypatch):
    monkeypatch.setenv("TINYBAR_FAST", "on")
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] == 'numba': raise ModuleNotFoundError(name=name)\n"
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'numba' else found(name, *a)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import numpy as np\n"
        "from tinybar import autograd as ag\nfrom tinybar.kernels import dispatch\n"
        "ag.conv2d(np.ones((1, 4, 4, 8), 'f4'), np.ones((3, 3, 8, 8), 'f4'), padding=1)\n"
        "print(dispatch.is_available(), 'numba' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
