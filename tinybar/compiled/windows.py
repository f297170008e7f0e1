"""Windows as the rows of a matrix (autograd/conv.py)."""

from __future__ import annotations

import numpy as np

from .kernel import kernel, share


def gather_rows(x, kernel, stride, padding, size):
    """The windows of x as the rows of a matrix."""
    n, c = x.shape[0], x.shape[3]
    rows = np.empty((n * size[0] * size[1], kernel[0] * kernel[1] * c), x.dtype)
    geometry = (kernel, stride, padding, size)
    share(lambda *lines: _gather_rows(x, *geometry, rows, *lines), n * size[0], rows.size)
    return rows


@kernel
def _gather_rows(x, kernel, stride, padding, size, rows, first, last):
    (h, w, c), (kh, kw), (sh, sw) = x.shape[1:], kernel, stride
    (ph, pw), (oh, ow) = padding, size
    for line in range(first, last):
        image, top = line // oh, (line % oh) * sh - ph
        for q in range(ow):
            left, row = q * sw - pw, rows[line * ow + q]
            for i in range(kh):
                for j in range(kw):
                    to = row[(i * kw + j) * c : (i * kw + j + 1) * c]
                    if 0 <= top + i < h and 0 <= left + j < w:
                        pixel = x[image, top + i, left + j]
                        for k in range(c):
                            to[k] = pixel[k]
                    else:
                        for k in range(c):
                            to[k] = 0


def scatter_rows(grows, shape, kernel, stride, padding, size):
    """The adjoint of `gather_rows`."""
    gx, geometry = np.zeros(shape, grows.dtype), (kernel, stride, padding, size)
    share(lambda *images: _scatter_rows(grows, *geometry, gx, *images), shape[0], grows.size)
    return gx


@kernel
def _scatter_rows(grows, kernel, stride, padding, size, gx, first, last):
    (h, w, c), (kh, kw), (sh, sw) = gx.shape[1:], kernel, stride
    (ph, pw), (oh, ow) = padding, size
    for line in range(first * oh, last * oh):  # windows overlap: an image is one core's
        image, top = line // oh, (line % oh) * sh - ph
        for q in range(ow):
            left, row = q * sw - pw, grows[line * ow + q]
            for i in range(kh):
                if not 0 <= top + i < h:
                    continue
                for j in range(kw):
                    if 0 <= left + j < w:
                        source, pixel = row[(i * kw + j) * c :], gx[image, top + i, left + j]
                        for k in range(c):
                            pixel[k] += source[k]
