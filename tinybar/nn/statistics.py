"""Batch norm with the statistics of given images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..autograd import Tensor, no_grad
from .layers import BatchNorm2d
from .module import Module


def recompute_statistics(net: Module, minibatches: Iterable[Tensor]) -> None:
    """Replace the running statistics of every batch norm by those of these images.

    minibatches: images (B, H, W, C). Mean and variance are averaged over the minibatches, weighted
    by their numbers of images. Gates are at their mean noise: in training the running statistics
    become those of networks with sampled gates. Nothing is drawn from a random stream.
    """
    norms = _norms(net)
    was_training, momenta, seen = net.training, [bn.momentum for bn in norms], 0
    net.eval()
    try:
        for bn in norms:  # not by a momentum of 1 alone: 0 times NaN would be NaN
            bn.training, bn.running_mean[...], bn.running_var[...] = True, 0, 0
        with no_grad():
            for x in minibatches:
                seen += len(x)
                for bn in norms:
                    bn.momentum = len(x) / seen
                net(x)
    finally:
        net.train(was_training)
        for bn, momentum in zip(norms, momenta, strict=True):
            bn.momentum = momentum


@contextmanager
def statistics_of(net: Module, minibatches: Iterable[Tensor]) -> Iterator[None]:
    """Within this block `net` has the statistics of these images; after it, its own again."""
    before = [(bn.running_mean.copy(), bn.running_var.copy()) for bn in _norms(net)]
    try:
        recompute_statistics(net, minibatches)
        yield
    finally:
        for bn, (mean, var) in zip(_norms(net), before, strict=True):
            bn.running_mean[...], bn.running_var[...] = mean, var


def _norms(net: Module) -> list[BatchNorm2d]:
    return [module for module in net.modules() if isinstance(module, BatchNorm2d)]
