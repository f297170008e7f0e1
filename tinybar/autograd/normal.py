"""The distribution function of the standard normal distribution."""

from __future__ import annotations

import math

import numpy as np

from ..runtime.arrays import array_module
from .primitive import primitive
from .tensor import Operand


@primitive(inputs=1, floating=True)
def normal_cdf(x: Operand):
    """y = Phi(x) = erfc(-x / sqrt 2) / 2.   gx = gy e^(-x^2/2) / sqrt(2 pi).

    By erfc, which has all its digits where Phi is small. On the host it is Python's, one entry at a
    time: it is meant for one entry per gate.
    """
    xp = array_module(x)
    return _phi(x), lambda gy: gy * xp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _phi(x):
    if array_module(x) is np:
        values = [math.erfc(-t / math.sqrt(2)) / 2 for t in x.ravel().tolist()]
        return np.array(values, x.dtype).reshape(x.shape)
    from cupyx.scipy.special import ndtr

    return ndtr(x)
