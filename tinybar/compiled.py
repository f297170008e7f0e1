"""Compiled CPU forms (Numba) of the functions that are marked `@accelerated` elsewhere.

Each function here has the name and the arguments of its plain reference, which holds the formula;
the tests hold the two together. float32 only. Rows of a tensor are worked on by all cores; the
innermost loops run over channels, which lie side by side in memory.
"""

from __future__ import annotations

import numba
import numpy as np

# "contract", "reassoc", "nsz": fuse and reorder sums, but keep NaN and infinity what they are.
FAST = {"contract", "reassoc", "nsz"}
kernel = numba.njit(parallel=True, fastmath=FAST, cache=True, error_model="numpy")
inline = numba.njit(inline="always", fastmath=FAST, error_model="numpy")


# --- Winograd's transforms (autograd/winograd.py), one line of a tile at a time -------------------


@inline
def _b_t(d0, d1, d2, d3, d4, d5):
    """B^T d."""
    return (
        4 * d0 - 5 * d2 + d4,
        (d3 + d4) - 4 * (d1 + d2),
        (d4 - d3) + 4 * (d1 - d2),
        2 * (d3 - d1) + (d4 - d2),
        2 * (d1 - d3) + (d4 - d2),
        4 * d1 - 5 * d3 + d5,
    )


@inline
def _b(v0, v1, v2, v3, v4, v5):
    """B v."""
    return (
        4 * v0,
        4 * (v2 - v1 + v5) + 2 * (v4 - v3),
        -5 * v0 - 4 * (v1 + v2) - (v3 + v4),
        (v1 - v2) + 2 * (v3 - v4) - 5 * v5,
        v0 + (v1 + v2) + (v3 + v4),
        v5,
    )


@inline
def _a_t(m0, m1, m2, m3, m4, m5):
    """A^T m."""
    even, odd, far_even, far_odd = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + even + far_even, odd + 2 * far_odd, even + 4 * far_even, odd + 8 * far_odd + m5


@inline
def _a(y0, y1, y2, y3):
    """A y."""
    even, odd, far_even, far_odd = y0 + y2, y1 + y3, y0 + 4 * y2, 2 * y1 + 8 * y3
    return y0, even + odd, even - odd, far_even + far_odd, far_even - far_odd, y3


@kernel
def input_transform(x, padding, tiles):
    """V of the tiles of images x."""
    (n, h, w, c), (ph, pw), (th, tw) = x.shape, padding, tiles
    v = np.empty((36, n * th * tw, c), x.dtype)
    for row in numba.prange(n * th):  # a row of tiles
        image, top = row // th, 4 * (row % th) - ph
        d, t = np.empty((6, 6, c), x.dtype), np.empty((6, 6, c), x.dtype)
        for tx in range(tw):
            left, tile = 4 * tx - pw, row * tw + tx
            for i in range(6):
                for j in range(6):
                    if 0 <= top + i < h and 0 <= left + j < w:
                        for k in range(c):
                            d[i, j, k] = x[image, top + i, left + j, k]
                    else:
                        for k in range(c):
                            d[i, j, k] = 0
            for j in range(6):
                for k in range(c):
                    (t[0, j, k], t[1, j, k], t[2, j, k], t[3, j, k], t[4, j, k], t[5, j, k]) = _b_t(
                        d[0, j, k], d[1, j, k], d[2, j, k], d[3, j, k], d[4, j, k], d[5, j, k]
                    )
            for i in range(6):
                for k in range(c):
                    v0, v1, v2, v3, v4, v5 = _b_t(
                        t[i, 0, k], t[i, 1, k], t[i, 2, k], t[i, 3, k], t[i, 4, k], t[i, 5, k]
                    )
                    v[6 * i, tile, k], v[6 * i + 1, tile, k] = v0, v1
                    v[6 * i + 2, tile, k], v[6 * i + 3, tile, k] = v2, v3
                    v[6 * i + 4, tile, k], v[6 * i + 5, tile, k] = v4, v5
    return v


@kernel
def input_adjoint(gv, shape, padding, tiles):
    """gx of gV."""
    (n, h, w, c), (ph, pw), (th, tw) = shape, padding, tiles
    gx = np.zeros((n, h, w, c), gv.dtype)
    for image in numba.prange(n):  # tiles overlap: an image is one core's
        t, line = np.empty((6, 6, c), gv.dtype), np.empty((6, c), gv.dtype)
        for ty in range(th):
            for tx in range(tw):
                top, left, tile = 4 * ty - ph, 4 * tx - pw, (image * th + ty) * tw + tx
                for j in range(6):
                    for k in range(c):
                        d0, d1, d2, d3, d4, d5 = _b(
                            gv[j, tile, k], gv[6 + j, tile, k], gv[12 + j, tile, k],
                            gv[18 + j, tile, k], gv[24 + j, tile, k], gv[30 + j, tile, k],
                        )  # fmt: skip
                        t[0, j, k], t[1, j, k], t[2, j, k] = d0, d1, d2
                        t[3, j, k], t[4, j, k], t[5, j, k] = d3, d4, d5
                for i in range(6):
                    if not 0 <= top + i < h:
                        continue
                    for k in range(c):
                        (line[0, k], line[1, k], line[2, k], line[3, k], line[4, k], line[5, k]) = (
                            _b(
                                t[i, 0, k],
                                t[i, 1, k],
                                t[i, 2, k],
                                t[i, 3, k],
                                t[i, 4, k],
                                t[i, 5, k],
                            )
                        )
                    for j in range(6):
                        if 0 <= left + j < w:
                            for k in range(c):
                                gx[image, top + i, left + j, k] += line[j, k]
    return gx


