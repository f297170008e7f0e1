"""Logits without gradients, and their accuracy."""

from __future__ import annotations

import numpy as np

from ..autograd import Tensor, no_grad
from ..autograd.tensor import Operand, as_array
from ..runtime import threads
from ..runtime.arrays import array_module, to_numpy
from .module import Module

PART = 32  # images: fewer do not repay the calls, more do not fit in a core's cache


def predict(model: Module, x: Tensor) -> Tensor:
    """model(x), outside the tape.   x: (N, H, W, C), result: (N, K) logits.

    In evaluation mode images are independent, so each core takes some through the whole network.
    Raises ValueError for a model in training mode, where batch norm ties them together.
    """
    if model.training:
        raise ValueError("predict needs a model in evaluation mode: call model.eval() before")
    with no_grad():
        if array_module(x.data) is not np or len(x.data) < 2 * PART:
            return model(x)
        parts = threads.slices(len(x.data), len(x.data) // PART)
        logits = threads.each(lambda part: model(Tensor(x.data[part])).data, parts)
        return Tensor(np.concatenate(logits))


def accuracy(logits: Tensor, labels: Operand) -> float:
    """Share of rows whose largest logit is at the label.   logits: (N, K), labels: (N,)."""
    predicted = to_numpy(as_array(logits)).argmax(axis=1)
    return float((predicted == to_numpy(as_array(labels))).mean())
