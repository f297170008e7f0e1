"""Arguments for every function that has a kernel, and what a kernel is held to."""

from __future__ import annotations

import math
from inspect import signature

import numpy as np
from hypothesis import strategies as st

import tinybar.autograd
import tinybar.nn  # noqa: F401 - both enter their functions in ACCELERATED
from tinybar.autograd.windows import Geometry
from tinybar.kernels import cuda, in_place
from tinybar.kernels.cuda import launcher
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

COPIES = ("end_to_end", "gather_rows", "read_channels")
SMALLEST = 1e-42  # of the rounding of a sum: denormal numbers are 1.4e-45 apart

paddings = st.tuples(st.integers(0, 2), st.integers(0, 2))
seeds = st.integers(0, 2**32 - 1)


def normal(draw, *shape):
    return np.random.default_rng(draw(seeds)).standard_normal(shape).astype("f4")


def images(least: int):
    sides = st.integers(3, 13)
    return st.tuples(st.integers(least, 3), sides, sides, st.integers(least, 40))


@st.composite
def tiled(draw, name: str, least: int):
    (n, h, w, c), padding = draw(images(least)), draw(paddings)
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
def weighted(draw, positions: tuple[int, ...], least: int):
    channels = st.integers(least, 40)
    return (normal(draw, *positions, draw(channels), draw(channels)),)


@st.composite
def gated(draw, least: int):
    (weight,) = draw(weighted((3, 3), least))
    return normal(draw, *weight.shape), weight, normal(draw, weight.shape[3])


@st.composite
def gate_and_weight(draw, least: int):
    (weight,) = draw(weighted((3, 3), least))
    return weight, draw(st.sampled_from([None, normal(draw, weight.shape[3])]))


@st.composite
def multiplied(draw, least: int):
    p, c, k = (draw(st.integers(least, 30)) for _ in range(3))
    transposed = draw(st.tuples(st.booleans(), st.booleans()))
    a, b = (36, c, p) if transposed[0] else (36, p, c), (36, k, c) if transposed[1] else (36, c, k)
    return normal(draw, *a), normal(draw, *b), transposed


@st.composite
def windowed(draw, name: str, least: int):
    (n, h, w, c), padding = draw(images(least)), draw(paddings)
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    steps = st.integers(1, 4) | st.sampled_from([13, 1000])  # beyond the kernel: gaps; one window
    stride = draw(st.tuples(steps, steps))
    size = Geometry(kernel, stride, padding).output_size(h, w)
    if name == "gather_rows":
        return normal(draw, n, h, w, c), kernel, stride, padding, size
    rows = normal(draw, n * size[0] * size[1], kernel[0] * kernel[1] * c)
    return rows, (n, h, w, c), kernel, stride, padding, size


@st.composite
def selected(draw, name: str, least: int):
    c, pixels = draw(st.integers(1, 40)), draw(st.integers(least, 50))
    index = np.array(draw(st.lists(st.integers(0, c - 1), max_size=50)), int)
    x = normal(draw, 2, pixels, 3, c)
    if name == "read_channels":
        return x, index
    return x, normal(draw, 2, pixels, 3, index.size), index


