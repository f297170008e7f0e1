"""Winograd's transforms (autograd/conv/winograd.py).

By strips: some tiles of one row of tiles, side by side. Column j of every tile of a strip is one
line (tile, channel), and so is every position of V and M: all loops run over such lines. The
columns of the input lie 4 apart; by phase (column mod 4), column 4 of a tile is column 0 of the
next one. A function of lines reads all its values before it writes: else it is not vectorised.
"""

from __future__ import annotations

import numpy as np

from .kernel import inline, kernel, share

STRIP = 128  # entries of a line: a strip's lines stay in the nearest cache
ENTRIES = 512  # of the weight that are worked on at a time


# In float32: a product of a float32 and an integer would be worked out in float64.
TWO, FOUR, FIVE, EIGHT = (np.float32(value) for value in (2, 4, 5, 8))
QUARTER, SIXTH, TWELFTH, TWENTYFOURTH = (np.float32(1 / value) for value in (4, 6, 12, 24))


@inline
def _b_t(d0, d1, d2, d3, d4, d5, v0, v1, v2, v3, v4, v5):
    """v = B^T d."""
    for q in range(v0.size):
        x0, x1, x2, x3, x4, x5 = d0[q], d1[q], d2[q], d3[q], d4[q], d5[q]
        v0[q] = FOUR * x0 - FIVE * x2 + x4
        v1[q] = (x3 + x4) - FOUR * (x1 + x2)
        v2[q] = (x4 - x3) + FOUR * (x1 - x2)
        v3[q] = TWO * (x3 - x1) + (x4 - x2)
        v4[q] = TWO * (x1 - x3) + (x4 - x2)
        v5[q] = FOUR * x1 - FIVE * x3 + x5


@inline
def _b(v0, v1, v2, v3, v4, v5, d0, d1, d2, d3, d4, d5):
    """d = B v."""
    for q in range(d0.size):
        x0, x1, x2, x3, x4, x5 = v0[q], v1[q], v2[q], v3[q], v4[q], v5[q]
        d0[q] = FOUR * x0
        d1[q] = FOUR * (x2 - x1 + x5) + TWO * (x4 - x3)
        d2[q] = -FIVE * x0 - FOUR * (x1 + x2) - (x3 + x4)
        d3[q] = (x1 - x2) + TWO * (x3 - x4) - FIVE * x5
        d4[q] = x0 + (x1 + x2) + (x3 + x4)
        d5[q] = x5


@inline
def _g(w0, w1, w2, u0, u1, u2, u3, u4, u5):
    """u = G w."""
    for q in range(u0.size):
        x0, x1, x2 = w0[q], w1[q], w2[q]
        u0[q] = QUARTER * x0
        u1[q] = -SIXTH * ((x0 + x2) + x1)
        u2[q] = -SIXTH * ((x0 + x2) - x1)
        u3[q] = (TWENTYFOURTH * x0 + SIXTH * x2) + TWELFTH * x1
        u4[q] = (TWENTYFOURTH * x0 + SIXTH * x2) - TWELFTH * x1
        u5[q] = x2


@inline
def _g_t(u0, u1, u2, u3, u4, u5, w0, w1, w2):
    """w = G^T u."""
    for q in range(w0.size):
        x0, x1, x2, x3, x4, x5 = u0[q], u1[q], u2[q], u3[q], u4[q], u5[q]
        w0[q] = QUARTER * x0 - SIXTH * (x1 + x2) + TWENTYFOURTH * (x3 + x4)
        w1[q] = SIXTH * (x2 - x1) + TWELFTH * (x3 - x4)
        w2[q] = SIXTH * ((x3 + x4) - (x1 + x2)) + x5


