"""Arguments for every function that has a CUDA form, and what it is held to."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tinybar.autograd import norm
from tinybar.autograd.conv import convolution as conv
from tinybar.autograd.conv import winograd
from tinybar.autograd.windows import Geometry
from tinybar.kernels import cuda
from tinybar.nn import optim
from tinybar.runtime.arrays import to_numpy

MODULES = (winograd, conv, norm, optim)  # where functions are marked @accelerated
FORMS = {
    name: form
    for name, form in vars(cuda).items()
    if getattr(form, "__module__", None) == cuda.__name__ and not name.startswith("_")
}

images = st.tuples(st.integers(1, 3), st.integers(3, 13), st.integers(3, 13), st.integers(1, 40))
paddings = st.tuples(st.integers(0, 2), st.integers(0, 2))
seeds = st.integers(0, 2**32 - 1)


def accelerated(name: str):
    """The function of that name, as the library calls it."""
    return next(vars(module)[name] for module in MODULES if name in vars(module))


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
        "input_adjoint": lambda: (normal(draw, *in_tiles), (n, h, w, c), padding, tiles),
        "output_transform": lambda: (normal(draw, *in_tiles), n, tiles, size),
        "output_adjoint": lambda: (normal(draw, n, *size, c), tiles),
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
def normalised(draw, name: str):
    """Few rows and many; an offset that is large beside the deviation."""
    c = draw(st.integers(1, 70))
    rows = draw(st.integers(1, 80) | st.integers(1, 5000) | st.integers(130_000 // c, 140_000 // c))
    offset = np.float32(draw(st.sampled_from([0, 30])))
    x, mean = normal(draw, rows, 1, 1, c) + offset, normal(draw, c) + offset
    if name == "moments":
        return (x,)
    k, beta = normal(draw, c), normal(draw, c)
    if name == "normalise_relu":
        return x, mean, k, beta
    gy, y = normal(draw, *x.shape), norm.normalise_relu.reference(x, mean, k, beta)
    if name == "masked_sums":
        return gy, y, x, mean
    return gy, y, x, mean, k, beta, normal(draw, c)


@st.composite
def stepped(draw):
    n = draw(st.integers(1, 1000))
    p, g, m, v = (normal(draw, n) for _ in range(4))
    decay = draw(st.sampled_from([0, 5e-4]))
    return p, g, m, v * v, 0.9, 0.999, decay, 1e-2, 1.3, 1e-8


PROBLEMS = {
    "weight_transform": weighted((3, 3)),
    "weight_adjoint": weighted((36,)),
    **{
        name: tiled(name)
        for name in ("input_transform", "input_adjoint", "output_transform", "output_adjoint")
    },
    **{name: windowed(name) for name in ("gather_rows", "scatter_rows")},
    **{
        name: normalised(name)
        for name in ("moments", "normalise_relu", "masked_sums", "normalise_relu_adjoint")
    },
    "adam_update": stepped(),
}


def results(function, arguments) -> list[np.ndarray]:
    """What it returns, and its arrays after the call, which it may have changed, on the host."""
    returned = function(*arguments)
    if not isinstance(returned, tuple):
        returned = () if returned is None else (returned,)
    arrays = [a for a in (*returned, *arguments) if hasattr(a, "shape")]
    return [np.array(to_numpy(array)) for array in arrays]


def sizes_of_terms(name: str, arguments) -> float:
    """The size of what is added up, where a sum may come out much smaller."""
    if name == "moments":
        return abs(arguments[0]).max()
    if name == "masked_sums":
        gy, _, x, mean = arguments
        return abs(gy * (abs(x) + abs(mean))).sum(axis=(0, 1, 2)).max()
    return 0.0


def hold(name: str, got: list[np.ndarray], arguments) -> None:
    """got is what the reference gives in float64, to float32's rounding."""
    doubles = [a.astype("f8") if isinstance(a, np.ndarray) else a for a in arguments]
    scale = sizes_of_terms(name, arguments)
    expected = results(accelerated(name).reference, doubles)
    assert len(got) == len(expected)
    for low, high in zip(got, expected, strict=True):
        assert low.dtype == np.float32
        assert low.shape == high.shape
        np.testing.assert_allclose(low, high, rtol=0, atol=2e-6 * abs(high).max(initial=scale))