@st.composite
def normalised(draw, name: str, least: int):
    """Few rows and, where all kernels are held to them, many; an offset beside the deviation."""
    c, rows = draw(st.integers(1, 70)), st.integers(least, 80)
    if least:
        rows |= st.integers(1, 5000) | st.integers(130_000 // c, 140_000 // c)
    rows = draw(rows)
    offset = np.float32(draw(st.sampled_from([0, 30])))
    x, mean = normal(draw, rows, 1, 1, c) + offset, normal(draw, c) + offset
    if name in ("moments", "sum_per_channel"):
        return (x,)
    k, b = normal(draw, c), normal(draw, c)
    if name in NORMALISED:
        return x, mean, k, b
    gamma, beta, gate = (normal(draw, c) for _ in range(3))
    gate, m = draw(st.sampled_from([None, abs(gate)])), max(rows, 2)
    if name == "normalise_batch":
        running = normal(draw, c), abs(normal(draw, c))
        momentum, least = draw(st.sampled_from([0.0, 0.1])), draw(st.sampled_from([0.0, -math.inf]))
        var = abs(normal(draw, c))
        return x, mean, var, gamma, beta, gate, *running, m, momentum, 1e-5, least
    gy = normal(draw, *x.shape)
    y = draw(st.sampled_from([None, in_place.normalise_relu(x, mean, k, b)]))
    if name == "gradient_sums":
        return gy, y, x, mean
    if name == "subtract_line":
        return gy, y, x, mean, k, normal(draw, c), normal(draw, c)
    sums, s = normal(draw, 2, c) * np.float32(rows), 0.5 + abs(normal(draw, c))
    m = draw(st.sampled_from([m, math.inf]))
    return gy, y, x, sums, mean, s, k, gamma, beta, gate, m


@st.composite
def gates(draw, name: str, least: int):
    inner, c = draw(st.integers(least, 40)), draw(st.integers(least, 300))
    z1, z2 = (normal(draw, n) * draw(st.sampled_from([-1, 0, 1])) for n in (inner, c))
    z1[: draw(st.integers(0, inner))] = 0
    if name == "any_open":
        return (z1,)
    return (normal(draw, c) > 0).astype("f4"), z1, z2


@st.composite
def concretes(draw, name: str, least: int):
    c = draw(st.integers(least, 300))
    x, s = 4 * normal(draw, c), abs(normal(draw, c)) % np.float32(1)
    if name == "logistic":
        return (x,)
    if name == "raised":
        ends = sorted(draw(st.sets(st.integers(0, c), max_size=150)))
        return np.round(x), tuple(map(slice, ends[:-1:2], ends[1::2])), 0.0
    if name == "concrete":
        mean = np.full((), 0.5, np.float32)
        epsilon = mean if draw(st.booleans()) else np.clip(s, 1e-6, 1 - 1e-6)
        return x, epsilon, 2 / 3, -0.1, 1.1
    return x, np.clip(s * np.float32(1.2) - np.float32(0.1), 0, 1), s, 1.8


@st.composite
def several(draw, least: int):
    sizes = draw(st.lists(st.integers(least, 40), min_size=1, max_size=12))
    return ([normal(draw, n) for n in sizes] * draw(st.sampled_from([1, 60])),)


@st.composite
def stepped(draw, least: int):
    """A few parameters, or more than one launch has room for."""
    sizes = st.lists(st.integers(least, 1000), min_size=1, max_size=4)
    shapes = [(2, n) for n in draw(sizes | st.just([3] * (launcher.PARAMETERS + 2)))]
    rng = np.random.default_rng(draw(seeds))
    ws, grads, ms, vs = ([rng.standard_normal(s).astype("f4") for s in shapes] for _ in range(4))
    ts = tuple(rng.choice([1, 7, 1000], len(shapes)).tolist())
    decay = draw(st.sampled_from([0.0, 5e-4]))
    return ws, grads, ms, [v * v for v in vs], ts, 1e-2, decay, 0.9, 0.999, 1e-8


TILED = ("input_transform", "output_transform")
CONCRETES = ("logistic", "concrete", "concrete_pullback", "raised")
NORMALISED = ("normalise", "normalise_by_constants", "normalise_relu")
SWEEPS = ("normalise_batch", "gradient_sums", "subtract_line", "normalise_pullback")


def problems(least: int) -> dict:
    """Arguments for every accelerated function, by name. least: images, rows and channels."""
    tiles, rows = (*TILED, *[f"{name}_pullback" for name in TILED]), ("sum_per_channel", "moments")
    return {
        "weight_transform": gate_and_weight(least),
        "weight_transform_pullback": weighted((36,), least),
        **{name: tiled(name, least) for name in tiles},
        "gate_pullback": gated(least),
        "products": multiplied(least),
        **{name: windowed(name, least) for name in ("gather_rows", "scatter_rows")},
        **{name: selected(name, least) for name in ("read_channels", "add_channels")},
        **{name: normalised(name, least) for name in (*rows, *NORMALISED, *SWEEPS)},
        **{name: gates(name, least) for name in ("any_open", "hard_after")},
        **{name: concretes(name, least) for name in CONCRETES},
        "end_to_end": several(least),
        "adam_step": stepped(least),
    }


PROBLEMS = problems(least=1)

EDGES = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 1]
POSSIBLE = {  # by the names of arguments
    "s": [np.nan, np.inf],  # at least sqrt(eps)
    "vs": [np.nan, np.inf, 0.0, 1e-40],
    "var": [np.nan, np.inf, 0.0, 1e-40],
    "live": [0.0, 1.0],
    "epsilon": [np.nan, 1e-6, 0.5],
    "gamma": [np.nan, 0.0, -0.0, 1e-40],  # of an infinite one, a product may be NaN or inf
    "gate": [np.nan, 0.0, -0.0, 1.0],  # times a denormal gamma, a denormal one is 0 in float32
    "k": [np.nan, 0.0, -0.0, 1e-40],
}


@st.composite
def at_the_edges(draw, name: str, drawn: dict):
    """Arguments of `drawn` with edges planted in each array: a few, or nothing but edges.

    Adam's weights decay: no decay times NaN is computed by some, and left out by others.
    """
    arguments, share = copied(draw(drawn[name])), draw(st.sampled_from([0, 0, 0.01, 1]))
    if name == "adam_step":
        arguments[6] = 5e-4
    rng, parameters = np.random.default_rng(draw(seeds)), signature(ACCELERATED[name]).parameters

    def planted(array, edges):
        if array.dtype == np.float32 and array.size:
            where = rng.random(array.shape) < share
            where.flat[rng.integers(array.size, size=rng.integers(3))] = True
            array[where] = rng.choice(edges, np.count_nonzero(where))
        return array

    for parameter, argument in zip(parameters, arguments, strict=True):
        edges = POSSIBLE.get(parameter, EDGES)
        on_arrays(lambda array, edges=edges: planted(array, edges), [argument])
    return tuple(arguments)


