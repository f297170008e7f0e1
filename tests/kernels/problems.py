"""Arguments for every function that has a kernel, and what a kernel is held to."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

import tinybar.autograd
import tinybar.nn  # noqa: F401 - both enter their functions in ACCELERATED
from tinybar.autograd.windows import Geometry
from tinybar.kernels import cuda, in_place
from tinybar.kernels.dispatch import ACCELERATED
from tinybar.runtime.arrays import to_numpy

KERNELS = {
    "in_place": {name: getattr(in_place, name) for name in in_place.__all__},
    "cuda": {name: getattr(cuda, name) for name in cuda.__all__},
}
try:
    from tinybar.kernels import numba
except ImportError:
    pass
else:
    KERNELS["numba"] = {name: getattr(numba, name) for name in numba.__all__}

images = st.tuples(st.integers(1, 3), st.integers(3, 13), st.integers(3, 13), st.integers(1, 40))
paddings = st.tuples(st.integers(0, 2), st.integers(0, 2))
seeds = st.integers(0, 2**32 - 1)


def normal(draw, *shape):
    return np.random.default_rng(draw(seeds)).standard_normal(shape).astype("f4")


@st.composite
def tiled(draw, name: str):
    (n, h, w, c), padding = draw(images), draw(paddings)
    size = (h + 2 * padding[0] - 2, w + 2 * padding[1] - 2)
    tiles = (-(-size[0] // 4), -(-size[1] // 4))
    in_tiles = (36, n * tiles[0] * tiles[1], c)
    return {
        "input_transform": lambda: (normal(draw, n, h, w, c), padding, tiles),
        "input_transform_pullback": lambda: (normal(draw, *in_tiles), (n, h, w, c), padding, tiles),
        "output_transform": lambda: (normal(draw, *in_tiles), n, tiles, size),
        "output_transform_pullback": lambda: (normal(draw, n, *size, c), tiles),
    }[name]()


@st.composite
def weighted(draw, positions: tuple[int, ...]):
    channels = st.integers(1, 40)
    return (normal(draw, *positions, draw(channels), draw(channels)),)


@st.composite
def windowed(draw, name: str):
    (n, h, w, c), padding = draw(images), draw(paddings)
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))  # beyond the kernel: gaps
    size = Geometry(kernel, stride, padding).output_size(h, w)
    if name == "gather_rows":
        return normal(draw, n, h, w, c), kernel, stride, padding, size
    rows = normal(draw, n * size[0] * size[1], kernel[0] * kernel[1] * c)
    return rows, (n, h, w, c), kernel, stride, padding, size


@st.composite
def selected(draw, name: str):
    c, pixels = draw(st.integers(1, 40)), draw(st.integers(1, 50))
    index = np.array(draw(st.lists(st.integers(0, c - 1), max_size=50)), int)
    x = normal(draw, 2, pixels, 3, c)
    if name == "read_channels":
        return x, index
    return x, normal(draw, 2, pixels, 3, index.size), index


@st.composite
def normalised(draw, name: str):
    """Few rows and many; an offset that is large beside the deviation."""
    c = draw(st.integers(1, 70))
    rows = draw(st.integers(1, 80) | st.integers(1, 5000) | st.integers(130_000 // c, 140_000 // c))
    offset = np.float32(draw(st.sampled_from([0, 30])))
    x, mean = normal(draw, rows, 1, 1, c) + offset, normal(draw, c) + offset
    if name in ("moments", "sum_per_channel"):
        return (x,)
    s, gamma, beta = 0.5 + abs(normal(draw, c)), normal(draw, c), normal(draw, c)
    if not name.endswith("pullback"):
        return x, mean, s, gamma, beta
    gy, m = normal(draw, *x.shape), draw(st.sampled_from([rows, math.inf]))
    if name == "normalise_pullback":
        return gy, x, mean, s, gamma, m
    return gy, in_place.normalise_relu(x, mean, s, gamma, beta), x, mean, s, gamma, m


@st.composite
def stepped(draw):
    n = draw(st.integers(1, 1000))
    w, grad, m, v = (normal(draw, n) for _ in range(4))
    t, decay = draw(st.sampled_from([1, 7, 1000])), draw(st.sampled_from([0.0, 5e-4]))
    return w, grad, m, v * v, t, 1e-2, decay, 0.9, 0.999, 1e-8


TILED = ("input_transform", "output_transform")
NORMALISED = ("normalise", "normalise_by_constants", "normalise_relu")
PROBLEMS = {
    "weight_transform": weighted((3, 3)),
    "weight_transform_pullback": weighted((36,)),
    **{name: tiled(name) for name in (*TILED, *[f"{name}_pullback" for name in TILED])},
    **{name: windowed(name) for name in ("gather_rows", "scatter_rows")},
    **{name: selected(name) for name in ("read_channels", "add_channels")},
    **{name: normalised(name) for name in ("sum_per_channel", "moments", *NORMALISED)},
    **{name: normalised(name) for name in ("normalise_pullback", "normalise_relu_pullback")},
    "adam_update": stepped(),
}


def copied(arguments) -> list:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def results(function, arguments) -> list[np.ndarray]:
    """What it returns, and its arrays after the call, which it may have changed, on the host."""
    returned = function(*arguments)
    if not isinstance(returned, tuple):
        returned = () if returned is None else (returned,)
    arrays = [a for a in (*returned, *arguments) if hasattr(a, "shape")]
    return [np.array(to_numpy(array)) for array in arrays]


def sizes_of_terms(name: str, arguments) -> tuple[float, ...]:
    """For each result the size of what is added up, where the sum may come out much smaller."""
    if name == "sum_per_channel":
        return (abs(arguments[0]).sum(axis=(0, 1, 2)).max(),)
    if name == "moments":
        return (abs(arguments[0]).max(),) * 2
    if name == "normalise_by_constants":
        x, _, s, gamma, _ = arguments
        return (abs(gamma / s * x).max(),)
    if name.startswith("normalise") and name.endswith("pullback"):
        gy, *_, x, mean, s, gamma, m = arguments
        of_ggamma = abs(gy * (abs(x) + abs(mean)) / s).sum(axis=(0, 1, 2))
        of_gbeta = abs(gy).sum(axis=(0, 1, 2))
        of_gx = abs(gamma / s) * (of_gbeta + of_ggamma * abs((x - mean) / s)) / m
        return of_gx.max(), of_ggamma.max(), of_gbeta.max()
    return ()


def hold(name: str, got: list[np.ndarray], arguments) -> None:
    """got is what the reference gives in float64, to float32's rounding."""
    doubles = [a.astype("f8") if getattr(a, "dtype", 0) == "f4" else a for a in arguments]
    expected = results(ACCELERATED[name].reference, doubles)
    assert len(got) == len(expected)
    scales = (*sizes_of_terms(name, arguments), *[0.0] * len(got))
    for low, high, scale in zip(got, expected, scales, strict=False):
        assert low.dtype == ("f4" if high.dtype == "f8" else high.dtype)
        assert low.shape == high.shape
        np.testing.assert_allclose(low, high, rtol=0, atol=2e-6 * abs(high).max(initial=scale))
