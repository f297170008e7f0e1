"""CUDA kernels for the functions that are marked `@accelerated` elsewhere, for CuPy arrays.

Each function here has the name and the arguments of its reference, which holds the formula;
it makes room for the result and launches kernels, which stand in the `.cu` files beside this one.
float32 only, contiguous arrays.

In every kernel neighbouring threads are neighbouring channels, which lie side by side in memory: 32
threads at a time read and write whole lines of it, for any number of channels. No thread waits for
another or adds to what another writes: what overlaps is collected by the thread of the result,
and a sum over the rows is one of parts, level by level. So results repeat to the last bit, and
nothing is copied to the host.
"""

from __future__ import annotations

import math

import numpy as np

from ...runtime.arrays import array_module
from ..in_place import adam_corrections
from . import launcher
from .launcher import ARRAYS, CHUNK, JOIN, PARAMETERS, SLICES, launch

__all__ = [
    "adam_step",
    "any_open",
    "concrete",
    "concrete_pullback",
    "end_to_end",
    "gate_pullback",
    "gather_rows",
    "gradient_sums",
    "hard_after",
    "input_transform",
    "input_transform_pullback",
    "logistic",
    "moments",
    "normalise",
    "normalise_batch",
    "normalise_by_constants",
    "normalise_pullback",
    "normalise_relu",
    "output_transform",
    "output_transform_pullback",
    "products",
    "raised",
    "scatter_rows",
    "weight_transform",
    "weight_transform_pullback",
]


def _empty(shape, like):
    return array_module(like).empty(shape, like.dtype)


# --- Winograd's transforms (autograd/conv/winograd.py) --------------------------------------------


def weight_transform(weight, gate):
    """U of the weight, times a gate or None."""
    u = _empty((36, *weight.shape[2:]), weight)
    launch("weight_transform", u[0].size, weight, gate, u, u.shape[2])
    return u


def weight_transform_pullback(gu):
    """The gradient of the weight, of gU."""
    gweight = _empty((3, 3, *gu.shape[1:]), gu)
    launch("weight_transform_pullback", gu[0].size, gu, gweight)
    return gweight


def input_transform(x, padding, tiles):
    """V of the tiles of images x."""
    n, h, w, c = x.shape
    v = _empty((36, n * tiles[0] * tiles[1], c), x)
    launch("input_transform", v[0].size, x, v, h, w, c, *padding, *tiles)
    return v


def input_transform_pullback(gv, shape, padding, tiles):
    """gx of gV."""
    (n, h, w, c), (th, tw) = shape, tiles
    gx = _empty(shape, gv)
    blocks = n * (th + 1) * (tw + 1)
    launch("input_transform_pullback", blocks * c, gv, gx, n, h, w, c, *padding, th, tw)
    return gx


def products(a, b, transposed):
    """a_t b_t. Matrices are read as they lie, which `a @ b` of CuPy copies into C order before."""
    (turn_a, turn_b), (count, m, k) = transposed, a.shape
    m, n = k if turn_a else m, b.shape[1 if turn_b else 2]
    out = _empty((count, m, n), a)
    # BLAS reads columns where we have rows: out^T = b^T a^T
    launcher.multiply(int(turn_b), int(turn_a), n, m, b.shape[2 if turn_b else 1], b, a, out)
    return out


def output_transform(m, n, tiles, size):
    """The outputs of M."""
    c = m.shape[2]
    y = _empty((n, *size, c), m)
    launch("output_transform", m[0].size, m, y, *size, c, *tiles)
    return y


def output_transform_pullback(gy, tiles):
    """gM of the gradient of the outputs."""
    n, oh, ow, c = gy.shape
    gm = _empty((36, n * tiles[0] * tiles[1], c), gy)
    launch("output_transform_pullback", gm[0].size, gy, gm, oh, ow, c, *tiles)
    return gm


# --- windows as rows (autograd/conv/gather.py) ----------------------------------------------------


def gather_rows(x, kernel, stride, padding, size):
    """The windows of x as the rows of a matrix."""
    (n, h, w, c), (oh, ow) = x.shape, size
    rows = _empty((n * oh * ow, kernel[0] * kernel[1] * c), x)
    lines = n * oh
    launch(
        "gather_rows", lines * rows.shape[1], x, rows, h, w, c, *kernel, *stride, *padding, *size
    )
    return rows


