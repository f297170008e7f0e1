"""Whole networks beside the same ones in PyTorch: logits, gradients, and the FLOPs it counts."""

import numpy as np
import pytest
from properties.networks import bottlenecks, images, random_gates, randomise

import tinybar as tb
from tinybar import autograd as ag
from tinybar import nn, pruning

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

import torch.nn.functional as F  # noqa: E402
from peers import torch_networks  # noqa: E402
from peers.torch_peer import load  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

MAKE = {
    "basic": lambda gate: nn.small_resnet(8, 5, (9, 7, 3), gate),
    "bottlenecks": lambda gate: bottlenecks(5, (17, 14, 3), gate),
    "wide": lambda gate: nn.wide_resnet(10, 2, 5, (9, 7, 3), gate),
}


def twin(model: nn.ResidualNetwork) -> torch.nn.Module:
    """The network in PyTorch, with the same parameters and buffers."""
    gated = model.stem_gate is not None
    if isinstance(model, nn.WideResNet):
        sizes = model.depth, model.width, model.image_shape[2], model.num_classes
        theirs = torch_networks.WideResNet(*sizes, gated)
    else:
        theirs = torch_networks.ResNet(model, gated)
    theirs = theirs.to(torch.float64).train(model.training)
    load(theirs, model.state_dict())
    return theirs


def agree(found, expected, bound=1e-9):
    expected = np.asarray(expected.detach())
    assert np.abs(found - expected).max() <= bound * max(1, np.abs(expected).max())


@pytest.mark.parametrize("kind", sorted(MAKE))
@pytest.mark.parametrize("training", [True, False])
def test_logits_and_gradients(kind, training):
    rng = np.random.default_rng(0)
    model = randomise(MAKE[kind](None).astype(np.float64), rng).train(training)
    theirs, x, labels = twin(model), images(model, rng, n=4), np.arange(4)
    logits = model(tb.Tensor(x))
    expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2)))
    agree(logits.data, expected)
    ag.cross_entropy(logits, labels).backward()
    F.cross_entropy(expected, torch.tensor(labels)).backward()
    named = dict(theirs.named_parameters())
    for name, parameter in model.named_parameters():
        owner, _, last = name.rpartition(".")
        other = named[f"{owner}.{ {'gamma': 'weight', 'beta': 'bias'}.get(last, last) }"].grad
        if other.ndim > 1:
            other = other.permute(2, 3, 1, 0) if other.ndim == 4 else other.T
        agree(parameter.grad, other)


@pytest.mark.parametrize("kind", sorted(MAKE))
def test_logits_with_gates(kind):
    rng = np.random.default_rng(1)
    for _ in range(20):
        model = random_gates(randomise(MAKE[kind](nn.HardConcrete).astype(np.float64), rng), rng)
        x = images(model.eval(), rng)
        agree(model(tb.Tensor(x)).data, twin(model)(torch.tensor(x.transpose(0, 3, 1, 2))))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("wrn-16-4", (32, 32, 3)),
        ("wrn-28-12", (32, 32, 3)),
        ("resnet-20", (32, 32, 3)),
        ("resnet-56", (33, 31, 1)),
        ("resnet50", (128, 128, 3)),
        ("resnet50", (97, 130, 3)),
    ],
)
def test_flops_as_pytorch_counts_them(name, shape):
    """Its counter counts the multiplications of what is computed; convolutions alone here."""
    model = nn.build(name, 10, shape)
    theirs, x = twin(model.eval()).float(), torch.zeros(1, shape[2], *shape[:2])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(x)
    counts = counter.get_flop_counts()["Global"]
    assert counts[torch.ops.aten.convolution] == pruning.flops(model)
