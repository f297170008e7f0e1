"""Random networks for the tests: random weights, batch-norm state, and gates as asked for."""

from functools import partial

import numpy as np

from tinybar import nn, pruning
from tinybar.autograd.gates import THRESHOLD
from tinybar.nn.gate_vector import drawn

SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)  # of the channels of a gate that are alive


def gated(depth=10, width=1, live="hard", image_shape=(8, 8, 3), dtype=np.float64) -> nn.Module:
    """A gated network in evaluation mode."""
    made = nn.wide_resnet(depth, width, 4, image_shape, nn.HardConcrete, live)
    return made.astype(dtype).eval()


def bottlenecks(classes=4, image_shape=(8, 8, 3), gate=nn.HardConcrete) -> nn.ResNet:
    """As ResNet-50 in little: its stem and pooling, and three groups of two narrow bottlenecks."""
    groups = [((2, 2, 8), 2, 1), ((4, 4, 16), 2, 2), ((6, 6, 24), 2, 2)]
    return nn.ResNet("little", groups, True, classes, image_shape, gate)


def post_activation(kind: str, image_shape=(8, 8, 3), dtype=np.float64) -> nn.ResNet:
    """A gated network of "bottlenecks" or of "basic" blocks, in evaluation mode."""
    make = bottlenecks if kind == "bottlenecks" else partial(nn.small_resnet, 14)
    return make(4, image_shape, nn.HardConcrete).astype(dtype).eval()


def through(block: nn.Module, x):
    """What a block with gates makes of x, by itself."""
    return block(x, drawn(nn.gates_of(block)))


def randomise(model: nn.Module, rng: np.random.Generator) -> nn.Module:
    """Random affine parameters and running statistics of every batch norm, random biases."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            n = module.gamma.shape
            module.gamma.data[...] = rng.choice([-1, 1], n) * rng.uniform(0.3, 1.5, n)
            module.beta.data[...] = rng.standard_normal(n)
            module.running_mean[...] = rng.standard_normal(n)
            module.running_var[...] = rng.uniform(0.3, 3.0, n)
        if isinstance(module, nn.Linear):
            module.bias.data[...] = rng.standard_normal(module.bias.shape)
    return model


def set_gate(gate: nn.HardConcrete, alive, rng: np.random.Generator) -> None:
    """Open exactly the channels of `alive`, booleans; z of the open ones is anywhere in (0, 1]."""
    distance = rng.uniform(0.05, 4.0, gate.log_alpha.shape)
    gate.log_alpha.data[...] = THRESHOLD + np.where(alive, distance, -distance)


def random_gates(model: nn.Module, rng: np.random.Generator, shares=SHARES) -> nn.Module:
    """Every gate with a share of live channels drawn from `shares`."""
    for gate in pruning.gates_of(model):
        set_gate(gate, rng.random(gate.log_alpha.shape) < rng.choice(shares), rng)
    return model


def images(model: nn.Module, rng: np.random.Generator, n=3, size=None) -> np.ndarray:
    """n random images, of the model's size or another."""
    height, width = size or model.image_shape[:2]
    dtype = model.stem.weight.dtype
    return rng.standard_normal((n, height, width, model.image_shape[2])).astype(dtype)
