"""A trained network as an ONNX graph, for other runtimes. Needs the `onnx` extra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, defs, helper, numpy_helper

from .. import __version__
from ..autograd.windows import Geometry
from ..nn import BatchNorm2d, CompactNetwork, Conv2d, HardConcrete, Module, ResidualNetwork
from ..nn.networks.residual import POOL, Block
from ..runtime.arrays import to_numpy
from .preprocessing import Preprocessing, add_preprocessing

OPSET, OLDEST = 17, 13  # before 13, ReduceSum has its axes elsewhere
ELEMENTS = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
INPUT, LOGITS, PROBABILITIES = "images", "logits", "probabilities"


def to_onnx(
    model: ResidualNetwork,
    batch: int | None = None,
    preprocessing: Preprocessing | None = None,
    softmax: bool = False,
    opset: int = OPSET,
) -> ModelProto:
    """The network in evaluation mode and float32; its own mode and precision make no difference.

    Input "images": (N, H, W, C) of the model's image_shape, normalised as in training; or what
    `preprocessing` takes. Output: "logits", (N, K), or "probabilities". batch: N, or None for any.
    Inside the graph channels are the second axis, as ONNX's operators require. Batch norm is not
    folded into convolutions: runtimes do that. Raises TypeError for anything but a residual
    network, ValueError for a network with gates, and for an opset that does not hold the operators.
    """
    if not isinstance(model, ResidualNetwork):
        raise TypeError(f"to_onnx takes a residual network, not {type(model).__name__}")
    if any(isinstance(module, HardConcrete) for module in model.modules()):
        raise ValueError("this network has gates: export pruning.compact(model), which has none")
    if not OLDEST <= opset <= defs.onnx_opset_version():
        newest = defs.onnx_opset_version()
        raise ValueError(f"--opset must be in [{OLDEST}, {newest}], as onnx has them, got {opset}")
    graph = Graph(model)
    if preprocessing is None:
        x = graph.add_node("Transpose", "channels_second", INPUT, perm=[0, 3, 1, 2])
        images: Any = (TensorProto.FLOAT, model.image_shape)
    else:
        x = add_preprocessing(graph, preprocessing, INPUT, model.image_shape)
        images = ELEMENTS[preprocessing.input], preprocessing.shape(model.image_shape)
    x = graph.add_node("GlobalAveragePool", "pool", add_backbone(graph, model, x))
    x = graph.add_node("Flatten", "flat", x)
    weight = graph.add_constant("linear.weight", model.linear.weight.data)
    bias = graph.add_constant("linear.bias", model.linear.bias.data)
    output = graph.add_node("Gemm", LOGITS, x, weight, bias)
    if softmax:
        output = graph.add_node("Softmax", PROBABILITIES, output, axis=1)
    n = "N" if batch is None else batch
    images = helper.make_tensor_value_info(INPUT, images[0], [n, *images[1]])
    output = helper.make_tensor_value_info(output, TensorProto.FLOAT, [n, model.num_classes])
    return graph.to_model(images, output, opset)


# --- the networks: the operations of their `forward`, in the same order --------------------------


def add_backbone(graph: Graph, model: ResidualNetwork, x: str) -> str:
    """Everything before the global average pooling."""
    h = graph.add_conv(model.stem, x)
    if model.stem_bn is not None:
        h = graph.add_batch_norm_relu(model.stem_bn, h)
    if model.pools:
        kernel, stride, padding = POOL
        window = {"kernel_shape": kernel, "strides": stride, "pads": padding * 2}
        h = graph.add_node("MaxPool", "max_pool", h, **window)
    add_blocks: Any = add_compact_blocks if isinstance(model, CompactNetwork) else add_full_blocks
    h = add_blocks(graph, model, h)
    return h if model.bn is None else graph.add_batch_norm_relu(model.bn, h)


def add_full_blocks(graph: Graph, model: ResidualNetwork, h: str) -> str:
    """h' = h + f(h), or shortcut(h) + f(h)."""
    for name, block in _named_blocks(model):
        x = _add_activation_before(graph, block, h)
        if block.shortcut is not None:
            h = graph.add_conv_batch_norm(block.shortcut, block.shortcut_bn, x)
        h = graph.add_node("Add", f"{name}.sum", h, _add_path(graph, block, x))
        h = _add_activation_after(graph, name, block, h)
    return h


def add_compact_blocks(graph: Graph, model: CompactNetwork, h: str) -> str:
    """h' = scatter_add(h, f(h[I_in]), I_out)  (Supp. 2)."""
    stem = model.layout["stem"]
    width = stem["width"]
    h = graph.add_scatter_channels("stem", h, width, stem["writes"])
    for name, block in _named_blocks(model):
        x = h if len(block.reads) == width else graph.add_gather(f"{name}.read", h, block.reads)
        x, width = _add_activation_before(graph, block, x), block.width
        if block.shortcut is not None:
            h = graph.add_conv_batch_norm(block.shortcut, block.shortcut_bn, x)
            h = graph.add_scatter_channels(f"{name}.shortcut", h, width, block.shortcut_writes)
        if block.path():
            delta = _add_path(graph, block, x)
            delta = graph.add_scatter_channels(f"{name}.delta", delta, width, block.writes)
            h = graph.add_node("Add", f"{name}.sum", h, delta)
        h = _add_activation_after(graph, name, block, h)
    return h


