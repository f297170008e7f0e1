"""A trained network as an ONNX graph, for other runtimes. Needs the `onnx` extra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from . import __version__, backend
from .autograd.windows import Geometry
from .nn import (
    BatchNorm2d,
    CompactPostResNet,
    CompactResNet,
    Conv2d,
    HardConcrete,
    MixedBlock,
    PreActivationBlock,
    ResidualNetwork,
    ResNet,
    WideResNet,
)
from .nn.residual import POOL
from .nn.resnet import MixedPostActivationBlock, PostActivationBlock

OPSET = 17
INPUT, OUTPUT = "images", "logits"


def to_onnx(model: ResidualNetwork, batch: int | None = None) -> ModelProto:
    """The network in evaluation mode and float32, in whatever mode and precision it is now.

    Input "images": (N, H, W, C) of the model's image_shape, normalised as in training; output
    "logits": (N, K). batch: N, or None to leave it open. Inside, features are the second axis, as
    ONNX's operators have it. Nothing is folded: a runtime does that, as its kernels need it.
    Raises TypeError for anything but a residual network, ValueError for a network with gates.
    """
    if not isinstance(model, ResidualNetwork):
        raise TypeError(f"to_onnx takes a residual network, not {type(model).__name__}")
    if any(isinstance(module, HardConcrete) for module in model.modules()):
        raise ValueError("this network has gates: export pruning.compact(model), which has none")
    graph = Graph()
    x = graph.node("Transpose", "features_second", INPUT, perm=[0, 3, 1, 2])
    x = WRITERS[type(model)](graph, model, x)
    x = graph.node("Flatten", "flat", graph.node("GlobalAveragePool", "pool", x))
    weight = graph.array("linear.weight", model.linear.weight.data)
    graph.node("Gemm", OUTPUT, x, weight, graph.array("linear.bias", model.linear.bias.data))
    return graph.model(batch, model.image_shape, model.num_classes)


# --- the networks: what their `forward` computes, written down -----------------------------------


def wide(graph: Graph, model: WideResNet, x: str) -> str:
    """From the images to what is pooled at the end."""
    h = graph.conv("stem", model.stem, x)
    for k, block in enumerate(model.blocks):
        name = f"blocks.{k}"
        x = graph.batch_norm_relu(f"{name}.bn1", block.bn1, h)
        if block.shortcut is not None:
            h = graph.conv(f"{name}.shortcut", block.shortcut, x)
        h = graph.node("Add", f"{name}.sum", h, _delta(graph, name, block, x))
    return graph.batch_norm_relu("bn", model.bn, h)


def compact_wide(graph: Graph, model: CompactResNet, x: str) -> str:
    """The same of mixed-connectivity blocks: h' = scatter_add(h, f(h[I_in]), I_out)  (Supp. 2)."""
    h, width = graph.conv("stem", model.stem, x), model.layout["stem"]["width"]
    h = graph.spread("stem", h, width, model.layout["stem"]["writes"])
    for k, block in enumerate(model.blocks):
        name = f"blocks.{k}"
        read = h if len(block.reads) == width else graph.gather(f"{name}.read", h, block.reads)
        x, width = graph.batch_norm_relu(f"{name}.bn1", block.bn1, read), block.width
        if block.shortcut is not None:
            h = graph.conv(f"{name}.shortcut", block.shortcut, x)
            h = graph.spread(f"{name}.shortcut", h, width, block.shortcut_writes)
        if block.conv1 is not None:
            delta = _delta(graph, name, block, x)
            delta = graph.spread(f"{name}.delta", delta, width, block.writes)
            h = graph.node("Add", f"{name}.sum", h, delta)
    return graph.batch_norm_relu("bn", model.bn, h)


def _delta(graph: Graph, name: str, block: PreActivationBlock | MixedBlock, x: str) -> str:
    """conv2(relu(bn2(conv1(x))))."""
    inner = graph.conv(f"{name}.conv1", block.conv1, x)
    inner = graph.batch_norm_relu(f"{name}.bn2", block.bn2, inner)
    return graph.conv(f"{name}.conv2", block.conv2, inner)


def post(graph: Graph, model: ResNet, x: str) -> str:
    """The same of a network with the activation after the sum."""
    h = _entered(graph, model, x)
    for k, block in enumerate(model.blocks):
        name, x = f"blocks.{k}", h
        if block.shortcut is not None:
            h = _shortcut(graph, name, block, x)
        h = graph.node("Add", f"{name}.sum", h, _post_delta(graph, name, block, x))
        h = graph.node("Relu", f"{name}.relu", h)
    return h