@inline
def _a_t(m0, m1, m2, m3, m4, m5, y0, y1, y2, y3):
    """y = A^T m."""
    for q in range(y0.size):
        x0, x1, x2, x3, x4, x5 = m0[q], m1[q], m2[q], m3[q], m4[q], m5[q]
        y0[q] = x0 + (x1 + x2) + (x3 + x4)
        y1[q] = (x1 - x2) + TWO * (x3 - x4)
        y2[q] = (x1 + x2) + FOUR * (x3 + x4)
        y3[q] = (x1 - x2) + EIGHT * (x3 - x4) + x5


@inline
def _a(y0, y1, y2, y3, m0, m1, m2, m3, m4, m5):
    """m = A y."""
    for q in range(m0.size):
        x0, x1, x2, x3 = y0[q], y1[q], y2[q], y3[q]
        m0[q] = x0
        m1[q] = (x0 + x2) + (x1 + x3)
        m2[q] = (x0 + x2) - (x1 + x3)
        m3[q] = (x0 + FOUR * x2) + (TWO * x1 + EIGHT * x3)
        m4[q] = (x0 + FOUR * x2) - (TWO * x1 + EIGHT * x3)
        m5[q] = x3


@inline
def _copy(source, to):
    for k in range(source.size):
        to[k] = source[k]


@inline
def _clear(to):
    for k in range(to.size):
        to[k] = 0


@inline
def _add(source, to):
    for k in range(source.size):
        to[k] += source[k]


