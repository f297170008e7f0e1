"""What the tests of the primitives share: running one forward and back, and drawing arrays."""

import numpy as np
from hypothesis import strategies as st

from tinybar import Tensor
from tinybar.autograd.tensor import as_array

seeds = st.integers(0, 2**32 - 1)


def forward_backward(fn, arrays, gy=None):
    """(value, gradients of all floating-point arrays, gy) of fn; gy is drawn if not given."""
    tensors = [Tensor(a, requires_grad=as_array(a).dtype.kind == "f") for a in arrays]
    out = fn(*tensors)
    if gy is None:  # from a seed of its own: drawn like x, it would be x, a special direction
        gy = np.random.default_rng(299792458).standard_normal(out.shape)
    out.backward(gy)
    return out.data, [t.grad for t in tensors if t.requires_grad], np.asarray(gy, out.dtype)


def gradient(fn, x, gy=None):
    """The gradient of fn's only argument; gy defaults to ones."""
    x = Tensor(np.asarray(x, float), requires_grad=True)
    out = fn(x)
    out.backward(np.ones(out.shape) if gy is None else gy)
    return x.grad