@kernel
def output_transform(m, n, tiles, size):
    """The outputs of M."""
    (th, tw), (oh, ow), c = tiles, size, m.shape[2]
    y = np.empty((n, oh, ow, c), m.dtype)
    for row in numba.prange(n * th):
        image, top = row // th, 4 * (row % th)
        t, line = np.empty((4, 6, c), m.dtype), np.empty((4, c), m.dtype)
        for tx in range(tw):
            left, tile = 4 * tx, row * tw + tx
            for j in range(6):
                for k in range(c):
                    t[0, j, k], t[1, j, k], t[2, j, k], t[3, j, k] = _a_t(
                        m[j, tile, k], m[6 + j, tile, k], m[12 + j, tile, k],
                        m[18 + j, tile, k], m[24 + j, tile, k], m[30 + j, tile, k],
                    )  # fmt: skip
            for i in range(min(4, oh - top)):
                for k in range(c):
                    line[0, k], line[1, k], line[2, k], line[3, k] = _a_t(
                        t[i, 0, k], t[i, 1, k], t[i, 2, k], t[i, 3, k], t[i, 4, k], t[i, 5, k]
                    )
                for j in range(min(4, ow - left)):
                    for k in range(c):
                        y[image, top + i, left + j, k] = line[j, k]
    return y


@kernel
def output_adjoint(gy, tiles):
    """gM of the gradient of the outputs."""
    (n, oh, ow, c), (th, tw) = gy.shape, tiles
    gm = np.empty((36, n * th * tw, c), gy.dtype)
    for row in numba.prange(n * th):
        image, top = row // th, 4 * (row % th)
        d, t = np.empty((4, 4, c), gy.dtype), np.empty((6, 4, c), gy.dtype)
        for tx in range(tw):
            left, tile = 4 * tx, row * tw + tx
            for i in range(4):
                for j in range(4):
                    if top + i < oh and left + j < ow:
                        for k in range(c):
                            d[i, j, k] = gy[image, top + i, left + j, k]
                    else:
                        for k in range(c):
                            d[i, j, k] = 0
            for j in range(4):
                for k in range(c):
                    (t[0, j, k], t[1, j, k], t[2, j, k], t[3, j, k], t[4, j, k], t[5, j, k]) = _a(
                        d[0, j, k], d[1, j, k], d[2, j, k], d[3, j, k]
                    )
            for i in range(6):
                for k in range(c):
                    m0, m1, m2, m3, m4, m5 = _a(t[i, 0, k], t[i, 1, k], t[i, 2, k], t[i, 3, k])
                    gm[6 * i, tile, k], gm[6 * i + 1, tile, k] = m0, m1
                    gm[6 * i + 2, tile, k], gm[6 * i + 3, tile, k] = m2, m3
                    gm[6 * i + 4, tile, k], gm[6 * i + 5, tile, k] = m4, m5
    return gm


# --- windows as rows (autograd/conv.py) ----------------------------------------------------------


@kernel
def gather_rows(x, kernel, stride, padding, size):
    """The windows of x as the rows of a matrix."""
    (n, h, w, c), (kh, kw), (sh, sw) = x.shape, kernel, stride
    (ph, pw), (oh, ow) = padding, size
    rows = np.empty((n * oh * ow, kh * kw * c), x.dtype)
    for line in numba.prange(n * oh):
        image, top = line // oh, (line % oh) * sh - ph
        for q in range(ow):
            left, row = q * sw - pw, line * ow + q
            for i in range(kh):
                for j in range(kw):
                    at = (i * kw + j) * c
                    if 0 <= top + i < h and 0 <= left + j < w:
                        for k in range(c):
                            rows[row, at + k] = x[image, top + i, left + j, k]
                    else:
                        for k in range(c):
                            rows[row, at + k] = 0
    return rows