def _named_blocks(model: ResidualNetwork) -> list[tuple[str, Block]]:
    return [(f"blocks.{k}", block) for k, block in enumerate(model.blocks)]


def _add_activation_before(graph: Graph, block: Block, h: str) -> str:
    """relu(bn(h)) in pre-activation blocks, h in post-activation blocks."""
    return h if block.reading_bn is None else graph.add_batch_norm_relu(block.reading_bn, h)


def _add_activation_after(graph: Graph, name: str, block: Block, h: str) -> str:
    """h in pre-activation blocks, relu(h) in post-activation blocks."""
    return graph.add_node("Relu", f"{name}.relu", h) if block.reading_bn is None else h


def _add_path(graph: Graph, block: Block, x: str) -> str:
    """f(x): the convolutions of the block, each with its batch norm, a ReLU between any two."""
    *inner, last = block.path()
    for step in inner:
        x = graph.add_batch_norm_relu(step.bn, graph.add_conv(step.conv, x))
    return graph.add_conv_batch_norm(last.conv, last.bn, x)


# --- the graph -----------------------------------------------------------------------------------


class Graph:
    """The nodes and constants added so far.

    Every node has one output. Node and output have the same name, which the methods return. The
    nodes and the constants of a layer have the names of the layer and of its parameters in `model`.
    """

    def __init__(self, model: Module):
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.name_of: Any = {module: name for name, module in model.named_modules()}

    def add_node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """An operator of ONNX, with its attributes."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def add_constant(self, name: str, values: Any, dtype: np.dtype | None = None) -> str:
        """An array: of that dtype, or int64 if it holds integers, else float32."""
        values = np.asarray(to_numpy(values))
        values = values.astype(dtype or (np.int64 if values.dtype.kind == "i" else np.float32))
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add_cast(self, name: str, x: str, dtype: type) -> str:
        """x as another dtype of NumPy's."""
        return self.add_node("Cast", name, x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def add_conv(self, conv: Conv2d, x: str) -> str:
        """A convolution without bias. Weights are (C_out, C_in, KH, KW) in ONNX."""
        name, weight = self.name_of[conv], to_numpy(conv.weight.data)
        _, stride, padding = Geometry.of(conv.kernel, conv.stride, conv.padding)
        constant = self.add_constant(f"{name}.weight", weight.transpose(3, 2, 0, 1))
        return self.add_node("Conv", name, x, constant, strides=stride, pads=padding * 2)

    def add_batch_norm(self, bn: BatchNorm2d, x: str) -> str:
        """bn(x), with the running statistics."""
        name = self.name_of[bn]
        arrays = {
            "gamma": bn.gamma.data, "beta": bn.beta.data,
            "running_mean": bn.running_mean, "running_var": bn.running_var,
        }  # fmt: skip
        inputs = [self.add_constant(f"{name}.{kind}", values) for kind, values in arrays.items()]
        return self.add_node("BatchNormalization", name, x, *inputs, epsilon=bn.eps)

    def add_batch_norm_relu(self, bn: BatchNorm2d, x: str) -> str:
        """relu(bn(x))."""
        return self.add_node("Relu", f"{self.name_of[bn]}.relu", self.add_batch_norm(bn, x))

    def add_conv_batch_norm(self, conv: Conv2d, bn: BatchNorm2d | None, x: str) -> str:
        """bn(conv(x)), or conv(x) where there is no batch norm."""
        y = self.add_conv(conv, x)
        return y if bn is None else self.add_batch_norm(bn, y)

    def add_gather(self, name: str, x: str, index: Sequence[int] | np.ndarray) -> str:
        """x[:, index]."""
        constant = self.add_constant(f"{name}.index", index)
        return self.add_node("Gather", name, x, constant, axis=1)

    def add_scatter_channels(self, name: str, x: str, width: int, index: Sequence[int]) -> str:
        """y (N, width, H, W), zero but for y[:, index] = x.

        A channel of zeros is appended to x, and gathered for every channel that is not in `index`.
        onnxruntime computes that faster than ScatterElements.
        """
        if len(index) == width:
            return x
        source = np.full(width, len(index))
        source[index] = np.arange(len(index))
        one_channel = self.add_constant(f"{name}.one_channel", [0, 0, 0, 0, 0, 1, 0, 0])
        padded = self.add_node("Pad", f"{name}.padded", x, one_channel)
        return self.add_gather(f"{name}.scattered", padded, source)

    def to_model(self, images: ValueInfoProto, output: ValueInfoProto, opset: int) -> ModelProto:
        """The whole graph, in the oldest format that has its operators."""
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(
            helper.make_graph(self.nodes, "network", [images], [output], self.constants),
            opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="tinybar", producer_version=__version__,
        )  # fmt: skip
