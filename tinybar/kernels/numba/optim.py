"""Adam (nn/optim.py)."""

from __future__ import annotations

import numpy as np

from ..in_place import adam_corrections
from .kernel import kernel, share


def adam_step(ws, grads, ms, vs, ts, lr, weight_decay, beta1, beta2, eps):
    """w, m and v of all parameters in place; see the reference."""
    constants = (beta1, 1 - beta1, beta2, 1 - beta2, weight_decay, eps)
    constants = [np.float32(value) for value in constants]
    corrections = {t: map(np.float32, adam_corrections(t, lr, beta1, beta2)) for t in set(ts)}
    corrections = {t: tuple(both) for t, both in corrections.items()}
    for *arrays, t in zip(ws, grads, ms, vs, ts, strict=True):
        _update([array.reshape(-1) for array in arrays], (*constants, *corrections[t]))


def _update(arrays, constants):
    size = arrays[0].size
    share(lambda *some: _adam_update(*arrays, *constants, *some), size, 4 * size)


@kernel
def _adam_update(w, grad, m, v, old1, new1, old2, new2, decay, eps, rate, scale, first, last):
    for i in range(first, last):
        g = grad[i] + decay * w[i]
        m[i] = old1 * m[i] + new1 * g
        v[i] = old2 * v[i] + new2 * (g * g)
        w[i] -= rate * m[i] / (np.sqrt(v[i]) * scale + eps)
