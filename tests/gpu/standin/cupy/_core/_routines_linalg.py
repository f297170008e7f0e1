"""How matrices are multiplied. The stand-in multiplies in float32 whatever is set."""

import numpy as np

COMPUTE_TYPE_DEFAULT, COMPUTE_TYPE_PEDANTIC, COMPUTE_TYPE_TF32 = 1, 2, 7
_types = {}


def set_compute_type(dtype, compute_type: int) -> None:
    """Of products of this dtype, from now on."""
    _types[np.dtype(dtype).char] = compute_type


def get_compute_type(dtype) -> int:
    """Of products of this dtype."""
    return _types.get(np.dtype(dtype).char, COMPUTE_TYPE_DEFAULT)