def scatter_rows(grows, shape, kernel, stride, padding, size):
    """The pullback of `gather_rows`."""
    gx = _empty(shape, grows)
    launch("scatter_rows", gx.size, grows, gx, *shape[1:], *kernel, *stride, *padding, *size)
    return gx


# --- a gate on a weight (autograd/conv/convolution.py) --------------------------------------------


def gate_pullback(ggated, weight, gate):
    """(gweight, ggate) of weight times gate."""
    c = gate.size
    rows = weight.size // c
    gweight, sums = _empty(weight.shape, weight), _empty((-(-rows // CHUNK), c), weight)
    launch("gate_pullback", sums.size, ggated, weight, gate, gweight, sums, rows, c)
    return gweight, _joined(sums)


# --- batch norm (autograd/norm.py) ----------------------------------------------------------------


def moments(x):
    """Mean and biased variance per channel, by parts whose moments are then joined."""
    c = x.shape[-1]
    rows, size = x.size // c, CHUNK
    parts = -(-rows // size)
    mean, var = _empty((parts, c), x), _empty((parts, c), x)
    launch("chunk_moments", mean.size, x, mean, var, rows, c)
    while parts > 1:
        means, variances, joined = mean, var, -(-parts // JOIN)
        mean, var = _empty((joined, c), x), _empty((joined, c), x)
        launch("join_moments", mean.size, means, variances, mean, var, parts, size, rows, c)
        parts, size = joined, size * JOIN
    return mean[0], var[0]


def normalise_batch(
    x, mean, var, gamma, beta, gate, running_mean, running_var, m, momentum, eps, least
):
    """(y, s, k); the running statistics move."""
    y, s, k = _empty(x.shape, x), _empty(mean.shape, x), _empty(mean.shape, x)
    arrays = x, mean, var, gamma, beta, gate, running_mean, running_var, y, s, k
    numbers = m / (m - 1), float(1 - momentum), float(momentum), float(eps), float(least)
    launch("normalise_batch", x.size, *arrays, x.shape[-1], *numbers)
    return y, s, k


def normalise(x, mean, k, b):
    """k (x - mean) + b."""
    return _normalised(x, mean, k, b, -math.inf)


normalise_by_constants = normalise


def normalise_relu(x, mean, k, b):
    """max(0, k (x - mean) + b)."""
    return _normalised(x, mean, k, b, 0.0)


def _normalised(x, mean, k, b, least: float):
    y = _empty(x.shape, x)
    launch("normalise", x.size, x, mean, k, b, least, y, x.shape[-1])
    return y


def gradient_sums(gy, y, x, mean):
    """sum g and sum g (x - mean) per channel."""
    c = x.shape[-1]
    rows = x.size // c
    parts = -(-rows // CHUNK)
    sums = _empty((parts, 2, c), x)
    launch("chunk_sums", parts * c, gy, y, x, mean, sums, rows, c)
    return _joined(sums)


def _joined(sums):
    """The sum over the first axis."""
    while len(sums) > 1:
        joined = _empty((-(-len(sums) // JOIN), *sums.shape[1:]), sums)
        launch("join_sums", joined.size, sums, joined, len(sums), joined[0].size)
        sums = joined
    return sums[0]


def normalise_pullback(gy, y, x, sums, mean, s, k, gamma, beta, gate, m):
    """(gx, ggamma, gbeta, ggate or None)."""
    gx, ggamma, gbeta = _empty(x.shape, x), _empty(s.shape, x), _empty(s.shape, x)
    ggate = None if gate is None else _empty(s.shape, x)
    arrays = gy, y, x, sums, mean, s, k, gamma, beta, gate, gx, ggamma, gbeta, ggate
    launch("normalise_pullback", x.size, *arrays, x.shape[-1], 1 / m)
    return gx, ggamma, gbeta, ggate


# --- gates (autograd/gates.py, selection.py, nn/networks/live.py) --------------------------------

SLICES_TABLE = np.dtype([(name, np.int32, SLICES) for name in ("first", "last")])  # `Slices`


def logistic(x):
    """1 / (1 + e^-x)."""
    y = _empty(x.shape, x)
    launch("logistic", x.size, x, y)
    return y


def concrete(log_alpha, epsilon, beta, gamma, zeta):
    """(z, s)."""
    z, s = _empty(log_alpha.shape, log_alpha), _empty(log_alpha.shape, log_alpha)
    step, numbers = int(epsilon.ndim > 0), (1 / beta, zeta - gamma, gamma)
    launch("concrete", z.size, log_alpha, epsilon, z, s, step, *numbers)
    return z, s


def concrete_pullback(gz, z, s, slope):
    """The gradient of log alpha."""
    gx = _empty(z.shape, z)
    launch("concrete_pullback", z.size, gz, z, s, gx, slope)
    return gx


def raised(x, slices, floor):
    """x, in each slice of which the highest is at least `floor`."""
    for k in range(0, len(slices), SLICES):
        table, y, some = np.zeros((), SLICES_TABLE), _empty(x.shape, x), slices[k : k + SLICES]
        table["first"][: len(some)] = [where.start for where in some]
        table["last"][: len(some)] = [where.stop for where in some]
        launch("raised", x.size, x, y, table, len(some), floor)
        x = y
    return x


def any_open(z):
    """(1,): 1 if any z > 0, else 0."""
    y = _empty(1, z)
    launch("any_open", 1, z, y, z.size)
    return y


def hard_after(live, z1, z2):
    """live or written by z2, (C,), which counts if any of z1 is open."""
    y = _empty(live.shape, live)
    launch("hard_after", y.size, live, z1, z2, y, z1.size)
    return y


# --- lists of arrays: autograd/shaping.py, and Adam (nn/optim.py) ---------------------------------

ARRAYS_TABLE = np.dtype([("from", np.uintp, ARRAYS), ("end", np.int32, ARRAYS)])  # `Arrays`


def end_to_end(arrays):
    """The arrays one behind the other."""
    sizes = [array.size for array in arrays]
    y, first = _empty(sum(sizes), arrays[0]), 0
    for some in _tables(sizes, ARRAYS):
        table, ends = np.zeros((), ARRAYS_TABLE), np.cumsum(sizes[some])
        table["from"][: len(ends)] = [launcher.address(array) for array in arrays[some]]
        table["end"][: len(ends)] = ends
        launch("end_to_end", int(ends[-1]), table, len(ends), y[first:])
        first += int(ends[-1])
    return y


TABLE = np.dtype(  # `Parameters` in adam.cu
    [(name, np.uintp, PARAMETERS) for name in ("w", "m", "v", "grad")]
    + [("end", np.int32, PARAMETERS)]
    + [(name, np.float32, PARAMETERS) for name in ("rate", "scale")]
)


def adam_step(ws, grads, ms, vs, ts, lr, weight_decay, beta1, beta2, eps):
    """w, m and v of all parameters in place, as many in a launch as its arguments hold."""
    numbers = tuple(map(float, (beta1, 1 - beta1, beta2, 1 - beta2, weight_decay, eps)))
    for some in _tables([w.size for w in ws], PARAMETERS):
        table, count = np.zeros((), TABLE), some.stop - some.start
        for name, arrays in (("w", ws), ("m", ms), ("v", vs), ("grad", grads)):
            table[name][:count] = [launcher.address(array) for array in arrays[some]]
        table["end"][:count] = np.cumsum([w.size for w in ws[some]])
        corrections = [adam_corrections(t, lr, beta1, beta2) for t in ts[some]]
        table["rate"][:count], table["scale"][:count] = zip(*corrections, strict=True)
        launch("adam_step", int(table["end"][count - 1]), table, count, *numbers)


def _tables(sizes, most):
    """Slices of the arrays: no more than a table holds, of fewer than 2^31 numbers."""
    first, numbers = 0, 0
    for k, size in enumerate(sizes):
        if k - first == most or numbers + size >= 2**31:
            yield slice(first, k)
            first, numbers = k, 0
        numbers += size
    yield slice(first, len(sizes))
