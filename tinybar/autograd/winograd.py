"""Winograd's minimal filtering F(4x4, 3x3): a quarter of the multiplications [Lavin & Gray 2016].

A tile d of 6x6 pixels and a kernel g of 3x3 give 4x4 outputs

    y = A^T [ (G g G^T) o (B^T d B) ] A          (o: entry by entry; summed over the input channels)

All three transforms are linear, and for a tile written as a vector they are Kronecker squares. So
the convolution of P tiles is matrix products throughout:

    D: (36, P C)   the tiles, gathered          V = (B^T x B^T) D
    W: ( 9, C K)   the weight                   U = (G x G) W
    M_t = V_t U_t, one product (P, C)(C, K) for each of the 36 positions t in a tile
    Y = (A^T x A^T) M: (16, P K)                the outputs, written to their places

and each pullback is the transposes of these, in reverse order:

    gM = (A^T x A^T)^T gY;     gU_t = V_t^T gM_t,  gW = (G x G)^T gU
                               gV_t = gM_t U_t^T,  gD = (B^T x B^T)^T gV, added where D was read
"""

from __future__ import annotations

import numpy as np

from ..accelerate import accelerated
from ..backend import array_module
from .windows import Geometry, shifted

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


def winograd(x, weight, geometry: Geometry):
    """The form of `conv2d` for 3x3 kernels of stride 1; any padding, height and width."""
    if geometry.kernel != (3, 3) or geometry.stride != (1, 1):
        raise ValueError(f"winograd needs a 3x3 kernel of stride 1, got {geometry}")
    (n, _, _, c), k = x.shape, weight.shape[3]
    size = geometry.output_size(*x.shape[1:3])
    tiles = (-(-size[0] // TILE), -(-size[1] // TILE))
    padding = geometry.padding

    gg = _squared(G, x)
    u = (gg @ weight.reshape(9, c * k)).reshape(36, c, k)
    m = input_transform(x, padding, tiles) @ u
    y = output_transform(m, n, tiles, size)

    def adjoints(gy, needs):
        gm = output_adjoint(gy, tiles)
        gx = gweight = None
        if needs[0]:
            gv = gm @ u.swapaxes(1, 2)
            gx = input_adjoint(gv, x.shape, padding, tiles)
        if needs[1]:
            # The transformed input is 2.25 times the input: made again here rather than kept.
            gu = input_transform(x, padding, tiles).swapaxes(1, 2) @ gm
            gweight = (gg.T @ gu.reshape(36, c * k)).reshape(weight.shape)
        return gx, gweight

    return y, adjoints


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
    return (_squared(B_T, x) @ d).reshape(36, n * th * tw, c)


@accelerated
def input_adjoint(gv, shape: tuple[int, ...], padding: tuple[int, int], tiles: tuple[int, int]):
    """gx: (N, H, W, C) = `shape`; every pixel collects gD from all the tiles that read it."""
    (n, h, w, c), (ph, pw), (th, tw) = shape, padding, tiles
    gd = (_squared(B_T, gv).T @ gv.reshape(36, n * th * tw * c)).reshape(6, 6, n, th, tw, c)
    gpadded = array_module(gv).zeros((n, TILE * th + 2, TILE * tw + 2, c), gv.dtype)
    for i in range(6):
        for j in range(6):
            shifted(gpadded, i, j, (TILE, TILE), tiles)[...] += gd[i, j]
    return gpadded[:, ph : ph + h, pw : pw + w]


@accelerated
def output_transform(m, n: int, tiles: tuple[int, int], size: tuple[int, int]):
    """Y = (A^T x A^T) M at its places: (N, OH, OW, K), from m: (36, P, K)."""
    (th, tw), (oh, ow), k = tiles, size, m.shape[2]
    y = _squared(A_T, m) @ m.reshape(36, n * th * tw * k)
    places = y.reshape(TILE, TILE, n, th, tw, k).transpose(2, 3, 0, 4, 1, 5)
    return places.reshape(n, th * TILE, tw * TILE, k)[:, :oh, :ow]


@accelerated
def output_adjoint(gy, tiles: tuple[int, int]):
    """gM: (36, P, K), from gy: (N, OH, OW, K); outputs past the edge have no gradient."""
    xp, (n, oh, ow, k), (th, tw) = array_module(gy), gy.shape, tiles
    if (oh, ow) != (th * TILE, tw * TILE):
        padded = xp.zeros((n, th * TILE, tw * TILE, k), gy.dtype)
        padded[:, :oh, :ow] = gy
        gy = padded
    places = gy.reshape(n, th, TILE, tw, TILE, k).transpose(2, 4, 0, 1, 3, 5)
    rows = xp.ascontiguousarray(places).reshape(16, n * th * tw * k)
    return (_squared(A_T, gy).T @ rows).reshape(36, n * th * tw, k)


def _squared(matrix: np.ndarray, like):
    """The Kronecker square, in the dtype and on the device of `like`."""
    return array_module(like).asarray(np.kron(matrix, matrix), like.dtype)