def compact_post(graph: Graph, model: CompactPostResNet, x: str) -> str:
    """The same of mixed-connectivity blocks."""
    h, width = _entered(graph, model, x), model.layout["stem"]["width"]
    h = graph.spread("stem", h, width, model.layout["stem"]["writes"])
    for k, block in enumerate(model.blocks):
        name = f"blocks.{k}"
        x = h if len(block.reads) == width else graph.gather(f"{name}.read", h, block.reads)
        width = block.width
        if block.shortcut is not None:
            h = _shortcut(graph, name, block, x)
            h = graph.spread(f"{name}.shortcut", h, width, block.shortcut_writes)
        if block.length:
            delta = _post_delta(graph, name, block, x)
            delta = graph.spread(f"{name}.delta", delta, width, block.writes)
            h = graph.node("Add", f"{name}.sum", h, delta)
        h = graph.node("Relu", f"{name}.relu", h)
    return h


def _entered(graph: Graph, model: ResNet | CompactPostResNet, x: str) -> str:
    """The first residual signal, of the features that the stem writes."""
    h = graph.batch_norm_relu("stem_bn", model.stem_bn, graph.conv("stem", model.stem, x))
    if not model.pools:
        return h
    kernel, stride, padding = POOL
    window = {"kernel_shape": kernel, "strides": stride, "pads": padding * 2}
    return graph.node("MaxPool", "max_pool", h, **window)


def _shortcut(graph: Graph, name: str, block, x: str) -> str:
    h = graph.conv(f"{name}.shortcut", block.shortcut, x)
    return graph.batch_norm(f"{name}.shortcut_bn", block.shortcut_bn, h)


def _post_delta(
    graph: Graph, name: str, block: PostActivationBlock | MixedPostActivationBlock, x: str
) -> str:
    """bn(conv(... relu(bn1(conv1(x)))))."""
    *inner, (last, conv, _, bn) = block.path()
    for k, (step, inner_conv, _, inner_bn) in enumerate(inner, 1):
        x = graph.conv(f"{name}.{step}", inner_conv, x)
        x = graph.batch_norm_relu(f"{name}.bn{k}", inner_bn, x)
    return graph.batch_norm(f"{name}.bn{block.length}", bn, graph.conv(f"{name}.{last}", conv, x))


WRITERS = {
    WideResNet: wide,
    CompactResNet: compact_wide,
    ResNet: post,
    CompactPostResNet: compact_post,
}


# --- the graph -----------------------------------------------------------------------------------


class Graph:
    """What has been written so far. A node has one output, of its name; methods return that."""

    def __init__(self):
        self.nodes, self.arrays = [], []

    def node(self, operator: str, name: str, *inputs: str, **attributes) -> str:
        """An operator of ONNX, with its attributes."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def array(self, name: str, values) -> str:
        """A constant: int64 for integers, else float32."""
        values = np.asarray(backend.to_numpy(values))
        values = values.astype(np.int64 if values.dtype.kind == "i" else np.float32)
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def conv(self, name: str, conv: Conv2d, x: str) -> str:
        """A convolution without bias; ONNX has weights as (C_out, C_in, KH, KW)."""
        weight = backend.to_numpy(conv.weight.data).transpose(3, 2, 0, 1)
        _, stride, padding = Geometry.of(conv.kernel, conv.stride, conv.padding)
        weight = self.array(f"{name}.weight", weight)
        return self.node("Conv", name, x, weight, strides=stride, pads=padding * 2)

    def batch_norm(self, name: str, bn: BatchNorm2d, x: str) -> str:
        """bn(x), with the running statistics."""
        arrays = {
            "gamma": bn.gamma.data, "beta": bn.beta.data,
            "running_mean": bn.running_mean, "running_var": bn.running_var,
        }  # fmt: skip
        inputs = [self.array(f"{name}.{kind}", values) for kind, values in arrays.items()]
        return self.node("BatchNormalization", name, x, *inputs, epsilon=bn.eps)

    def batch_norm_relu(self, name: str, bn: BatchNorm2d, x: str) -> str:
        """relu(bn(x))."""
        return self.node("Relu", f"{name}.relu", self.batch_norm(name, bn, x))

    def gather(self, name: str, x: str, index: Sequence[int]) -> str:
        """x[:, index]."""
        return self.node("Gather", name, x, self.array(f"{name}.index", index), axis=1)

    def spread(self, name: str, x: str, width: int, writes: Sequence[int]) -> str:
        """`width` features, zero but for `writes`, which are those of x.

        A zero feature is appended, and gathered wherever nothing is written: onnxruntime does this
        faster than ScatterElements.
        """
        if len(writes) == width:
            return x
        index = np.full(width, len(writes))
        index[writes] = np.arange(len(writes))
        one_more = self.array(f"{name}.one_more", [0, 0, 0, 0, 0, 1, 0, 0])
        padded = self.node("Pad", f"{name}.padded", x, one_more)
        return self.gather(f"{name}.spread", padded, index)

    def model(self, batch: int | None, image_shape: Sequence[int], num_classes: int) -> ModelProto:
        """All of it, of the oldest format that has the operators."""
        n = "N" if batch is None else batch
        images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [n, *image_shape])
        logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [n, num_classes])
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            helper.make_graph(self.nodes, "network", [images], [logits], self.arrays),
            opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="tinybar", producer_version=__version__,
        )  # fmt: skip
