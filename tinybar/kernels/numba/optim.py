"""Adam (nn/optim.py)."""

from __future__ import annotations

import numpy as np

from .kernel import kernel, share


def adam_update(p, g, m, v, b1, b2, decay, rate, scale, eps):
    """p, m and v in place; see the reference."""
    constants = [np.float32(value) for value in (b1, 1 - b1, b2, 1 - b2, decay, rate, scale, eps)]
    share(lambda *some: _adam_update(p, g, m, v, *constants, *some), p.size, 4 * p.size)


@kernel
def _adam_update(p, g, m, v, old1, new1, old2, new2, decay, rate, scale, eps, first, last):
    for i in range(first, last):
        grad = g[i] + decay * p[i]
        m[i] = old1 * m[i] + new1 * grad
        v[i] = old2 * v[i] + new2 * (grad * grad)
        p[i] -= rate * m[i] / (np.sqrt(v[i]) * scale + eps)
