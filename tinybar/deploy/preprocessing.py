"""From the pixels of an image to what a network reads, as a part of its ONNX graph.

The resize is Pillow's, to the last bit. ONNX has an antialiased Resize of its own, but what
onnxruntime 1.32 computes for it differs from Pillow's by up to 17 of 255 on noise. Pillow computes
with integers, along the width and then along the height:

    y_i = floor(1/2 + sum_j k_ij x_j / 2^22),    k_ij = floor(1/2 + 2^22 w_ij / sum_j w_ij)
    w_ij = max(0, 1 - |j + 1/2 - c_i| / max(r, 1)),    c_i = (i + 1/2) r,    r = n / m

for n pixels x that become m pixels y. As k < 2^23 it is three bytes, so that three products of
bytes (MatMulInteger) give the sums, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.files.decoder import LONGEST

if TYPE_CHECKING:
    from .onnx import Graph

LAYOUTS, INPUTS = ("nhwc", "nchw"), ("uint8", "float32")
BITS = 22  # of Pillow's coefficients
BYTES = np.array([1 << 16, 1 << 8, 1], np.float64)[:, None, None]


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What a graph does before the network.

    mean, std: of the training images, with pixels from 0 to 1; (C,). layout: "nhwc" or "nchw".
    input: "uint8", pixels from 0 to 255 as in image files, or "float32", from 0 to 1. resize: are
    images of any size resized to cover the network's, and the centre cut out?
    Raises ValueError for another layout or input, and for a resize of float32.
    """

    mean: np.ndarray
    std: np.ndarray
    layout: str = "nhwc"
    input: str = "uint8"
    resize: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (("layout", self.layout, LAYOUTS), ("input", self.input, INPUTS)):
            if value not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, got {value!r}")
        if self.resize and self.input != "uint8":
            raise ValueError(
                "images are resized as bytes: float32 input has the network's own size"
            )

    def shape(self, image_shape: tuple[int, int, int]) -> list[int | str]:
        """The axes of the input behind N: numbers, and names of those that are free."""
        height, width, channels = image_shape
        size = ["height", "width"] if self.resize else [height, width]
        return [*size, channels] if self.layout == "nhwc" else [channels, *size]


def add_preprocessing(
    graph: Graph, how: Preprocessing, images: str, image_shape: tuple[int, int, int]
) -> str:
    """What the network reads, (N, C, H, W), from the input `images`."""
    if how.layout == "nhwc":
        images = graph.add_node("Transpose", "channels_second", images, perm=[0, 3, 1, 2])
    if how.resize:
        images = add_fit(graph, images, *image_shape[:2])
    return add_normalisation(graph, how, images)


def add_normalisation(graph: Graph, how: Preprocessing, x: str) -> str:
    """x / (scale std) - mean / std, as `data.Normalised` computes it."""
    scale = 1.0
    if how.input == "uint8":
        x, scale = graph.add_cast("pixels", x, np.float32), 255.0
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (how.mean, how.std))
    scaled = graph.add_node("Mul", "scaled", x, graph.add_constant("factor", 1 / (scale * std)))
    return graph.add_node("Sub", "normalised", scaled, graph.add_constant("shift", mean / std))


# --- resize and crop, as `data.files.decoder` does ------------------------------------------------


def add_fit(graph: Graph, x: str, height: int, width: int) -> str:
    """x (N, C, h, w) uint8, resized to cover height x width, the centre cut out: uint8."""
    f = Formula(graph, "fit")
    shape, wanted = f("Shape", x), (float(height), float(width))
    sizes = [f.cast(f("Gather", shape, np.array([axis])), np.float64) for axis in (2, 3)]
    scale = f("Max", *(f("Div", n, size) for n, size in zip(wanted, sizes, strict=True)))
    starts, ends, kept = [], [], []
    for n, size in zip(wanted, sizes, strict=True):  # of a long image the ends are cut off first
        longest = f("Mul", float(LONGEST), f("Ceil", f("Div", n, scale)))
        kept.append(f("Min", size, longest))
        starts.append(f("Floor", f("Mul", 0.5, f("Sub", size, kept[-1]))))
        ends.append(f("Add", starts[-1], kept[-1]))
    bounds = [f.cast(f("Concat", *values, axis=0), np.int64) for values in (starts, ends)]
    x = f("Slice", x, *bounds, np.array([2, 3]))
    for size, n in ((kept[1], width), (kept[0], height)):
        x = f("Transpose", add_resize(f, x, size, scale, n), perm=[0, 1, 3, 2])
    return x


def add_resize(f: Formula, x: str, n: str, scale: str, m: int) -> str:
    """The last axis of x, of n pixels, resized by `scale`, and the middle m of it."""
    covering = f("Max", float(m), f("Round", f("Mul", n, scale)))
    first = f("Floor", f("Mul", 0.5, f("Sub", covering, float(m))))
    r = f("Div", n, covering)
    c = f("Mul", f("Add", np.arange(m)[:, None] + 0.5, first), r)
    j = f("Range", np.float64(0), f("Squeeze", n), np.float64(1))
    away = f("Mul", f("Add", f("Sub", j, c), 0.5), f("Div", 1.0, f("Max", r, 1.0)))
    w = f("Relu", f("Sub", 1.0, f("Abs", away)))
    share = f("Div", w, f("ReduceSum", w, np.array([1]), keepdims=1))
    return add_product(f, x, f("Floor", f("Add", 0.5, f("Mul", share, 2.0**BITS))), m)


def add_product(f: Formula, x: str, k: str, m: int) -> str:
    """floor(1/2 + x k' / 2^22).   x: (N, C, a, n) uint8, k: (m, n), result: (N, C, a, m) uint8."""
    above = f("Floor", f("Div", k, 256.0 * BYTES))
    digits = f("Sub", f("Floor", f("Div", k, BYTES)), f("Mul", 256.0, above))  # (3, m, n)
    rows = f("Reshape", f.cast(digits, np.uint8), np.array([3 * m, -1]))
    sums = f("MatMulInteger", x, f("Transpose", rows, perm=[1, 0]))  # (N, C, a, 3 m) int32
    apart = f("Reshape", sums, np.array([0, 0, 0, 3, m]))
    weighted = f("Mul", apart, BYTES[..., 0].astype(np.int32))
    total = f("ReduceSum", weighted, np.array([3]), keepdims=0)
    half, whole = np.array([1 << (BITS - 1), 1 << BITS], np.int32)
    return f.cast(f("Div", f("Add", total, half), whole), np.uint8)


class Formula:
    """Adds nodes with names made of `name` and a number: `f(operator, *inputs)`.

    An input is the name of another node, an array, or a number, which stands for [number] in
    float64, in which Pillow computes its coefficients.
    """

    def __init__(self, graph: Graph, name: str):
        self.graph: Graph = graph
        self.name: str = name
        self.count: int = 0

    def __call__(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        return self.graph.add_node(operator, self._next(), *names, **attributes)

    def cast(self, x: str, dtype: type) -> str:
        """x as another dtype."""
        return self.graph.add_cast(self._next(), x, dtype)

    def _constant(self, values) -> str:
        values = np.array([values]) if type(values) is float else np.asarray(values)
        return self.graph.add_constant(self._next(), values, values.dtype)

    def _next(self) -> str:
        self.count += 1
        return f"{self.name}.{self.count}"