@inline
def _strip(tw, c):
    """Tiles of a strip."""
    return max(1, min(tw, STRIP // c))


def input_transform(x, padding, tiles):
    """V of the tiles of images x."""
    n, c = x.shape[0], x.shape[3]
    v = np.empty((36, n * tiles[0] * tiles[1] * c), x.dtype)
    share(lambda *rows: _input_transform(x, padding, tiles, v, *rows), n * tiles[0], v.size)
    return v.reshape(36, -1, c)


@kernel
def _input_transform(x, padding, tiles, v, first, last):
    (h, w, c), (ph, pw), (th, tw) = x.shape[1:], padding, tiles
    strip = _strip(tw, c)
    d, t = np.zeros((6, 4, (strip + 1) * c), v.dtype), np.zeros((6, 4, (strip + 1) * c), v.dtype)
    columns, halfway = d.reshape(6, -1), t.reshape(6, -1)
    for row in range(first, last):  # a row of tiles
        image, top = row // th, 4 * (row % th) - ph
        for begin in range(0, tw, strip):
            s = min(strip, tw - begin)
            for i in range(6):
                for j in range(4 * s + 2):
                    left, at = 4 * begin + j - pw, j // 4 * c
                    if 0 <= top + i < h and 0 <= left < w:
                        _copy(x[image, top + i, left], d[i, j % 4, at : at + c])
                    else:
                        _clear(d[i, j % 4, at : at + c])
            _b_t(
                columns[0], columns[1], columns[2], columns[3], columns[4], columns[5],
                halfway[0], halfway[1], halfway[2], halfway[3], halfway[4], halfway[5],
            )  # fmt: skip
            lo, line = (row * tw + begin) * c, s * c
            hi, end = lo + line, line + c
            for i in range(6):
                g = 6 * i
                _b_t(
                    t[i, 0, :line], t[i, 1, :line], t[i, 2, :line], t[i, 3, :line],
                    t[i, 0, c:end], t[i, 1, c:end],
                    v[g, lo:hi], v[g + 1, lo:hi], v[g + 2, lo:hi],
                    v[g + 3, lo:hi], v[g + 4, lo:hi], v[g + 5, lo:hi],
                )  # fmt: skip


def input_transform_pullback(gv, shape, padding, tiles):
    """gx of gV."""
    gx, v = np.zeros(shape, gv.dtype), gv.reshape(36, -1)
    share(
        lambda *images: _input_transform_pullback(v, padding, tiles, gx, *images), shape[0], gv.size
    )
    return gx


@kernel
def _input_transform_pullback(v, padding, tiles, gx, first, last):
    (h, w, c), (ph, pw), (th, tw) = gx.shape[1:], padding, tiles
    strip = _strip(tw, c)
    d, t = np.zeros((6, 4, (strip + 1) * c), v.dtype), np.zeros((6, 4, (strip + 1) * c), v.dtype)
    columns, halfway = d.reshape(6, -1), t.reshape(6, -1)
    next0, next1 = np.zeros(strip * c, v.dtype), np.zeros(strip * c, v.dtype)
    for row in range(first * th, last * th):  # tiles overlap: an image is one core's
        image, top = row // th, 4 * (row % th) - ph
        for begin in range(0, tw, strip):
            s = min(strip, tw - begin)
            lo, line = (row * tw + begin) * c, s * c
            hi, end = lo + line, line + c
            for i in range(6):
                g = 6 * i
                _b(
                    v[g, lo:hi], v[g + 1, lo:hi], v[g + 2, lo:hi],
                    v[g + 3, lo:hi], v[g + 4, lo:hi], v[g + 5, lo:hi],
                    t[i, 0, :line], t[i, 1, :line], t[i, 2, :line], t[i, 3, :line],
                    next0[:line], next1[:line],
                )  # fmt: skip
                for phase in range(4):
                    _clear(t[i, phase, line:end])
                _add(next0[:line], t[i, 0, c:end])
                _add(next1[:line], t[i, 1, c:end])
            _b(
                halfway[0], halfway[1], halfway[2], halfway[3], halfway[4], halfway[5],
                columns[0], columns[1], columns[2], columns[3], columns[4], columns[5],
            )  # fmt: skip
            for i in range(6):
                for j in range(4 * s + 2):
                    left, at = 4 * begin + j - pw, j // 4 * c
                    if 0 <= top + i < h and 0 <= left < w:
                        _add(d[i, j % 4, at : at + c], gx[image, top + i, left])


def output_transform(m, n, tiles, size):
    """The outputs of M."""
    y, lines = np.empty((n, *size, m.shape[2]), m.dtype), m.reshape(36, -1)
    share(lambda *rows: _output_transform(lines, tiles, y, *rows), n * tiles[0], m.size)
    return y


@kernel
def _output_transform(m, tiles, y, first, last):
    (oh, ow, c), (th, tw) = y.shape[1:], tiles
    strip = _strip(tw, c)
    t, o = np.empty((4, 6, strip * c), m.dtype), np.empty((4, strip * c), m.dtype)
    for row in range(first, last):
        image, top = row // th, 4 * (row % th)
        for begin in range(0, tw, strip):
            s = min(strip, tw - begin)
            lo, e = (row * tw + begin) * c, s * c
            hi = lo + e
            for j in range(6):
                _a_t(
                    m[j, lo:hi], m[6 + j, lo:hi], m[12 + j, lo:hi],
                    m[18 + j, lo:hi], m[24 + j, lo:hi], m[30 + j, lo:hi],
                    t[0, j, :e], t[1, j, :e], t[2, j, :e], t[3, j, :e],
                )  # fmt: skip
            for i in range(min(4, oh - top)):
                _a_t(
                    t[i, 0, :e], t[i, 1, :e], t[i, 2, :e], t[i, 3, :e], t[i, 4, :e], t[i, 5, :e],
                    o[0, :e], o[1, :e], o[2, :e], o[3, :e],
                )  # fmt: skip
                for j in range(min(4 * s, ow - 4 * begin)):
                    at = j // 4 * c
                    _copy(o[j % 4, at : at + c], y[image, top + i, 4 * begin + j])


def output_transform_pullback(gy, tiles):
    """gM of the gradient of the outputs."""
    n, c = gy.shape[0], gy.shape[3]
    gm = np.empty((36, n * tiles[0] * tiles[1] * c), gy.dtype)
    share(lambda *rows: _output_transform_pullback(gy, tiles, gm, *rows), n * tiles[0], gm.size)
    return gm.reshape(36, -1, c)


@kernel
def _output_transform_pullback(gy, tiles, gm, first, last):
    (oh, ow, c), (th, tw) = gy.shape[1:], tiles
    strip = _strip(tw, c)
    d, t = np.zeros((4, 4, strip * c), gy.dtype), np.zeros((6, 4, strip * c), gy.dtype)
    columns, halfway = d.reshape(4, -1), t.reshape(6, -1)
    for row in range(first, last):
        image, top = row // th, 4 * (row % th)
        for begin in range(0, tw, strip):
            s = min(strip, tw - begin)
            for i in range(4):
                for j in range(4 * s):
                    left, at = 4 * begin + j, j // 4 * c
                    if top + i < oh and left < ow:
                        _copy(gy[image, top + i, left], d[i, j % 4, at : at + c])
                    else:
                        _clear(d[i, j % 4, at : at + c])
            _a(
                columns[0], columns[1], columns[2], columns[3],
                halfway[0], halfway[1], halfway[2], halfway[3], halfway[4], halfway[5],
            )  # fmt: skip
            lo, e = (row * tw + begin) * c, s * c
            hi = lo + e
            for i in range(6):
                g = 6 * i
                _a(
                    t[i, 0, :e], t[i, 1, :e], t[i, 2, :e], t[i, 3, :e],
                    gm[g, lo:hi], gm[g + 1, lo:hi], gm[g + 2, lo:hi],
                    gm[g + 3, lo:hi], gm[g + 4, lo:hi], gm[g + 5, lo:hi],
                )  # fmt: skip


def weight_transform(weight, gate):
    """U of the weight, times a gate or None."""
    weight = weight if gate is None else weight * gate
    w, u = weight.reshape(9, -1), np.empty((36, *weight.shape[2:]), weight.dtype)
    lines = u.reshape(36, -1)
    share(lambda *some: _weight_transform(w, lines, *some), w.shape[1], u.size)
    return u


@kernel
def _weight_transform(w, u, first, last):
    t = np.empty((6, 3, ENTRIES), w.dtype)
    for lo in range(first, last, ENTRIES):
        hi = min(lo + ENTRIES, last)
        e = hi - lo
        for j in range(3):
            _g(
                w[j, lo:hi], w[3 + j, lo:hi], w[6 + j, lo:hi],
                t[0, j, :e], t[1, j, :e], t[2, j, :e], t[3, j, :e], t[4, j, :e], t[5, j, :e],
            )  # fmt: skip
        for i in range(6):
            g = 6 * i
            _g(
                t[i, 0, :e], t[i, 1, :e], t[i, 2, :e],
                u[g, lo:hi], u[g + 1, lo:hi], u[g + 2, lo:hi],
                u[g + 3, lo:hi], u[g + 4, lo:hi], u[g + 5, lo:hi],
            )  # fmt: skip


def weight_transform_pullback(gu):
    """The gradient of the weight, of gU."""
    gweight, u = np.empty((3, 3, *gu.shape[1:]), gu.dtype), gu.reshape(36, -1)
    lines = gweight.reshape(9, -1)
    share(lambda *some: _weight_transform_pullback(u, lines, *some), u.shape[1], u.size)
    return gweight


@kernel
def _weight_transform_pullback(u, w, first, last):
    t = np.empty((6, 3, ENTRIES), u.dtype)
    for lo in range(first, last, ENTRIES):
        hi = min(lo + ENTRIES, last)
        e = hi - lo
        for i in range(6):
            g = 6 * i
            _g_t(
                u[g, lo:hi], u[g + 1, lo:hi], u[g + 2, lo:hi],
                u[g + 3, lo:hi], u[g + 4, lo:hi], u[g + 5, lo:hi],
                t[i, 0, :e], t[i, 1, :e], t[i, 2, :e],
            )  # fmt: skip
        for j in range(3):
            _g_t(
                t[0, j, :e], t[1, j, :e], t[2, j, :e], t[3, j, :e], t[4, j, :e], t[5, j, :e],
                w[j, lo:hi], w[3 + j, lo:hi], w[6 + j, lo:hi],
            )  # fmt: skip
