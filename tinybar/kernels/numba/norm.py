"""Batch norm with ReLU (autograd/norm.py)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernel import exact, inline, kernel, share

LINE = 128  # numbers of a line: several rows of a narrow tensor are worked on as one


def _rows_of_a_line(x) -> int:
    """How many rows of x make a line: a power of two, so that x is whole lines."""
    rows, c = x.size // x.shape[-1], x.shape[-1]
    together = 1
    while 2 * together * c <= LINE and rows % (2 * together) == 0:
        together *= 2
    return together


def _lines(together: int, *arrays) -> list[Any]:
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


def normalise_batch(
    x, mean, var, gamma, beta, gate, running_mean, running_var, m, momentum, eps, least
):
    """(y, s, k); the running statistics move."""
    s, k, b = made = np.empty((3, mean.size), mean.dtype)
    arrays = mean, var, gamma, beta, gamma if gate is None else gate, running_mean, running_var
    _of_batch(*arrays, made, gate is not None, m / (m - 1), 1 - momentum, momentum, eps)
    return _normalised(x, mean, k, b, least), s, k


def normalise_relu(x, mean, k, b):
    """max(0, k (x - mean) + b)."""
    return _normalised(x, mean, k, b, 0.0)


def _normalised(x, mean, k, b, least):
    y = np.empty(x.shape, x.dtype)
    xs, ys, *per_channel = _lines(_rows_of_a_line(x), x, y, mean, k, b)
    least = np.float32(least)
    share(lambda *some: _normalise(xs, *per_channel, least, ys, *some), len(xs), x.size)
    return y


@kernel
def _normalise(x, mean, k, b, least, y, first, last):
    for r in range(first, last):
        xr, yr = x[r], y[r]
        for i in range(mean.size):
            value = k[i] * (xr[i] - mean[i]) + b[i]
            yr[i] = least if value < least else value  # NaN stays NaN, which max would hide


def gradient_sums(gy, y, x, mean):
    """sum g and sum g (x - mean) per channel, g = 0 where y <= 0, else gy."""
    lines = _lines(_rows_of_a_line(x), gy, gy if y is None else y, x, mean)
    numbers, is_masked = lines[0].shape[1], y is not None
    blocks = -(-len(lines[0]) // _block(numbers))
    sums = np.zeros((2, blocks, numbers), x.dtype)
    share(lambda *some: _block_sums(is_masked, *lines, *sums, *some), blocks, 3 * x.size)
    of_rows = sums.reshape(2, -1, x.shape[-1])
    return of_rows.sum(axis=1, dtype=np.float64).astype(x.dtype)


@kernel
def _block_sums(is_masked, gy, y, x, mean, plain, centred, first, last):
    rows, c = x.shape
    size, zero = _block(c), np.float32(0)
    for block in range(first, last):
        total, product = plain[block], centred[block]
        for r in range(block * size, min(rows, (block + 1) * size)):
            gr, yr, xr = gy[r], y[r], x[r]
            for k in range(c):
                g = zero if is_masked and yr[k] <= 0 else gr[k]
                total[k] += g
                product[k] += g * (xr[k] - mean[k])


def normalise_pullback(gy, y, x, sums, mean, s, k, gamma, beta, gate, m):
    """(gx, ggamma, gbeta, ggate); each an array of its own, as a gradient that is kept must be."""
    ggamma, gbeta, ggate, shift, slope = made = [np.empty_like(s) for _ in range(5)]
    _of_sums(sums, s, gamma, beta, gamma if gate is None else gate, gate is not None, 1 / m, *made)
    gx = subtract_line(gy, y, x, mean, k, shift, slope)
    return gx, ggamma, gbeta, None if gate is None else ggate


def subtract_line(gy, y, x, mean, k, shift, slope):
    """k (g - shift - slope (x - mean)), g = 0 where y <= 0, else gy."""
    gx, is_masked = np.empty(x.shape, x.dtype), y is not None
    arrays = gy, y if is_masked else gy, x, mean, k, shift, slope, gx
    lines = _lines(_rows_of_a_line(x), *arrays)
    share(lambda *some: _subtract_line(is_masked, *lines, *some), len(lines[0]), 3 * x.size)
    return gx


@kernel
def _subtract_line(is_masked, gy, y, x, mean, k, shift, slope, gx, first, last):
    zero = np.float32(0)
    for r in range(first, last):
        gr, yr, xr, to = gy[r], y[r], x[r], gx[r]
        for i in range(mean.size):
            g = zero if is_masked and yr[i] <= 0 else gr[i]
            to[i] = k[i] * (g - shift[i] - slope[i] * (xr[i] - mean[i]))


# --- a number for each channel: to the last bit what NumPy gives ----------------------------------


@exact
def _of_batch(
    mean, var, gamma, beta, gate, running_mean, running_var, made, is_gated, unbiased, old, new, eps
):
    one, unbiased = np.float32(1), np.float32(unbiased)
    old, new, eps = np.float32(old), np.float32(new), np.float32(eps)
    for i in range(mean.size):
        z = gate[i] if is_gated else one
        running_mean[i] = running_mean[i] * old + mean[i] * new
        running_var[i] = running_var[i] * old + var[i] * unbiased * new
        s = np.sqrt(var[i] + eps)
        made[0, i], made[1, i], made[2, i] = s, gamma[i] * z / s, beta[i] * z


@exact
def _of_sums(sums, s, gamma, beta, gate, is_gated, share, ggammas, gbetas, ggates, shifts, slopes):
    one, share = np.float32(1), np.float32(share)
    for i in range(s.size):
        z, gbeta, ggamma = gate[i] if is_gated else one, sums[0, i], sums[1, i] / s[i]
        ggammas[i], gbetas[i] = ggamma * z, gbeta * z
        ggates[i] = ggamma * gamma[i] + gbeta * beta[i]
        shifts[i], slopes[i] = gbeta * share, ggamma / s[i] * share