@kernel
def scatter_rows(grows, shape, kernel, stride, padding, size):
    """The adjoint of `gather_rows`."""
    (n, h, w, c), (kh, kw), (sh, sw) = shape, kernel, stride
    (ph, pw), (oh, ow) = padding, size
    gx = np.zeros((n, h, w, c), grows.dtype)
    for image in numba.prange(n):  # windows overlap: an image is one core's
        for p in range(oh):
            for q in range(ow):
                top, left, row = p * sh - ph, q * sw - pw, (image * oh + p) * ow + q
                for i in range(kh):
                    if not 0 <= top + i < h:
                        continue
                    for j in range(kw):
                        at = (i * kw + j) * c
                        if 0 <= left + j < w:
                            for k in range(c):
                                gx[image, top + i, left + j, k] += grows[row, at + k]
    return gx


# --- batch norm with ReLU (autograd/norm.py) -----------------------------------------------------


@inline
def _blocks(rows, channels):
    """(number of blocks, rows of a block): blocks that fit in a core's cache."""
    size = max(16, 16384 // channels)
    return (rows + size - 1) // size, size


@kernel
def moments(x):
    """Mean and biased variance per channel, by blocks whose moments are then joined."""
    rows, c = x.size // x.shape[-1], x.shape[-1]
    x = x.reshape(rows, c)
    blocks, size = _blocks(rows, c)
    sums, squares = np.zeros((blocks, c), x.dtype), np.zeros((blocks, c), x.dtype)
    for block in numba.prange(blocks):
        first, last = block * size, min(rows, (block + 1) * size)
        total, square = sums[block], squares[block]
        for r in range(first, last):
            for k in range(c):
                total[k] += x[r, k]
        scale = x.dtype.type(1 / (last - first))
        for r in range(first, last):
            for k in range(c):
                d = x[r, k] - total[k] * scale
                square[k] += d * d
    mean, var = np.zeros(c), np.zeros(c)
    for block in range(blocks):
        mean += sums[block]
    mean /= rows
    for block in range(blocks):
        n = min(rows, (block + 1) * size) - block * size
        var += squares[block] + n * (sums[block] / n - mean) ** 2
    return mean.astype(x.dtype), (var / rows).astype(x.dtype)


@kernel
def normalise_relu(x, mean, k, beta):
    """max(0, k (x - mean) + beta)."""
    c = x.shape[-1]
    y = np.empty(x.shape, x.dtype)
    xs, ys = x.reshape(x.size // c, c), y.reshape(x.size // c, c)
    for r in numba.prange(xs.shape[0]):
        for i in range(c):
            ys[r, i] = max(x.dtype.type(0), k[i] * (xs[r, i] - mean[i]) + beta[i])
    return y


@kernel
def masked_sums(gy, y, x, mean):
    """sum g and sum g (x - mean) per channel, with g = gy where y > 0."""
    rows, c = x.size // x.shape[-1], x.shape[-1]
    gs, ys, xs = gy.reshape(rows, c), y.reshape(rows, c), x.reshape(rows, c)
    blocks, size = _blocks(rows, c)
    plain, centred = np.zeros((blocks, c), x.dtype), np.zeros((blocks, c), x.dtype)
    for block in numba.prange(blocks):
        total, product = plain[block], centred[block]
        for r in range(block * size, min(rows, (block + 1) * size)):
            for k in range(c):
                g = gs[r, k] if ys[r, k] > 0 else x.dtype.type(0)
                total[k] += g
                product[k] += g * (xs[r, k] - mean[k])
    sums, products = np.zeros(c), np.zeros(c)
    for block in range(blocks):
        sums += plain[block]
        products += centred[block]
    return sums.astype(x.dtype), products.astype(x.dtype)


@kernel
def normalise_relu_adjoint(gy, y, x, mean, k, shift, slope):
    """k (g - shift - slope (x - mean)), with g = gy where y > 0."""
    c = x.shape[-1]
    gx = np.empty(x.shape, x.dtype)
    gs, ys = gy.reshape(x.size // c, c), y.reshape(x.size // c, c)
    xs, out = x.reshape(x.size // c, c), gx.reshape(x.size // c, c)
    for r in numba.prange(xs.shape[0]):
        for i in range(c):
            g = gs[r, i] if ys[r, i] > 0 else x.dtype.type(0)
            out[r, i] = k[i] * (g - shift[i] - slope[i] * (xs[r, i] - mean[i]))
    return gx


# --- Adam (nn/optim.py) --------------------------------------------------------------------------


@kernel
def adam_update(p, g, m, v, b1, b2, decay, rate, scale, eps):
    """p, m and v in place; see the reference."""
    of = p.dtype.type  # constants are worked out in float64, then rounded once
    old1, new1, old2, new2 = of(b1), of(1 - b1), of(b2), of(1 - b2)
    decay, rate, scale, eps = of(decay), of(rate), of(scale), of(eps)
    for i in numba.prange(p.size):
        grad = g[i] + decay * p[i]
        m[i] = old1 * m[i] + new1 * grad
        v[i] = old2 * v[i] + new2 * (grad * grad)
        p[i] -= rate * m[i] / (np.sqrt(v[i]) * scale + eps)
