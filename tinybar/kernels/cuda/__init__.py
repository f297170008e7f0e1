"""CUDA forms of the functions that are marked `@accelerated` elsewhere, for CuPy arrays.

Each function here has the name and the arguments of its plain reference, which holds the formula;
it makes room for the result and launches kernels, which stand in the `.cu` files beside this one.
float32 only, contiguous arrays.

In every kernel neighbouring threads are neighbouring channels, which lie side by side in memory: 32
threads at a time read and write whole lines of it, for any number of channels. No thread waits for
another or adds to what another writes: what overlaps is collected by the thread of the result,
and a sum over the rows is one of parts, level by level. So results repeat to the last bit, and
nothing is copied to the host.
"""

from __future__ import annotations

from ...runtime.arrays import array_module
from .launcher import CHUNK, JOIN, launch


def _empty(shape, like):
    return array_module(like).empty(shape, like.dtype)


# --- Winograd's transforms (autograd/winograd.py) ------------------------------------------------


def weight_transform(weight):
    """U of the weight."""
    u = _empty((36, *weight.shape[2:]), weight)
    launch("weight_transform", u[0].size, weight, u)
    return u


def weight_adjoint(gu):
    """The gradient of the weight, of gU."""
    gweight = _empty((3, 3, *gu.shape[1:]), gu)
    launch("weight_adjoint", gu[0].size, gu, gweight)
    return gweight


def input_transform(x, padding, tiles):
    """V of the tiles of images x."""
    n, h, w, c = x.shape
    v = _empty((36, n * tiles[0] * tiles[1], c), x)
    launch("input_transform", v[0].size, x, v, h, w, c, *padding, *tiles)
    return v


def input_adjoint(gv, shape, padding, tiles):
    """gx of gV."""
    (n, h, w, c), (th, tw) = shape, tiles
    gx = _empty(shape, gv)
    blocks = n * (th + 1) * (tw + 1)
    launch("input_adjoint", blocks * c, gv, gx, n, h, w, c, *padding, th, tw)
    return gx


def output_transform(m, n, tiles, size):
    """The outputs of M."""
    c = m.shape[2]
    y = _empty((n, *size, c), m)
    launch("output_transform", m[0].size, m, y, *size, c, *tiles)
    return y


def output_adjoint(gy, tiles):
    """gM of the gradient of the outputs."""
    n, oh, ow, c = gy.shape
    gm = _empty((36, n * tiles[0] * tiles[1], c), gy)
    launch("output_adjoint", gm[0].size, gy, gm, oh, ow, c, *tiles)
    return gm


# --- windows as rows (autograd/conv.py) ----------------------------------------------------------


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
    """The adjoint of `gather_rows`."""
    gx = _empty(shape, grows)
    launch("scatter_rows", gx.size, grows, gx, *shape[1:], *kernel, *stride, *padding, *size)
    return gx


# --- batch norm with ReLU (autograd/norm.py) -----------------------------------------------------


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


def masked_sums(gy, y, x, mean):
    """sum g and sum g (x - mean) per channel, with g = gy where y > 0."""
    c = x.shape[-1]
    rows = x.size // c
    parts = -(-rows // CHUNK)
    sums = _empty((parts, 2, c), x)
    launch("chunk_sums", parts * c, gy, y, x, mean, sums, rows, c)
    while parts > 1:
        several, parts = sums, -(-parts // JOIN)
        sums = _empty((parts, 2, c), x)
        launch("join_sums", sums.size, several, sums, len(several), 2 * c)
    return sums[0, 0], sums[0, 1]


def normalise_relu(x, mean, k, beta):
    """max(0, k (x - mean) + beta)."""
    y = _empty(x.shape, x)
    launch("normalise_relu", x.size, x, mean, k, beta, y, x.shape[-1])
    return y


def normalise_relu_adjoint(gy, y, x, mean, k, shift, slope):
    """k (g - shift - slope (x - mean)), with g = gy where y > 0."""
    gx = _empty(x.shape, x)
    launch("normalise_relu_adjoint", x.size, gy, y, x, mean, k, shift, slope, gx, x.shape[-1])
    return gx


# --- Adam (nn/optim.py) --------------------------------------------------------------------------


def adam_update(p, g, m, v, b1, b2, decay, rate, scale, eps):
    """p, m and v in place; see the reference."""
    coefficients = map(float, (b1, 1 - b1, b2, 1 - b2, decay, rate, scale, eps))
    launch("adam_update", p.size, p, g, m, v, *coefficients)
