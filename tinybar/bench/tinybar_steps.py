"""tinybar, with or without its compiled kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import __version__, keep_freed_memory, nn
from .. import autograd as ag
from ..autograd import Tensor
from ..kernels import dispatch
from ..runtime import blas
from ..runtime.arrays import to_device
from .case import LEARNING_RATE, WEIGHT_DECAY, Case, Convolution

keep_freed_memory()  # as the command line does


def versions() -> dict[str, str]:
    """Versions of the libraries that compute, and the processor kernels that BLAS chose."""
    found = {"tinybar": __version__, "numpy": np.__version__}
    if dispatch.is_available():
        import numba

        found["numba"] = numba.__version__
    facts = blas.status()
    return found | {"blas": f"{facts['blas']} {facts['blas_version']} {facts['blas_architecture']}"}


def prepare(case: Case) -> Callable[[], Tensor]:
    """The step to time, on the current device."""
    model = case.build()
    images, labels = map(to_device, case.batch())
    x = Tensor(images)
    if case.kind == "infer":
        model.eval()
        return lambda: nn.predict(model, x)

    model.train()
    optimizer = nn.Adam(_groups(model), LEARNING_RATE)

    def step():
        loss = ag.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _groups(model) -> list[dict[str, Any]]:
    """Weight decay on the weights, not on the gates (Supp. 3)."""
    named = list(model.named_parameters())
    gates = [p for name, p in named if name.endswith("log_alpha")]
    others = [p for name, p in named if not name.endswith("log_alpha")]
    return [{"params": others, "weight_decay": WEIGHT_DECAY}, {"params": gates}]


def prepare_convolution(
    shapes: Convolution, part: str, threads: int, algorithm: str
) -> Callable[[], object]:
    """One of PARTS of a convolution, by one algorithm."""
    x, weight, gy = shapes.arrays()
    chosen = {"data": (True, False, False, False), "weight": (False, True, False, False)}
    needs = chosen.get(part, (True, True, False, False))  # of x, weight, bias and gate

    def forward():
        return ag.conv2d.function(
            x, weight, None, shapes.stride, shapes.padding, algorithm=algorithm, needs=needs
        )

    if part == "forward":
        return forward
    _, pullback = forward()
    return lambda: pullback(gy)
