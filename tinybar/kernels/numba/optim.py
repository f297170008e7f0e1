"""Adam (nn/optim.py)."""

from __future__ import annotations

import numpy as np

from ..in_place import adam_corrections
from .kernel import kernel, share


def adam_update(w, grad, m, v, t, lr, weight_decay, beta1, beta2, eps):
    """w, m and v in place; see the reference."""
    rate, scale = adam_corrections(t, lr, beta1, beta2)
    constants = (beta1, 1 - beta1, beta2, 1 - beta2, weight_decay, rate, scale, eps)
    constants = [np.float32(value) for value in constants]
    share(lambda *some: _adam_update(w, grad, m, v, *constants, *some), w.size, 4 * w.size)


@kernel
def _adam_update(w, grad, m, v, old1, new1, old2, new2, decay, rate, scale, eps, first, last):
    for i in range(first, last):
        g = grad[i] + decay * w[i]
        m[i] = old1 * m[i] + new1 * g
        v[i] = old2 * v[i] + new2 * (g * g)
        w[i] -= rate * m[i] / (np.sqrt(v[i]) * scale + eps)
