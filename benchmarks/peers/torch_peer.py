"""PyTorch, as its users write it for speed: channels_last, in-place ReLU, the fused Adam."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinybar import nn as ours
from tinybar.bench.case import LEARNING_RATE, SMALL, WEIGHT_DECAY, Case, Convolution

from .torch_networks import ResNet, SmallNet, WideResNet


def versions() -> dict[str, str]:
    """The version of the library that computes."""
    return {"torch": torch.__version__}


# --- the steps -----------------------------------------------------------------------------------


def network(case: Case) -> nn.Module:
    """The case's network, with tinybar's initial weights, channels_last."""
    source = case.build()
    if case.network == SMALL:
        model = SmallNet(case.image_shape[2], case.classes)
        load(model, source.state_dict())
    else:
        model = twin(source)
    return model.to(memory_format=torch.channels_last)


def twin(source: ours.ResidualNetwork) -> nn.Module:
    """tinybar's network in PyTorch, with the same parameters and buffers."""
    is_gated = source.stem_gate is not None
    if isinstance(source, ours.WideResNet):
        shape = source.depth, source.width, source.image_shape[2], source.num_classes
        model = WideResNet(*shape, is_gated)
    else:
        model = ResNet(source, is_gated)
    load(model, source.state_dict())
    return model


def load(model: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Copy the parameters and buffers of tinybar's network into the same network in PyTorch."""
    theirs = {}
    for name, array in state.items():
        owner, _, last = name.rpartition(".")
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        last = {"gamma": "weight", "beta": "bias"}.get(last, last)
        theirs[f"{owner}.{last}"] = torch.tensor(
            np.ascontiguousarray(array.T if array.ndim == 2 else array)
        )
    counters = {n: v for n, v in model.state_dict().items() if n.endswith("num_batches_tracked")}
    model.load_state_dict(theirs | counters)


def prepare(
    case: Case,
    device: str = "cpu",
    compiled: Callable[[nn.Module], nn.Module] = lambda model: model,
) -> Callable[[], Tensor]:
    """The step to time. device: PyTorch's name of it. compiled: such as torch.compile."""
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    model = network(case).to(device)
    images, targets = case.batch()
    x, labels = _channels_last(images).to(device), torch.from_numpy(targets).to(device)
    if case.kind == "infer":
        model = compiled(model.eval())

        def infer():
            with torch.inference_mode():
                return model(x)

        return infer

    model = compiled(model.train())
    gates = [p for n, p in model.named_parameters() if n.endswith("log_alpha")]
    others = [p for n, p in model.named_parameters() if not n.endswith("log_alpha")]
    groups = [{"params": others, "weight_decay": WEIGHT_DECAY}]
    groups += [{"params": gates}] if gates else []
    optimizer = torch.optim.Adam(groups, LEARNING_RATE, fused=True)

    def step():
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _channels_last(images: np.ndarray) -> Tensor:
    """(N, H, W, C) in memory as a tensor (N, C, H, W), which PyTorch calls channels_last."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def prepare_convolution(
    shapes: Convolution, part: str, threads: int, algorithm: str = "auto"
) -> Callable[[], object]:
    """One of PARTS of a convolution. PyTorch chooses the algorithm itself."""
    torch.set_num_threads(threads)
    x, weight, gy = shapes.arrays()
    x, gy = _channels_last(x), _channels_last(gy)
    weight = torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 0, 1, 2)))
    weight = weight.permute(0, 3, 1, 2)
    if part == "forward":
        return lambda: F.conv2d(x, weight, None, shapes.stride, shapes.padding)
    mask = [part != "weight", part != "data", False]
    stride, padding = list(shapes.stride), list(shapes.padding)
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(
        gy, x, weight, None, stride, padding, [1, 1], False, [0, 0], 1, mask
    )  # fmt: skip
