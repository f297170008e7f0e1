"""tinygrad: the small network only, captured by TinyJit.

Its Adam with weight decay is the decoupled one (AdamW): as much work, other numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn.optim import AdamW

from tinybar.bench.case import LEARNING_RATE, WEIGHT_DECAY, Case

from . import small_weights


def versions() -> dict[str, str]:
    """The version of the library that computes."""
    return {"tinygrad": version("tinygrad")}


def _laid_out(array: np.ndarray) -> Tensor:
    """Weights of convolutions (KH, KW, C, K) as (K, C, KH, KW), the rest as it is."""
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    return Tensor(np.ascontiguousarray(array)).realize()


def logits_of(weights: list[Tensor], x: Tensor) -> Tensor:
    """Logits of the small network. x: (N, C, H, W); weights: `small_weights` orders them."""
    w1, b1, w2, b2, w3, b3, w, b = weights
    x = x.conv2d(w1, b1, padding=1).relu().avg_pool2d()
    x = x.conv2d(w2, b2, padding=1).relu().avg_pool2d()
    return x.conv2d(w3, b3, padding=1).relu().mean((2, 3)) @ w + b


def prepare(case: Case) -> Callable[[], object]:
    """The step to time. It ends with a number on the host: tinygrad does not wait otherwise."""
    weights = [_laid_out(array) for array in small_weights(case)]
    images, targets = case.batch()
    x = Tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).realize()
    labels = Tensor(targets).realize()
    if case.kind == "infer":
        forward = TinyJit(lambda: logits_of(weights, x).realize())
        return lambda: forward().numpy()

    for weight in weights:
        weight.requires_grad = True
    optimizer = AdamW(weights, LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    @TinyJit
    def train():
        optimizer.zero_grad()
        loss = logits_of(weights, x).sparse_categorical_crossentropy(labels).backward()
        # In one schedule: the loss is that of the weights before the step.
        return loss.realize(*optimizer.schedule_step())

    def step():
        with Context(TRAINING=1):
            return train().item()

    return step