def without_zeros(matrix, entries):
    """(matrix x matrix) entries, as Winograd's formulas read: what is multiplied by 0 is not.

    It stands for `winograd.transformed`, whose 0 times infinity is NaN in all of the tile.
    """
    rows = np.kron(matrix, matrix).astype(entries.dtype)
    return np.stack([(row[row != 0, None] * entries[row != 0]).sum(axis=0) for row in rows])


def on_arrays(function, arguments) -> list:
    """The arguments with function(array) for every array, also in a list."""
    changed = []
    for a in arguments:
        if isinstance(a, list):
            a = on_arrays(function, a)
        changed.append(function(a) if isinstance(a, np.ndarray) else a)
    return changed


def flushed(arguments) -> list:
    """Zeros for denormal numbers, for which CuPy has every kernel take them."""

    def of(array):
        is_denormal = abs(array) < np.finfo(np.float32).tiny
        return np.where(is_denormal, np.copysign(0, array), array).astype(array.dtype)

    return on_arrays(lambda a: of(a) if a.dtype == np.float32 else a, arguments)


def copied(arguments) -> list:
    return on_arrays(np.copy, arguments)


def results(function, arguments) -> list[np.ndarray]:
    """What it returns, and its arrays after the call, which it may have changed, on the host."""
    returned = function(*arguments)
    if not isinstance(returned, tuple):
        returned = () if returned is None else (returned,)
    lists = [a if isinstance(a, list) else [a] for a in (*returned, *arguments)]
    return [np.array(to_numpy(a)) for some in lists for a in some if hasattr(a, "shape")]


def largest(array) -> float:
    """The largest of the entries, of those that are finite."""
    return np.max(array, where=np.isfinite(array), initial=0)


def sizes_of_terms(name: str, arguments) -> tuple[float, ...]:
    """For each result the size of what is added up, where the sum may come out much smaller."""
    arguments = on_arrays(lambda a: np.where(np.isfinite(a), a, 0), arguments)
    if name == "sum_per_channel":
        return (2 * largest(abs(arguments[0]).sum(axis=(0, 1, 2))),)  # BLAS adds rows in order
    if name == "gate_pullback":
        ggated, weight, _ = arguments
        return 0, largest(abs(ggated * weight).sum(axis=(0, 1, 2)))
    if name == "products":
        (a, b), rows = (abs(x) for x in arguments[:2]), [x.shape[1:] for x in arguments[:2]]
        return (largest(a) * largest(b) * max(map(max, rows)),)
    if name == "moments":
        return (largest(abs(arguments[0])),) * 2
    if name == "normalise_by_constants":
        x, _, k, _ = arguments
        return (largest(abs(k * x)),)
    if name == "gradient_sums":
        gy, _, x, mean = arguments
        products = abs(gy) * (1 + abs(x) + abs(mean))
        return (largest(products.sum(axis=(0, 1, 2))),)
    if name == "subtract_line":
        gy, _, x, mean, k, shift, slope = arguments
        return (largest(abs(k) * (abs(gy) + abs(shift) + abs(slope * (x - mean)))),)
    if name == "normalise_pullback":
        gy, _, x, sums, mean, s, k, gamma, beta, _, m = arguments
        line = abs(sums[0]) + abs(sums[1] / s**2) * (abs(x) + abs(mean))
        of_ggate = abs(gamma * sums[1] / s) + abs(beta * sums[0])
        return largest(abs(k) * (abs(gy) + line / m)), 0, 0, largest(of_ggate)
    return ()


def hold(name: str, got: list[np.ndarray], arguments) -> None:
    """got is what the reference gives in float64, to float32's rounding; NaN and inf are the same.

    Copies are the same to the last bit.
    """
    doubles = on_arrays(lambda a: a.astype("f8") if a.dtype == "f4" else a, arguments)
    expected = results(ACCELERATED[name].reference, doubles)
    assert len(got) == len(expected)
    scales = (*sizes_of_terms(name, arguments), *[0.0] * len(got))
    for low, high, scale in zip(got, expected, scales, strict=False):
        assert low.dtype == ("f4" if high.dtype == "f8" else high.dtype)
        assert low.shape == high.shape
        if name in COPIES:
            np.testing.assert_array_equal(low, high)
            np.testing.assert_array_equal(np.signbit(low), np.signbit(high))
        smallest = SMALLEST * (1e7 if name == "adam_step" else 1)  # m lr / eps, at t = 1
        atol = 2e-6 * max(largest(abs(high)), scale) + smallest
        np.testing.assert_allclose(low, high, rtol=0, atol=atol)
