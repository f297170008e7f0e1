"""Some channels of every pixel (autograd/selection.py)."""

from __future__ import annotations

import numpy as np

from .kernel import kernel, share


def read_channels(x, index):
    """x[..., index]."""
    y = np.empty((*x.shape[:-1], index.size), x.dtype)
    pixels = x.reshape(-1, x.shape[-1])
    to = y.reshape(len(pixels), index.size)  # there may be nothing to read
    share(lambda *some: _read_channels(pixels, index, to, *some), len(pixels), x.size)
    return y


@kernel
def _read_channels(x, index, y, first, last):
    for r in range(first, last):
        source, to = x[r], y[r]
        for i in range(index.size):
            to[i] = source[index[i]]


def add_channels(x, delta, index):
    """x, with delta added at [..., index], entries named twice adding up."""
    y = np.empty(x.shape, x.dtype)
    pixels, to = (a.reshape(-1, a.shape[-1]) for a in (x, y))
    terms = delta.reshape(len(pixels), index.size)
    share(lambda *some: _add_channels(pixels, terms, index, to, *some), len(pixels), x.size)
    return y


@kernel
def _add_channels(x, delta, index, y, first, last):
    for r in range(first, last):
        source, terms, to = x[r], delta[r], y[r]
        for k in range(source.size):
            to[k] = source[k]
        for i in range(index.size):
            to[index[i]] += terms[i]
