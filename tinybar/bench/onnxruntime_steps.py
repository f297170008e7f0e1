"""onnxruntime: inference of plain and compact residual networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime

from ..deploy.onnx import INPUT, to_onnx
from .case import Case


def versions() -> dict[str, str]:
    """Versions of the library that computes and of the one that wrote the graph."""
    return {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}


def prepare(case: Case) -> Callable[[], np.ndarray]:
    """The step to time: logits of images (N, H, W, C), as tinybar takes them; N is fixed."""
    images, _ = case.batch()
    network: Any = case.build()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = case.threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        to_onnx(network, case.batch_size).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    return lambda: session.run(None, {INPUT: images})[0]
