"""Batch norm with ReLU (autograd/norm.py)."""

from __future__ import annotations

import numpy as np

from .kernel import inline, kernel, share

LINE = 128  # numbers of a line: several rows of a narrow tensor are worked on as one


def _rows_of_a_line(x) -> int:
    """How many rows of x make a line: a power of two, so that x is whole lines."""
    rows, c = x.size // x.shape[-1], x.shape[-1]
    together = 1
    while 2 * together * c <= LINE and rows % (2 * together) == 0:
        together *= 2
    return together


def _lines(together: int, *arrays) -> list:
    """Arrays as (lines, numbers of a line); values per channel repeated for every row of a line."""
    return [
        np.tile(array, together)
        if array.ndim == 1
        else array.reshape(-1, together * array.shape[-1])
        for array in arrays
    ]


@inline
def _block(numbers):
    """Lines of a block that fits in a core's cache."""
    return max(16, 16384 // numbers)


def moments(x):
    """Mean and biased variance per channel, by blocks whose moments are then joined."""
    together, c = _rows_of_a_line(x), x.shape[-1]
    (lines,) = _lines(together, x)
    blocks = -(-len(lines) // _block(lines.shape[1]))
    sums = np.zeros((blocks, lines.shape[1]), x.dtype)
    squares = np.zeros_like(sums)
    share(lambda *some: _block_moments(lines, sums, squares, *some), blocks, x.size)
    counts = np.minimum(
        _block(lines.shape[1]), len(lines) - _block(lines.shape[1]) * np.arange(blocks)
    )
    return _joined(np.repeat(counts, together), sums.reshape(-1, c), squares.reshape(-1, c))


@kernel
def _block_moments(x, sums, squares, first, last):
    rows, c = x.shape
    size, one = _block(c), np.float32(1)
    mean = np.empty(c, x.dtype)
    for block in range(first, last):
        begin, end = block * size, min(rows, (block + 1) * size)
        total, square = sums[block], squares[block]
        for r in range(begin, end):
            row = x[r]
            for k in range(c):
                total[k] += row[k]
        share = one / np.float32(end - begin)
        for k in range(c):
            mean[k] = total[k] * share
        for r in range(begin, end):
            row = x[r]
            for k in range(c):
                d = row[k] - mean[k]
                square[k] += d * d


@kernel
def _joined(counts, sums, squares):
    """Moments of all rows, from sums and centred squares of some each; in float64."""
    c, rows = sums.shape[1], counts.sum()
    mean, var = np.zeros(c), np.zeros(c)
    for i in range(counts.size):
        for k in range(c):
            mean[k] += sums[i, k]
    mean /= rows
    for i in range(counts.size):
        for k in range(c):
            var[k] += squares[i, k] + counts[i] * (sums[i, k] / counts[i] - mean[k]) ** 2
    return mean.astype(sums.dtype), (var / rows).astype(sums.dtype)


def normalise_relu(x, mean, s, gamma, beta):
    """max(0, k (x - mean) + beta),  k = gamma / s."""
    y = np.empty(x.shape, x.dtype)
    xs, ys, *per_channel = _lines(_rows_of_a_line(x), x, y, mean, gamma / s, beta)
    share(lambda *some: _normalise_relu(xs, *per_channel, ys, *some), len(xs), x.size)
    return y


@kernel
def _normalise_relu(x, mean, k, beta, y, first, last):
    zero = np.float32(0)
    for r in range(first, last):
        xr, yr = x[r], y[r]
        for i in range(mean.size):
            value = k[i] * (xr[i] - mean[i]) + beta[i]
            yr[i] = zero if value < zero else value  # NaN stays NaN, which max would hide


def normalise_relu_pullback(gy, y, x, mean, s, gamma, m):
    """(gx, ggamma, gbeta): gx = k (g - shift - slope (x - mean)), g = 0 where y <= 0, else gy."""
    together = _rows_of_a_line(x)
    gbeta, products = _masked_sums(x, *_lines(together, gy, y, x, mean))
    ggamma = products / s
    shift, slope = gbeta * (1 / m), ggamma / s * (1 / m)
    gx = np.empty(x.shape, x.dtype)
    lines = _lines(together, gy, y, x, mean, gamma / s, shift, slope, gx)
    share(lambda *some: _normalise_relu_pullback(*lines, *some), len(lines[0]), 3 * x.size)
    return gx, ggamma, gbeta


def _masked_sums(x, *lines):
    """sum g and sum g (x - mean) per channel."""
    numbers = lines[0].shape[1]
    blocks = -(-len(lines[0]) // _block(numbers))
    plain, centred = np.zeros((blocks, numbers), x.dtype), np.zeros((blocks, numbers), x.dtype)
    share(lambda *some: _block_sums(*lines, plain, centred, *some), blocks, 3 * x.size)
    return tuple(
        sums.reshape(-1, x.shape[-1]).sum(axis=0, dtype=np.float64).astype(x.dtype)
        for sums in (plain, centred)
    )


@kernel
def _block_sums(gy, y, x, mean, plain, centred, first, last):
    rows, c = x.shape
    size, zero = _block(c), np.float32(0)
    for block in range(first, last):
        total, product = plain[block], centred[block]
        for r in range(block * size, min(rows, (block + 1) * size)):
            gr, yr, xr = gy[r], y[r], x[r]
            for k in range(c):
                g = zero if yr[k] <= 0 else gr[k]
                total[k] += g
                product[k] += g * (xr[k] - mean[k])


@kernel
def _normalise_relu_pullback(gy, y, x, mean, k, shift, slope, gx, first, last):
    zero = np.float32(0)
    for r in range(first, last):
        gr, yr, xr, to = gy[r], y[r], x[r], gx[r]
        for i in range(mean.size):
            g = zero if yr[i] <= 0 else gr[i]
            to[i] = k[i] * (g - shift[i] - slope[i] * (xr[i] - mean[i]))
