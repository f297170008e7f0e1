"""`cupy.lib.stride_tricks`."""

import numpy as np


def as_strided(x, shape=None, strides=None):
    """A view with any shape and strides, in bytes."""
    view = np.lib.stride_tricks.as_strided(x._host, shape, strides)
    return x._view(view)
