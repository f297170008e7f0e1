"""A trained network as an ONNX graph, for other runtimes. Needs the `onnx` extra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from .. import __version__
from ..autograd.windows import Geometry
from ..nn import BatchNorm2d, CompactNetwork, Conv2d, HardConcrete, Module, ResidualNetwork
from ..nn.networks.residual import POOL
from ..runtime.arrays import to_numpy

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
    graph = Graph(model)
    x = graph.node("Transpose", "features_second", INPUT, perm=[0, 3, 1, 2])
    x = signal(graph, model, x)
    x = graph.node("Flatten", "flat", graph.node("GlobalAveragePool", "pool", x))
    weight = graph.array("linear.weight", model.linear.weight.data)
    graph.node("Gemm", OUTPUT, x, weight, graph.array("linear.bias", model.linear.bias.data))
    return graph.model(batch, model.image_shape, model.num_classes)


# --- the networks: what their `forward` computes, written down -----------------------------------


def signal(graph: Graph, model: ResidualNetwork, x: str) -> str:
    """From the images to what is pooled at the end."""
    h = graph.conv(model.stem, x)
    if model.stem_bn is not None:
        h = graph.batch_norm_relu(model.stem_bn, h)
    if model.pools:
        kernel, stride, padding = POOL
        window = {"kernel_shape": kernel, "strides": stride, "pads": padding * 2}
        h = graph.node("MaxPool", "max_pool", h, **window)
    if isinstance(model, CompactNetwork):
        h = compact_blocks(graph, model, graph.spread("stem", h, **model.layout["stem"]))
    else:
        h = full_blocks(graph, model, h)
    return h if model.bn is None else graph.batch_norm_relu(model.bn, h)


def full_blocks(graph: Graph, model: ResidualNetwork, h: str) -> str:
    """h' = h + f(x), or shortcut(x) + f(x)."""
    for name, block in _named(model):
        x = _read(graph, block, h)
        if block.shortcut is not None:
            h = graph.conv_bn(block.shortcut, block.shortcut_bn, x)
        h = graph.node("Add", f"{name}.sum", h, _delta(graph, block, x))
        h = _activated(graph, name, block, h)
    return h


def compact_blocks(graph: Graph, model: CompactNetwork, h: str) -> str:
    """h' = scatter_add(h, f(h[I_in]), I_out)  (Supp. 2)."""
    width = model.layout["stem"]["width"]
    for name, block in _named(model):
        h_in = h if len(block.reads) == width else graph.gather(f"{name}.read", h, block.reads)
        x, width = _read(graph, block, h_in), block.width
        if block.shortcut is not None:
            h = graph.conv_bn(block.shortcut, block.shortcut_bn, x)
            h = graph.spread(f"{name}.shortcut", h, width, block.shortcut_writes)
        if block.path():
            delta = graph.spread(f"{name}.delta", _delta(graph, block, x), width, block.writes)
            h = graph.node("Add", f"{name}.sum", h, delta)
        h = _activated(graph, name, block, h)
    return h


def _named(model: ResidualNetwork) -> list[tuple[str, Module]]:
    return [(f"blocks.{k}", block) for k, block in enumerate(model.blocks)]


def _read(graph: Graph, block: Module, h: str) -> str:
    """What the convolutions read: h itself, or in pre-activation blocks relu(bn(h))."""
    return h if block.reading_bn is None else graph.batch_norm_relu(block.reading_bn, h)


def _activated(graph: Graph, name: str, block: Module, h: str) -> str:
    """relu(h) in post-activation blocks, in the others h."""
    return graph.node("Relu", f"{name}.relu", h) if block.reading_bn is None else h


def _delta(graph: Graph, block: Module, x: str) -> str:
    """f(x): the convolutions of the path, each with its batch norm, a ReLU between any two."""
    *inner, last = block.path()
    for step in inner:
        x = graph.batch_norm_relu(step.bn, graph.conv(step.conv, x))
    return graph.conv_bn(last.conv, last.bn, x)


# --- the graph -----------------------------------------------------------------------------------


class Graph:
    """What has been written so far. A node has one output, of its name; methods return that.

    The node of a layer has the layer's name in the model, and so have its arrays.
    """

    def __init__(self, model: Module):
        self.nodes, self.arrays = [], []
        self.name_of = {module: name for name, module in model.named_modules()}

    def node(self, operator: str, name: str, *inputs: str, **attributes) -> str:
        """An operator of ONNX, with its attributes."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def array(self, name: str, values) -> str:
        """A constant: int64 for integers, else float32."""
        values = np.asarray(to_numpy(values))
        values = values.astype(np.int64 if values.dtype.kind == "i" else np.float32)
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def conv(self, conv: Conv2d, x: str) -> str:
        """A convolution without bias; ONNX has weights as (C_out, C_in, KH, KW)."""
        name, weight = self.name_of[conv], to_numpy(conv.weight.data)
        _, stride, padding = Geometry.of(conv.kernel, conv.stride, conv.padding)
        weight = self.array(f"{name}.weight", weight.transpose(3, 2, 0, 1))
        return self.node("Conv", name, x, weight, strides=stride, pads=padding * 2)

    def batch_norm(self, bn: BatchNorm2d, x: str) -> str:
        """bn(x), with the running statistics."""
        name = self.name_of[bn]
        arrays = {
            "gamma": bn.gamma.data, "beta": bn.beta.data,
            "running_mean": bn.running_mean, "running_var": bn.running_var,
        }  # fmt: skip
        inputs = [self.array(f"{name}.{kind}", values) for kind, values in arrays.items()]
        return self.node("BatchNormalization", name, x, *inputs, epsilon=bn.eps)

    def batch_norm_relu(self, bn: BatchNorm2d, x: str) -> str:
        """relu(bn(x))."""
        return self.node("Relu", f"{self.name_of[bn]}.relu", self.batch_norm(bn, x))

    def conv_bn(self, conv: Conv2d, bn: BatchNorm2d | None, x: str) -> str:
        """bn(conv(x)), or conv(x) where there is no batch norm."""
        y = self.conv(conv, x)
        return y if bn is None else self.batch_norm(bn, y)

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
