"""Windows as the rows of a matrix (autograd/conv/gather.py)."""

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
    (ph, pw), (oh, ow), across = padding, size, kernel[1] * c
    for line in range(first, last):
        image, top = line // oh, (line % oh) * sh - ph
        for q in range(ow):
            left, row = q * sw - pw, rows[line * ow + q]
            before, after = max(0, -left), min(kw, w - left)  # columns j that lie in the image
            for i in range(kh):
                to = row[i * across : (i + 1) * across]
                if not 0 <= top + i < h or before >= after:
                    for k in range(across):
                        to[k] = 0
                    continue
                for k in range(before * c):
                    to[k] = 0
                source = x[image, top + i].reshape(w * c)[(left + before) * c :]
                inside = to[before * c :]
                for k in range((after - before) * c):
                    inside[k] = source[k]
                for k in range(after * c, across):
                    to[k] = 0


def scatter_rows(grows, shape, kernel, stride, padding, size):
    """The pullback of `gather_rows`."""
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
            before, after = max(0, -left), min(kw, w - left)
            for i in range(kh):
                if not 0 <= top + i < h or before >= after:
                    continue
                source = row[(i * kw + before) * c :]
                to = gx[image, top + i].reshape(w * c)[(left + before) * c :]
                for k in range((after - before) * c):
                    to[k] += source[k]
