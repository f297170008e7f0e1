"""Winograd's minimal filtering F(4x4, 3x3): a quarter of the multiplications [Lavin & Gray 2016].

A tile d of 6x6 pixels and a kernel g of 3x3 give 4x4 outputs

    y = A^T [ (G g G^T) o (B^T d B) ] A          (o: entry by entry; summed over the input channels)

All three transforms are linear, and for a tile written as a vector they are Kronecker squares. So
the convolution of P tiles is matrix products throughout:

    D: (36, P C)   the tiles, gathered          V = (B^T x B^T) D
    W: ( 9, C K)   the weight                   U = (G x G) W
    M_t = V_t U_t, one product (P, C)(C, K) for each of the 36 positions t in a tile
    Y = (A^T x A^T) M: (16, P K)                the outputs, written to their places

and the pullbacks are the transposes of these, in reverse order:

    gM = (A^T x A^T)^T gY;     gU_t = V_t^T gM_t,  gW = (G x G)^T gU
                               gV_t = gM_t U_t^T,  gD = (B^T x B^T)^T gV, added where D was read

Every output of a tile is a sum over all its pixels, in which what the output does not read cancels.
So rounding is in proportion to the largest pixel of the tile, |d|, and not to what is read:

    |error of an output| <= 2e-5 |d| (sum of |g| over the kernel and the channels)    in float32

(`tests/autograd/conv/test_winograd.py`), where a direct sum loses 1e-7 of the products it adds. An
infinity or a NaN reaches all 16 outputs of a tile. `use_algorithm("gather")` sums directly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels.dispatch import accelerated
from ...runtime import threads
from ...runtime.arrays import Array, array_module
from ..windows import Geometry, shifted
from .algorithm import Algorithm

# Interpolation points 0, 1, -1, 2, -2 and infinity.
B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
A_T = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ]
)
TILE = 4  # outputs of a tile, per direction
SMALL = 1 << 22  # multiply-adds that are done before another thread has woken up


def winograd(
    weight: Array, geometry: Geometry, image_size: tuple[int, int], gate: Any = None
) -> Algorithm:
    """F(4x4, 3x3) for 3x3 kernels of stride 1; any padding, height and width.

    gate: (K,), a factor of the weight, or None. The pullback gives the gradient of their product.
    """
    if geometry.kernel != (3, 3) or geometry.stride != (1, 1):
        raise ValueError(f"winograd needs a 3x3 kernel of stride 1, got {geometry}")
    (c, k), padding = weight.shape[2:], geometry.padding
    size = geometry.output_size(*image_size)
    tiles = (-(-size[0] // TILE), -(-size[1] // TILE))
    u = weight_transform(weight, gate)

    def forward(x):
        m = products(input_transform(x, padding, tiles), u, (False, False))
        return output_transform(m, len(x), tiles, size)

    def pullback(x, gy, needs):
        gm = output_transform_pullback(gy, tiles)
        gx = gweight = None
        if needs[0]:
            gv = products(gm, u, (False, True))
            gx = input_transform_pullback(gv, x.shape, padding, tiles)
        if needs[1]:
            # The transformed input is 2.25 times the input: made again here rather than kept.
            gu = products(input_transform(x, padding, tiles), gm, (True, False))
            gweight = weight_transform_pullback(gu)
        return gx, gweight

    rows = tiles[0] * tiles[1]
    return Algorithm(forward, pullback, rows, 36 * rows * max(c, k))


@accelerated
def products(a, b, transposed: tuple[bool, bool]):
    """a_t b_t: (36, P, K), from (36, P, C) and (36, C, K): some positions t on each core.

    transposed: which of the two have their last two axes exchanged.
    """
    a, b = (x.swapaxes(1, 2) if turn else x for x, turn in zip((a, b), transposed, strict=True))
    xp = array_module(a)
    if xp is not np:
        return a @ b
    out = np.empty((36, a.shape[1], b.shape[2]), a.dtype)
    parts = _parts(36, out.size * a.shape[2])
    threads.each(lambda t: np.matmul(a[t], b[t], out=out[t]), parts)
    return out


def transformed(matrix: np.ndarray, entries: Any) -> Array:
    """(matrix x matrix) entries: (r^2, S), from (c^2, S): some columns on each core."""
    xp = array_module(entries)
    squared = xp.asarray(np.kron(matrix, matrix), entries.dtype)
    if xp is not np:
        return squared @ entries
    out = np.empty((len(squared), entries.shape[1]), entries.dtype)
    parts = _parts(entries.shape[1], squared.size * entries.shape[1])
    threads.each(lambda s: np.matmul(squared, entries[:, s], out=out[:, s]), parts)
    return out


def _parts(n: int, multiply_adds: int) -> list[slice]:
    """n products in parts for the cores, if there is enough to do and the cores are free."""
    return threads.slices(n, 1 if threads.is_inside() or multiply_adds < SMALL else 12)


@accelerated
def weight_transform(weight, gate):
    """U = (G x G) W: (36, C, K), from weight: (3, 3, C, K), times a gate of K, or None."""
    c, k = weight.shape[2:]
    weight = weight if gate is None else weight * gate
    return transformed(G, weight.reshape(9, c * k)).reshape(36, c, k)


@accelerated
def weight_transform_pullback(gu):
    """gweight: (3, 3, C, K), from gu: (36, C, K)."""
    c, k = gu.shape[1:]
    return transformed(G.T, gu.reshape(36, c * k)).reshape(3, 3, c, k)


@accelerated
def input_transform(x, padding: tuple[int, int], tiles: tuple[int, int]):
    """V = (B^T x B^T) D: (36, P, C), from images x: (N, H, W, C)."""
    xp, (n, h, w, c), (th, tw) = array_module(x), x.shape, tiles
    ph, pw = padding
    padded = xp.zeros((n, TILE * th + 2, TILE * tw + 2, c), x.dtype)
    padded[:, ph : ph + h, pw : pw + w] = x
    sn, sh, sw, sc = padded.strides
    shape, strides = (6, 6, n, th, tw, c), (sh, sw, sn, TILE * sh, TILE * sw, sc)
    view = xp.lib.stride_tricks.as_strided(padded, shape, strides)
    d = xp.ascontiguousarray(view).reshape(36, n * th * tw * c)
    return transformed(B_T, d).reshape(36, n * th * tw, c)


@accelerated
def input_transform_pullback(
    gv, shape: tuple[int, ...], padding: tuple[int, int], tiles: tuple[int, int]
):
    """gx: (N, H, W, C) = `shape`; every pixel collects gD from all the tiles that read it."""
    (n, h, w, c), (ph, pw), (th, tw) = shape, padding, tiles
    gd = transformed(B_T.T, gv.reshape(36, n * th * tw * c)).reshape(6, 6, n, th, tw, c)
    gpadded = array_module(gv).zeros((n, TILE * th + 2, TILE * tw + 2, c), gv.dtype)
    for i in range(6):
        for j in range(6):
            shifted(gpadded, i, j, (TILE, TILE), tiles)[...] += gd[i, j]
    return gpadded[:, ph : ph + h, pw : pw + w]


@accelerated
def output_transform(m, n: int, tiles: tuple[int, int], size: tuple[int, int]):
    """Y = (A^T x A^T) M at its places: (N, OH, OW, K), from m: (36, P, K)."""
    (th, tw), (oh, ow), k = tiles, size, m.shape[2]
    y = transformed(A_T, m.reshape(36, n * th * tw * k))
    places = y.reshape(TILE, TILE, n, th, tw, k).transpose(2, 3, 0, 4, 1, 5)
    return places.reshape(n, th * TILE, tw * TILE, k)[:, :oh, :ow]


@accelerated
def output_transform_pullback(gy, tiles: tuple[int, int]):
    """gM: (36, P, K), from gy: (N, OH, OW, K); outputs past the edge have no gradient."""
    xp, (n, oh, ow, k), (th, tw) = array_module(gy), gy.shape, tiles
    if (oh, ow) != (th * TILE, tw * TILE):
        padded = xp.zeros((n, th * TILE, tw * TILE, k), gy.dtype)
        padded[:, :oh, :ow] = gy
        gy = padded
    places = gy.reshape(n, th, TILE, tw, TILE, k).transpose(2, 4, 0, 1, 3, 5)
    rows = xp.ascontiguousarray(places).reshape(16, n * th * tw * k)
    return transformed(A_T.T, rows).reshape(36, n * th * tw, k)
