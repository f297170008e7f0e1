"""HIPS autograd: the small network only.

Its own convolution (`autograd.scipy.signal.convolve`) is an einsum; windows gathered to rows and
one matrix product are faster there, so that is what is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import autograd.numpy as np
import numpy
from autograd import value_and_grad
from autograd.misc.flatten import flatten
from autograd.scipy.special import logsumexp

from tinybar.bench.case import LEARNING_RATE, WEIGHT_DECAY, Case

from . import small_weights


def versions() -> dict[str, str]:
    """The versions of the libraries that compute."""
    return {"autograd": version("autograd"), "numpy": numpy.__version__}


def _conv_relu(x, weight, bias):
    _, h, w, c = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "constant")
    offsets = [(i, j) for i in range(3) for j in range(3)]
    rows = np.concatenate([padded[:, i : i + h, j : j + w] for i, j in offsets], axis=3)
    return np.maximum(np.dot(rows, weight.reshape(9 * c, -1)) + bias, 0)


def _pool(x):
    n, h, w, c = x.shape
    return np.mean(x.reshape(n, h // 2, 2, w // 2, 2, c), axis=(2, 4))


def logits_of(weights, x):
    """Logits of the small network. weights: `small_weights` orders them."""
    w1, b1, w2, b2, w3, b3, w, b = weights
    x = _pool(_conv_relu(x, w1, b1))
    x = _pool(_conv_relu(x, w2, b2))
    return np.dot(np.mean(_conv_relu(x, w3, b3), axis=(1, 2)), w) + b


def prepare(case: Case) -> Callable[[], object]:
    """The step to time."""
    weights = small_weights(case)
    x, labels = case.batch()
    if case.kind == "infer":
        return lambda: logits_of(weights, x)

    flat, unflatten = flatten(weights)
    flat = flat.astype(numpy.float32)
    rows = numpy.arange(len(labels))

    def loss_of(flat):
        logits = logits_of(unflatten(flat), x)
        return np.mean(logsumexp(logits, axis=1) - logits[rows, labels])

    both = value_and_grad(loss_of)
    m, v, t = numpy.zeros_like(flat), numpy.zeros_like(flat), 0

    def step():
        nonlocal t, m, v, flat
        loss, g = both(flat)
        g, t = g + WEIGHT_DECAY * flat, t + 1
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        flat = flat - LEARNING_RATE * m_hat / (numpy.sqrt(v_hat) + 1e-8)
        return loss

    return step
