"""`cupy.cuda.cublas`."""

from .. import standin
from .._raw import emulation


def sgemmStridedBatched(handle, turn_a, turn_b, m, n, k, *rest):
    job = emulation().products(turn_a, turn_b, m, n, k, *rest)
    standin.launch("matmul", job, m * n * k * rest[-1])


class CUBLASError(RuntimeError):
    """As CuPy's."""


def getVersion(handle: int) -> int:
    return 130000


def setMathMode(handle: int, mode: int) -> None:
    pass
