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
    xp, (n, _, _, c), k = array_module(x), x.shape, weight.shape[3]
    oh, ow = geometry.output_size(*x.shape[1:3])
    tiles = (-(-oh // TILE), -(-ow // TILE))
    p = n * tiles[0] * tiles[1]
    b, g, a = (xp.asarray(np.kron(m, m), x.dtype) for m in (B_T, G, A_T))

    u = (g @ weight.reshape(9, c * k)).reshape(36, c, k)
    m = _transformed(x, b, geometry, tiles) @ u
    y = _join((a @ m.reshape(36, p * k)).reshape(16, n, *tiles, k), (oh, ow))

    def adjoints(gy, needs):
        gm = (a.T @ _split(gy, tiles).reshape(16, p * k)).reshape(36, p, k)
        gx = gweight = None
        if needs[0]:
            gv = gm @ u.swapaxes(1, 2)
            gd = (b.T @ gv.reshape(36, p * c)).reshape(6, 6, n, *tiles, c)
            gx = _scatter(gd, x.shape, geometry, tiles)
        if needs[1]:
            # The transformed input is 2.25 times the input: made again here rather than kept.
            gu = _transformed(x, b, geometry, tiles).swapaxes(1, 2) @ gm
            gweight = (g.T @ gu.reshape(36, c * k)).reshape(weight.shape)
        return gx, gweight

    return y, adjoints


def _transformed(x, b, geometry: Geometry, tiles: tuple[int, int]):
    """V: (36, P, C), the transformed tiles of x."""
    xp, (n, h, w, c), (th, tw) = array_module(x), x.shape, tiles
    ph, pw = geometry.padding
    padded = xp.zeros((n, TILE * th + 2, TILE * tw + 2, c), x.dtype)
    padded[:, ph : ph + h, pw : pw + w] = x
    sn, sh, sw, sc = padded.strides
    shape, strides = (6, 6, n, th, tw, c), (sh, sw, sn, TILE * sh, TILE * sw, sc)
    view = xp.lib.stride_tricks.as_strided(padded, shape, strides)
    d = xp.ascontiguousarray(view).reshape(36, n * th * tw * c)
    return (b @ d).reshape(36, n * th * tw, c)


def _join(y, size: tuple[int, int]):
    """Outputs of tiles (16, N, TH, TW, K) at their places: (N, OH, OW, K)."""
    _, n, th, tw, k = y.shape
    places = y.reshape(TILE, TILE, n, th, tw, k).transpose(2, 3, 0, 4, 1, 5)
    return places.reshape(n, th * TILE, tw * TILE, k)[:, : size[0], : size[1]]


def _split(gy, tiles: tuple[int, int]):
    """The adjoint of `_join`: (N, OH, OW, K) to (16, N, TH, TW, K), zeros past the edge."""
    xp, (n, oh, ow, k), (th, tw) = array_module(gy), gy.shape, tiles
    if (oh, ow) != (th * TILE, tw * TILE):
        padded = xp.zeros((n, th * TILE, tw * TILE, k), gy.dtype)
        padded[:, :oh, :ow] = gy
        gy = padded
    places = gy.reshape(n, th, TILE, tw, TILE, k).transpose(2, 4, 0, 1, 3, 5)
    return xp.ascontiguousarray(places)


def _scatter(gd, shape: tuple[int, ...], geometry: Geometry, tiles: tuple[int, int]):
    """The adjoint of the gathering of tiles: every pixel collects from all tiles that read it."""
    (n, h, w, c), (ph, pw) = shape, geometry.padding
    size = (TILE * tiles[0] + 2, TILE * tiles[1] + 2)
    gpadded = array_module(gd).zeros((n, *size, c), gd.dtype)
    for i in range(6):
        for j in range(6):
            shifted(gpadded, i, j, (TILE, TILE), tiles)[...] += gd[i, j]
    return gpadded[:, ph : ph + h, pw : pw + w]
